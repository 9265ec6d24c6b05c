"""The table of a study in the terminal: an updater a row, mean and deviation over the seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.report.numbers import metric

NARROWEST = 12
FIRST = ("valid_accuracy", "test_accuracy", "parameters", "multiply_adds")


def study_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Every updater of a study with its metrics; `rows` are those of `Study.rows`.

    A column has an updater's name alone; its options stand below the table.

    Example: `rich.print(study_table(study.rows))`
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("metric", style="dim", overflow="fold", min_width=NARROWEST)
    headings = _headings([str(row["updater"]) for row in rows])
    for heading, row in zip(headings, rows, strict=True):
        seeds = len(row["seeds"])
        table.add_column(Text(f"{heading}\n{seeds} seed{'s' if seeds != 1 else ''}"), no_wrap=True)
    for name in _names(rows):
        table.add_row(name.replace("_", " "), *(_cell(name, row) for row in rows))
    legend = [
        Text.assemble((f"{heading}  ", "bold"), str(row["updater"]).partition("(")[2][:-1])
        for heading, row in zip(headings, rows, strict=True)
        if "(" in str(row["updater"])
    ]
    return Group(table, *([Text(), *legend] if legend else []))


def _headings(labels: Sequence[str]) -> list[str]:
    """The updaters' names, numbered where one stands there several times with other options."""
    names = [label.partition("(")[0] for label in labels]
    return [
        f"{name} {names[: place + 1].count(name)}" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    ]


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics of all rows: the usual ones first, then the others as they come."""
    every = (name for row in rows for name in row["metrics"])
    # The ends of a run's interval have no mean over runs worth reading.
    found = dict.fromkeys(name for name in every if not name.endswith(("_low", "_high")))
    return [*(name for name in FIRST if name in found), *(n for n in found if n not in FIRST)]


def _cell(name: str, row: Mapping[str, Any]) -> Text:
    spread = row["metrics"].get(name)
    if spread is None:
        return Text("-")
    deviation = "" if spread["std"] is None else f"\n± {metric(name, spread['std'])}"
    return Text(f"{metric(name, spread['mean'])}{deviation}")
