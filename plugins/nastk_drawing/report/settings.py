"""Sections on how to repeat a run: the command, every setting, the environment."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nastk.base import command
from nastk.cli import beginning
from nastk.report import RunRecord
from nastk_drawing.report.parts import Code, Details, Heading, Pairs, Part, Section, Text

CONFIG = "config.json"
UNSET = "–"
COMPONENTS = ("space", "updater", "data")


def sections(record: RunRecord) -> Iterator[Section]:
    """Yields three sections: how to repeat the run, its settings, and where it was computed."""
    yield Section("Repeat it", list(_repeat(record)))
    yield Section("Settings", list(_settings(record.config)))
    yield Section("Environment", list(_environment(record)))


def _repeat(record: RunRecord) -> Iterator[Part]:
    """Yields the command that runs the same search, with the file that it takes."""
    yield Text("With the run folder at hand, this command searches again, with the same settings:")
    again = ("--config", record.path / CONFIG, *beginning(record), "--out", "runs/again")
    yield Code(command("nastk", "search", *again))
    text = json.dumps(record.config, indent=2)
    yield Details(f"Without the folder: save this as {CONFIG}", [Code(text)])


def _settings(config: Mapping[str, Any]) -> Iterator[Part]:
    """Yields the settings: a list for each component, then the others."""
    yield Text("Every setting in use, defaults included; what is unset is left out.")
    for name in COMPONENTS:
        section = config[name]
        yield Heading(f"{name}: {section['name']}")
        yield _pairs(section["options"])
    yield Heading("trainer")
    yield _pairs(config["trainer"])
    rest = {
        key: value for key, value in config.items()
        if key not in (*COMPONENTS, "trainer") and value not in (None, [], {})
    }  # fmt: skip
    lists = {key: value for key, value in rest.items() if _are_components(value)}
    for key, value in lists.items():
        for one in value:
            yield Heading(f"{key.removesuffix('s')}: {one['name']}")
            yield _pairs(one.get("options") or {})
    yield Heading("run")
    yield _pairs({key: value for key, value in rest.items() if key not in lists})


def _pairs(values: Mapping[str, Any]) -> Part:
    """Returns the settings that are set."""
    found = [(name, text) for name, text in flat(values) if text != UNSET]
    return Pairs(found) if found else Text("nothing is set")


def _are_components(value: Any) -> bool:
    """True if a setting is a list of components, such as the evaluators."""
    return isinstance(value, list) and all(
        isinstance(one, Mapping) and "name" in one for one in value
    )


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields settings as (name, text); those within others as `outer.inner`."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value, 1):
                yield from (
                    flat(one, f"{name} {number}.") if isinstance(one, Mapping)
                    else [(f"{name} {number}", _text(one))]
                )  # fmt: skip
        else:
            yield name, _text(value)


def _text(value: Any) -> str:
    """Returns the value of a setting as text."""
    if value is None or isinstance(value, bool):
        return {None: UNSET, True: "yes", False: "no"}[value]
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or UNSET
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _environment(record: RunRecord) -> Iterator[Part]:
    """Yields versions and machines, each where it began to work on the run."""
    if not record.environments:
        yield Text("The run folder does not say: it was written by an earlier version of nastk.")
    for number, one in enumerate(record.environments):
        if number:
            yield Heading("resumed in another environment")
        yield Pairs([(str(name), str(value)) for name, value in one.items()])
