"""What a search without a supernet evaluated, in a summary: `searched`."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from nastk.base.events import EvaluationReport
from nastk.report.curves import sparkline
from nastk.report.numbers import counted, metric


def searched(history: Sequence[Mapping[str, Any]]) -> RenderableType | None:
    """Returns the number of evaluations and the course of the best; None if there were none."""
    reports = [report for event in history if (report := EvaluationReport.read(event)) is not None]
    if not reports:
        return None
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    known = sum(report.repeats for report in reports)
    repeats = f"{counted(known, 'proposal')} known before" if known else ""
    table.add_row("evaluations", repeats, f"{len(reports):,}")
    failed = sum(report.value is None for report in reports)
    if failed:
        table.add_row("failed evaluations", "", f"{failed:,}")
    course = [report.best for report in reports if report.best is not None]
    if course:
        name, best = reports[-1].metric, course[-1]
        first = next(report.number for report in reports if report.best == best)
        table.add_row(f"best {name.replace('_', ' ')}", sparkline(course), metric(name, best))
        table.add_row("found by evaluation", "", f"{first:,}")
    return table
