"""How a study was registered, how to repeat it, and the settings that its runs share."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from nastk import NastkError
from nastk.base import command
from nastk.cli import beginning, registration, repetition, warm_up
from nastk.report import RunRecord
from nastk_drawing.report import settings
from nastk_drawing.report.parts import Code, Details, Part, Section, Text
from nastk_drawing.study_runs import by_problem

FILE = "again.json"
"""The name of the config file that makes a study again, in the report's words."""


def sections(folder: Path, records: Sequence[RunRecord]) -> list[Section]:
    """Returns how a study began, its protocol, how to repeat it, its settings, its environment."""
    _, shared, environment = settings.sections(records[0])
    name = records[0].path.name
    problems = by_problem(folder, records)
    several = len(problems) > 1
    words = (
        f"Those of {name}. Other runs differ in the updater and the seed, under a budget in epochs"
        f"{', and in what belongs to their problem' if several else ''}."
    )
    registered = [Text(sentence) for sentence in registration(folder, records)]
    warmed_up = [Text(sentence) for sentence in warm_up(folder, problems)]
    return [
        *([Section("Shared warm-up", warmed_up)] if warmed_up else []),
        *([Section("Protocol", registered)] if registered else []),
        Section("Repeat it", list(_repeat(folder, records))),
        Section(shared.heading, [Text(words), *shared.parts]),
        environment,
    ]


def _repeat(folder: Path, records: Sequence[RunRecord]) -> Iterator[Part]:
    """Yields the command that makes the study again; without one, why, and that of one run."""
    own = records[0].path / settings.CONFIG
    try:
        found = repetition(folder, records)
    except NastkError as error:
        yield Text(f"No single command makes this study again: {error}")
        yield Text("Each run can be repeated by its own settings, such as:")
        again = ("--config", own, *beginning(records[0]), "--out", "runs/again")
        yield Code(command("nastk", "search", *again))
        return
    given = "With the folder at hand" if found.file is None else f"With the file {FILE}"
    yield Text(f"{given}, this command makes the study again:")
    file = own if found.file is None else FILE
    words = ("--config", file, *found.arguments, "--out", "runs/again")
    yield Code(command("nastk", "compare", *words))
    if found.file is not None:
        yield Details(f"Save this as {FILE}", [Code(json.dumps(found.file, indent=2))])
    yield from map(Text, found.remarks)
