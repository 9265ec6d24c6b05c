"""The table of a study in the terminal: a column for each updater, a row for each metric."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.base.component import ComponentSpec
from nastk.report.numbers import alike, counted, metric

NARROWEST = 12
FEW = 5
"""From so many seeds on, a deviation is shown without a caution."""
FIRST = ("valid_accuracy", "test_accuracy", "parameters", "multiply_adds")
USUAL = ("accuracy", "rank", "kendall", "parameters", "multiply_adds", "images", "seconds")
"""Beginnings or ends of the names of metrics that are shown where not all are asked for."""


def study_table(rows: Sequence[Mapping[str, Any]], every: bool = False) -> RenderableType:
    """Returns a table of every updater's metrics: mean and deviation over the seeds.

    `rows` are those of `Study.rows`. The head of a column is an updater's name alone; its options
    are listed below the table. Only the usual metrics are shown unless `every` is True.

    Example: `rich.print(study_table(study.rows))`
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("metric", style="dim", overflow="fold", min_width=NARROWEST)
    headings = _headings([str(row["updater"]) for row in rows])
    for heading, row in zip(headings, rows, strict=True):
        seeds = len(row["seeds"])
        table.add_column(Text(f"{heading}\n{seeds} seed{'s' if seeds != 1 else ''}"), no_wrap=True)
    known = _names(rows)
    names = known if every else [name for name in known if _is_usual(name)]
    constant = [name for name in names if name not in FIRST and _is_constant(name, rows)]
    for name in names:
        if name not in constant:
            table.add_row(name.replace("_", " "), *_cells(name, rows))
    legend = [
        Text.assemble((f"{heading}  ", "bold"), str(row["updater"]).partition("(")[2][:-1])
        for heading, row in zip(headings, rows, strict=True)
        if "(" in str(row["updater"])
    ]
    left_out = len(known) - len(names)
    more = f"{counted(left_out, 'more metric')} with --all." if left_out else ""
    notes = [Text(note, "dim") for note in (_same(constant, rows), more, _caution(rows)) if note]
    below = [*legend, *notes]
    return Group(table, *([Text(), *below] if below else []))


def _headings(labels: Sequence[str]) -> list[str]:
    """Returns the updaters' names; a name that is there several times gets numbers."""
    names = [ComponentSpec.name_in(label) for label in labels]
    return [
        f"{name} {names[: column + 1].count(name)}" if names.count(name) > 1 else name
        for column, name in enumerate(names)
    ]


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the metrics of all rows: those of `FIRST`, then the others in their order."""
    every = (name for row in rows for name in row["metrics"])
    # The mean over runs of an end of a confidence interval has no meaning.
    names = dict.fromkeys(name for name in every if not name.endswith(("_low", "_high")))
    return [*(name for name in FIRST if name in names), *(n for n in names if n not in FIRST)]


def _is_usual(name: str) -> bool:
    """True if a metric is among the usual ones."""
    return name.startswith(USUAL) or name.endswith(USUAL)


def _is_constant(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """True if a metric has the same value in every run of several updaters."""
    spreads = [row["metrics"].get(name) for row in rows]
    return len(rows) > 1 and all(
        spread is not None and spread["mean"] == spreads[0]["mean"] and not spread["std"]
        for spread in spreads
    )


def _same(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns a line with the metrics that are the same in every run, and their values."""
    values = {name: rows[0]["metrics"][name]["mean"] for name in names}
    words = ", ".join(
        f"{name.replace('_', ' ')} {metric(name, value)}" for name, value in values.items()
    )
    return f"The same in every run: {words}." if words else ""


def _caution(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns a caution about few seeds, or an empty text."""
    seeds = min((len(row["seeds"]) for row in rows), default=FEW)
    if seeds >= FEW:
        return ""
    spread = "no deviation is known" if seeds == 1 else "a deviation of so few is a guess"
    return f"{counted(seeds, 'seed')}: {spread}; a difference may be chance."


def _cells(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """Yields the cells of a metric's row: means with their deviations, if any, in one format."""
    spreads = [row["metrics"].get(name) for row in rows]
    known = [spread for spread in spreads if spread is not None]
    values = [*(spread["mean"] for spread in known), *(spread["std"] or 0.0 for spread in known)]
    words = alike(name, values)
    for spread in spreads:
        if spread is None:
            yield Text("-")
        else:
            deviation = f"\n± {words(spread['std'])}" if spread["std"] else ""
            yield Text(f"{words(spread['mean'])}{deviation}")
