"""How a study was registered, how to repeat it, and the settings that its runs share."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nastk.base import UnreadableError, command, read_json
from nastk.cli import registration
from nastk.report import RunRecord
from nastk_drawing.report import settings
from nastk_drawing.report.parts import Code, Part, Section, Text
from nastk_drawing.study_runs import by_problem

LABEL = re.compile(r"([\w.-]+)(?:\((.*)\))?")
OPTION = re.compile(r"\w+=[^=]*")


def sections(folder: Path, records: Sequence[RunRecord]) -> list[Section]:
    """Returns the protocol of a study, how to repeat it, its settings and its environment."""
    _, shared, environment = settings.sections(records[0])
    name = records[0].path.name
    several = len(by_problem(folder, records)) > 1
    words = (
        f"Those of {name}. Other runs differ in the updater and the seed, under a budget in epochs"
        f"{', and in what belongs to their problem' if several else ''}."
    )
    registered = [Text(sentence) for sentence in registration(folder, records)]
    return [
        *([Section("Protocol", registered)] if registered else []),
        Section("Repeat it", list(_repeat(folder, records))),
        Section(shared.heading, [Text(words), *shared.parts]),
        environment,
    ]


def _repeat(folder: Path, records: Sequence[RunRecord]) -> Iterator[Part]:
    """Yields the command that makes the study again; without it, that of one run."""
    first = records[0]
    file = first.path / settings.CONFIG
    updaters = _updaters(folder)
    if updaters is None or first.config.get("budget"):
        yield Text("Each run can be repeated by its own settings, such as:")
        yield Code(command("nastk", "search", "--config", file, "--out", "runs/again"))
        return
    yield Text("With the folder at hand, this command makes the study again:")
    seeds = ",".join(map(str, sorted({run.config["seed"] for run in records})))
    yield Code(
        command("nastk", "compare", "--config", file, *updaters, "--seeds", seeds,
                "--out", "runs/again")
    )  # fmt: skip


def _updaters(folder: Path) -> list[str] | None:
    """Returns the updaters of a study with their options as arguments of `nastk compare`.

    They are read from `study.json`; None where it is missing, as in an unfinished study, in a study
    of several problems, or where a value has signs that its text does not tell apart.
    """
    try:
        rows = read_json(folder / "study.json")
    except UnreadableError:
        return None
    arguments: list[str] = []
    for row in rows if isinstance(rows, list) else []:
        single = isinstance(row, Mapping) and "problem" not in row
        found = _arguments(row.get("updater")) if single else None
        if found is None:
            return None
        arguments += found
    return arguments or None


def _arguments(label: Any) -> list[str] | None:
    """Returns an updater's label, such as `shapley(samples=4)`, as arguments; None if unclear.

    >>> _arguments("shapley(samples=4)")
    ['--updater', 'shapley,samples=4']
    """
    match = LABEL.fullmatch(label) if isinstance(label, str) else None
    if match is None:
        return None
    name, options = match[1], match[2].split(", ") if match[2] else []
    if not all(OPTION.fullmatch(option) for option in options):
        return None
    return ["--updater", ",".join([name, *options])]
