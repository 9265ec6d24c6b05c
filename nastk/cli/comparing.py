"""What reports say of a study: `comparison`, `overall`, `fronts`, `registration`, `repetition`.

Also how its runs began: `warm_up`, and `beginning` of one that is repeated.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nastk.base import defaults
from nastk.base.component import ComponentSpec, json_or_text, named_spec
from nastk.base.errors import ConfigurationError, NastkError
from nastk.report.record import RunRecord

if TYPE_CHECKING:
    from nastk.runs.comparison import Comparison

Groups = Mapping[str, Sequence[RunRecord]]
"""The runs of each updater by its label."""


def comparison(groups: Groups) -> tuple[str, dict[str, Any]]:
    """Returns what the finished runs of a study show: a sentence, and a `Comparison` as JSON.

    `groups` are the runs of each updater by its label. The others are compared with random search,
    where there is none with the first.

    Raises:
        ConfigurationError: no metric or no seed is common to all updaters.
        MissingExtraError: the extra `studies` is not installed.
    """
    from nastk.report.comparison import headline

    found = _compared(groups).to_json()
    return headline(found), found


def overall(problems: Mapping[str, Groups]) -> tuple[str, Sequence[str], dict[str, Any]]:
    """Returns what the finished runs of a study of several problems show together.

    `problems` are the runs by problem and updater. The answer is a sentence, further sentences on
    what it means, and an `Overall` as JSON.

    Raises:
        ConfigurationError: as for `comparison`, or no updater is on every problem.
        MissingExtraError: the extra `studies` is not installed.
    """
    from nastk.report.overall import overall_headline, overall_notes
    from nastk.runs.overall import over_problems

    found = over_problems({name: _compared(groups) for name, groups in problems.items()}).to_json()
    return overall_headline(found), list(overall_notes(found)), found


def registration(folder: Path, records: Sequence[RunRecord]) -> list[str]:
    """Returns when the study in a folder was registered, and what was added later, as sentences.

    `records` are the runs that are shown. A study without a protocol has none.
    """
    from nastk.report.protocol import protocol_sentences
    from nastk.runs.protocol import standing_of

    standing = standing_of(folder, {record.path.name for record in records})
    return [] if standing is None else list(protocol_sentences(standing))


def warm_up(folder: Path, problems: Mapping[str, Sequence[RunRecord]]) -> list[str]:
    """Returns what the shared warm-up of a study has cost, in sentences; none without one.

    `problems` are the runs that are shown, by problem.
    """
    begun = {
        problem: [record.config for record in records if record.config.get("warm_up")]
        for problem, records in problems.items()
    }
    if not any(begun.values()):
        return []
    from nastk.report.warm_up import warm_up_sentences
    from nastk.runs.config import resolve
    from nastk.runs.warm_up import costs

    try:
        configs = {problem: [resolve(each) for each in own] for problem, own in begun.items()}
        return list(warm_up_sentences(costs(folder, configs)))
    except NastkError as error:  # a plugin may be missing, without which all else is shown
        return [f"What the shared warm-up has cost cannot be read: {error}"]


def beginning(record: RunRecord) -> list[str]:
    """Returns the arguments by which `nastk search` begins as this run of a study did.

    They name the weights of its shared warm-up. There are none where it had no warm-up, or where
    that is not in the study's folder any more.
    """
    if not record.config.get("warm_up"):
        return []
    from nastk.runs.config import resolve
    from nastk.runs.warm_up import first_weights

    with suppress(NastkError):
        weights = first_weights(resolve(record.config), record.path.parent)
        return [] if weights is None else ["--weights", weights]
    return []


def fronts(groups: Groups, costs: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the Pareto front of a problem's finished runs over each cost that they have.

    Each is a `Front` as JSON. Left out are costs that no run has or that are the same in every run,
    and those of a table (`table_parameters`) where the run has its own.

    Raises:
        MissingExtraError: the extra `studies` is not installed.
    """
    from nastk.runs.front import front

    measured = _measured(groups)
    names = {name for seeds in measured.values() for each in seeds.values() for name in each}
    own = [
        cost
        for cost in costs
        if cost in names and not (names & {cost.removeprefix("table_")} - {cost})
    ]
    found = [front(measured, cost).to_json() for cost in own]
    return [each for each in found if len({one["cost"] for one in each["found"]}) > 1]


def _compared(groups: Groups) -> "Comparison":
    """Returns the comparison of the finished runs of one problem."""
    from nastk.runs.comparison import compared

    measured = _measured(groups)
    if not all(any(seeds.values()) for seeds in measured.values()):
        raise ConfigurationError("An updater of the study has no finished run with a metric yet.")
    baselines = [
        label
        for label, runs in groups.items()
        if any(run.config["updater"]["name"] == defaults.BASELINE for run in runs)
    ]
    return compared(measured, next(iter([*baselines, *measured])))


def _measured(groups: Groups) -> dict[str, dict[int, dict[str, float | int]]]:
    """Returns the metrics of the finished runs by label and seed."""
    return {
        label: {int(run.config["seed"]): run.metrics for run in runs if run.result}
        for label, runs in groups.items()
    }


@dataclass(frozen=True)
class Repetition:
    """How a study is made again: the arguments of `nastk compare`, beside its `--config FILE`.

    `file` is the content of that file; None: the `config.json` of any run of the study serves.
    `remarks` are sentences on how the new study may differ.

    Example: `command("nastk", "compare", "--config", "again.json", *found.arguments)`
    """

    arguments: Sequence[str]
    file: Mapping[str, Any] | None
    remarks: Sequence[str]


def repetition(folder: Path, records: Sequence[RunRecord]) -> Repetition:
    """Returns how the study in a folder is made again; `records` are its runs.

    Raises:
        NastkError: no command makes it, or what it needs is not installed; says why.
    """
    from nastk.runs.repeating import repeated

    found = repeated(folder, {record.path.name: record.config for record in records})
    arguments = [word for spec in found.updaters for word in ("--updater", _text(spec))]
    arguments += ["--seeds", ",".join(map(str, found.seeds))]
    for flag, value in (("--budget", found.budget), ("--metric", found.metric)):
        arguments += [] if value is None else [flag, value]
    return Repetition(arguments, None if found.is_plain else found.config, found.remarks)


def _text(spec: ComponentSpec) -> str:
    """Returns a component as `NAME[,OPTION=VALUE...]`.

    Raises:
        ConfigurationError: a value cannot be written so.
    """
    parts = [spec.name]
    for name, value in spec.options.items():
        is_plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w.+/-]*", value)
        if is_plain and json_or_text(value, name) == value:
            parts.append(f"{name}={value}")
        else:
            parts.append(f"{name}={json.dumps(value, separators=(',', ':'))}")
    text = ",".join(parts)
    if named_spec(text, "A component is NAME[,OPTION=VALUE...]") != spec:
        raise ConfigurationError(f"The options of {spec.name} cannot stand on a command line.")
    return text
