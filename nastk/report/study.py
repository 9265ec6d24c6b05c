"""The table of a study in the terminal: an updater a row, mean and deviation over the seeds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.report.numbers import alike, counted, metric

NARROWEST = 12
FEW = 5
"""Seeds from which on a deviation says something."""
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
    names = _names(rows)
    constant = [name for name in names if name not in FIRST and _is_constant(name, rows)]
    for name in names:
        if name not in constant:
            table.add_row(name.replace("_", " "), *_cells(name, rows))
    legend = [
        Text.assemble((f"{heading}  ", "bold"), str(row["updater"]).partition("(")[2][:-1])
        for heading, row in zip(headings, rows, strict=True)
        if "(" in str(row["updater"])
    ]
    notes = [Text(note, "dim") for note in (_same(constant, rows), _caution(rows)) if note]
    below = [*legend, *notes]
    return Group(table, *([Text(), *below] if below else []))


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


def _is_constant(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a metric has the same value in every run of several updaters."""
    found = [row["metrics"].get(name) for row in rows]
    return len(rows) > 1 and all(
        one is not None and one["mean"] == found[0]["mean"] and not one["std"] for one in found
    )


def _same(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """What has the same value in every run, in one line."""
    values = {name: rows[0]["metrics"][name]["mean"] for name in names}
    words = ", ".join(f"{key.replace('_', ' ')} {metric(key, one)}" for key, one in values.items())
    return f"The same in every run: {words}." if words else ""


def _caution(rows: Sequence[Mapping[str, Any]]) -> str:
    """What a reader should keep in mind where there are few seeds."""
    seeds = min((len(row["seeds"]) for row in rows), default=FEW)
    if seeds >= FEW:
        return ""
    spread = "no deviation is known" if seeds == 1 else "a deviation of so few is a guess"
    return f"{counted(seeds, 'seed')}: {spread}; a difference may be chance."


def _cells(name: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[Text]:
    """The cells of a row: means, with their deviations where there are some, written alike."""
    spreads = [row["metrics"].get(name) for row in rows]
    known = [one for one in spreads if one is not None]
    words = alike(name, [*(one["mean"] for one in known), *(one["std"] or 0.0 for one in known)])
    for one in spreads:
        if one is None:
            yield Text("-")
        else:
            deviation = f"\n± {words(one['std'])}" if one["std"] else ""
            yield Text(f"{words(one['mean'])}{deviation}")
