"""How a study is made again: `repeated`, from its protocol or from its runs' configurations.

What the runs of a problem share becomes a config file of `nastk compare`, a part of it for all
problems and a part for one; updaters get the options that their labels name, or all where that is
not enough. Each run is resolved to compare it with the old one: what would differ is an error.
"""

import ast
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nastk.base.component import ComponentSpec
from nastk.base.errors import ConfigurationError
from nastk.base.spending import spending
from nastk.runs.config import NO_PRESET, resolve
from nastk.runs.own_preset import with_own_preset
from nastk.runs.problem import Problem, problems
from nastk.runs.protocol import Protocol

OF_STUDY = ("space", "data", "updater", "seed")
"""Keys of a configuration that no problem has for itself."""
FREE = ("seed", "device", "preset")
"""Keys in which a run may differ and be the same."""


@dataclass(frozen=True)
class Repeated:
    """What makes a study again: the content of a config file, and what is asked for beside it.

    `is_plain` is True where the `config.json` of any of its runs serves as that file. `remarks` are
    sentences on how the new study may differ.

    Example: `repeated(Path("runs/study"), {"darts-seed0": config}).updaters`
    """

    config: Mapping[str, Any]
    updaters: Sequence[ComponentSpec]
    seeds: Sequence[int]
    budget: str | None = None
    metric: str | None = None
    is_plain: bool = False
    remarks: Sequence[str] = field(default=())


@dataclass(frozen=True)
class _Row:
    """The runs of an updater on a problem: its label, their configuration, and their seeds."""

    label: str
    config: Mapping[str, Any]
    seeds: Sequence[int]


@dataclass(frozen=True)
class _Place:
    """A problem and what was run on it, at least one updater."""

    problem: Problem
    rows: Sequence[_Row]

    def shared(self) -> dict[str, Any]:
        """Returns the settings that all runs share, but for space and data, as a request.

        Under a budget, or where presets differ, that is not all of the trainer's options.
        """
        first = self.rows[0].config
        found = {
            key: value
            for key, value in first.items()
            if key not in OF_STUDY and value is not None and (key, value) != ("device", "auto")
        }
        trainer = {
            name: value
            for name, value in first["trainer"].items()
            if all(row.config["trainer"][name] == value for row in self.rows)
            and not (name == "epochs" and first["budget"] is not None)
        }
        return {**found, "preset": first["preset"] or NO_PRESET, "trainer": trainer}


def repeated(folder: Path, configs: Mapping[str, Mapping[str, Any]]) -> Repeated:
    """Returns what makes the study in a folder again.

    `configs` are the configurations of its runs by the names of their folders; they are read where
    the study has no protocol.

    Raises:
        ConfigurationError: no command makes it; says why.
    """
    protocol = Protocol.read(folder)
    rows = list(_registered(protocol) if protocol else _found(configs))
    places = _places(rows)
    request = _request(places)
    updaters = [
        _updater(label, places, request) for label in dict.fromkeys(row.label for row in rows)
    ]
    seeds = sorted({seed for row in rows for seed in row.seeds})
    is_whole = len(rows) == len(updaters) * len(places) and all(
        len(row.seeds) == len(seeds) for row in rows
    )
    budgets = {row.config["budget"] for row in rows if row.config["budget"] is not None}
    alike = {json.dumps([row.config["trainer"], row.config["preset"]]) for row in rows}
    budget = request.pop("budget", None)
    return Repeated(
        {**_named(places), **request},
        updaters,
        seeds,
        budget,
        protocol.metric if protocol else None,
        is_plain=len(places) == len(alike) == 1 and not budgets,
        remarks=list(_remarks(is_whole, budgets)),
    )


def _registered(protocol: Protocol) -> Iterator[_Row]:
    """Yields the rows of a protocol."""
    for row in protocol.rows.values():
        yield _Row(row["updater"], _complete(row["config"]), [int(seed) for seed in row["seeds"]])


def _found(configs: Mapping[str, Mapping[str, Any]]) -> Iterator[_Row]:
    """Yields the rows of a study without a protocol, labelled as its folders are."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for name, config in configs.items():
        by_name.setdefault(name.rpartition("-seed")[0], []).append(config)
    for name, runs in by_name.items():
        label = name.partition("--")[2] or name
        yield _Row(label, _complete(runs[0]), [run["seed"] for run in runs])


def _complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration, perhaps of an earlier version, with every present key."""
    return resolve(config).model_dump(mode="json")


def _places(rows: Sequence[_Row]) -> list[_Place]:
    """Returns the problems of a study: every space on every data set."""
    spaces = _distinct(row.config["space"] for row in rows)
    datas = _distinct(row.config["data"] for row in rows)
    found = []
    for problem in problems(spaces, datas):
        here = {"space": vars(problem.space), "data": vars(problem.data)}
        own = [row for row in rows if all(row.config[key] == here[key] for key in here)]
        if not own:
            raise ConfigurationError(
                f"Nothing was run on {problem.label}, and nastk compare has every space on every "
                "data set."
            )
        found.append(_Place(problem, own))
    return found


def _distinct(values: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns each value once, in their order."""
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())


def _request(places: Sequence[_Place]) -> dict[str, Any]:
    """Returns the settings of all problems as keys of `compare`, but for spaces and data."""
    own = {place.problem.label: place.shared() for place in places}
    common = _common(list(own.values()))
    if trainer := _common([each["trainer"] for each in own.values()]):
        common["trainer"] = trainer
    mine = {label: _without(each, common) for label, each in own.items()}
    for each in mine.values():
        if "trainer" in each:
            each["trainer"] = _without(each["trainer"], trainer)
    mine = {label: each for label, each in mine.items() if each}
    return {**common, "problems": mine} if mine else common


def _common(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the items that all mappings have."""
    return {
        key: value
        for key, value in values[0].items()
        if all(key in each and each[key] == value for each in values)
    }


def _without(value: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the items of a mapping that are not among the common ones."""
    return {key: one for key, one in value.items() if key not in common or common[key] != one}


def _named(places: Sequence[_Place]) -> dict[str, Any]:
    """Returns the spaces and the data sets as a config file has them."""
    found = {
        "space": _distinct(place.rows[0].config["space"] for place in places),
        "data": _distinct(place.rows[0].config["data"] for place in places),
    }
    return {key: several if len(several) > 1 else several[0] for key, several in found.items()}


def _updater(label: str, places: Sequence[_Place], request: Mapping[str, Any]) -> ComponentSpec:
    """Returns an updater with as few options as give all its runs their settings.

    Raises:
        ConfigurationError: not even all options do.
    """
    runs = [(place.problem, row) for place in places for row in place.rows if row.label == label]
    whole = runs[0][1].config["updater"]
    for options in (_given(label), whole["options"]):
        spec = ComponentSpec(whole["name"], options)
        differing = {key for run in runs for key in _differing(spec, *run, request)}
        if not differing:
            return spec
    raise ConfigurationError(
        f"No config file gives {label} its {', '.join(sorted(differing))} beside the others."
    )


def _given(label: str) -> dict[str, Any]:
    """Returns the options that an updater's label names, as far as their values can be told.

    >>> _given("gm(inner=darts, splits=[1, 2], partition=min-cut)")
    {'inner': 'darts', 'splits': [1, 2], 'partition': 'min-cut'}
    """
    call = f"options({label.partition('(')[2]}" if "(" in label else "options()"
    try:
        keywords = ast.parse(call, mode="eval").body.keywords  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, AttributeError):
        return {}
    found: dict[str, Any] = {}
    for keyword in keywords:
        name = str(keyword.arg)
        try:
            found[name] = ast.literal_eval(keyword.value)
        except ValueError:
            found[name] = ast.get_source_segment(call, keyword.value)
    return found


def _differing(
    spec: ComponentSpec, problem: Problem, row: _Row, request: Mapping[str, Any]
) -> list[str]:
    """Returns the keys in which a run of the repeated study would differ from that of a row."""
    plain = {key: value for key, value in request.items() if key != "problems"}
    own = replace(problem, own=request.get("problems", {}))
    try:
        asked = with_own_preset({**own.request(plain), "updater": spec})
        if asked.get("budget") is not None:
            asked["trainer"] = {**asked["trainer"], "epochs": row.config["trainer"]["epochs"]}
        found = _complete(asked)
    except ConfigurationError:  # of a value that its text does not tell, or a preset that is gone
        return ["updater"]
    return [key for key in found if key not in FREE and found[key] != row.config[key]]


def _remarks(is_whole: bool, budgets: Iterable[str]) -> Iterator[str]:
    """Yields how the new study may differ."""
    if not is_whole:
        yield (
            "Not every updater had every seed on every problem; this runs all of them with all "
            "seeds."
        )
    if any(spending(budget)[0] != "images" for budget in budgets):
        yield "A budget in seconds may give other epochs on another machine."
