"""The table of a study in the terminal: an updater a row, mean and deviation over the seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nastk.report.numbers import metric

FIRST = ("valid_accuracy", "test_accuracy", "parameters", "multiply_adds")


def study_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Every updater of a study with its metrics; `rows` are those of `Study.rows`.

    Example: `rich.print(study_table(study.rows))`
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("metric", style="dim", overflow="fold")
    for row in rows:
        seeds = len(row["seeds"])
        table.add_column(Text(f"{row['updater']}\n{seeds} seed{'s' if seeds != 1 else ''}"))
    for name in _names(rows):
        table.add_row(name.replace("_", " "), *(_cell(name, row) for row in rows))
    return table


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
