"""The scores of every operation in the course of a run, with standard errors: `ratings`.

Scores are those of events of kind `watched`. Errors are taken from an updater's report of the same
epoch that holds a table `standard_errors` beside a table equal to the scores: an error of another
quantity than the scores must not be drawn beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose, isfinite, nan
from typing import Any

from nastk.report import RunRecord
from nastk_drawing.charts.curves import ancestry, last_branch

Table = tuple[tuple[float, ...], ...]
"""Edges x operations; NaN where nothing is known."""


@dataclass(frozen=True)
class RatedEdge:
    """An edge: its name, its operations, and those that the run chose (empty while unfinished)."""

    name: str
    operations: tuple[str, ...]
    chosen: tuple[str, ...]


@dataclass(frozen=True)
class Ratings:
    """Scores after some epochs: `scores[i]` and `errors[i]` are tables after `epochs[i]`.

    `errors[i]` is None where the updater reported none.

    Example: `ratings(record).scores[-1][0]` are the last scores on the first edge.
    """

    edges: tuple[RatedEdge, ...]
    epochs: tuple[int, ...]
    scores: tuple[Table, ...]
    errors: tuple[Table | None, ...]

    def course(self, edge: int, operation: int) -> list[float]:
        """Returns the scores of an operation, one for each of the `epochs`."""
        return [table[edge][operation] for table in self.scores]

    def error_course(self, edge: int, operation: int) -> list[float]:
        """Returns the standard errors of an operation's scores; NaN where there is none."""
        return [nan if table is None else table[edge][operation] for table in self.errors]


def ratings(record: RunRecord) -> Ratings | None:
    """Returns the scores on the way to the run's decision; None if its updater gave none."""
    way = ancestry(last_branch(record))
    epochs: list[int] = []
    scores: list[Table] = []
    errors: list[Table | None] = []
    reports: dict[int, Mapping[str, Any]] = {}
    for event in record.history:
        if event.get("branch") not in way:
            continue
        if event["kind"] == "updater-reported" and "standard_errors" in event["values"]:
            reports[event["epoch"]] = event["values"]
        if event["kind"] == "watched" and event.get("scores") is not None:
            table = _table(event["scores"])
            if scores and not _alike_in_form(table, scores[0]):
                continue
            epochs.append(int(event["epoch"]))
            errors.append(_errors(table, reports.get(event["epoch"]), scores, errors))
            scores.append(table)
    if not scores:
        return None
    edges = _edges(record.result.get("architecture"), scores[-1])
    return Ratings(edges, tuple(epochs), tuple(scores), tuple(errors))


def _table(rows: Sequence[Sequence[float | None]]) -> Table:
    """Returns a table of JSON values, with NaN for null."""
    return tuple(tuple(nan if value is None else float(value) for value in row) for row in rows)


def _is_table(value: Any) -> bool:
    """True if a value of a report is a list of lists of numbers."""
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(
            isinstance(row, (list, tuple))
            and all(number is None or isinstance(number, (int, float)) for number in row)
            for row in value
        )
    )


def _alike_in_form(first: Table, second: Table) -> bool:
    return [len(row) for row in first] == [len(row) for row in second]


def _errors(
    table: Table,
    report: Mapping[str, Any] | None,
    scores: Sequence[Table],
    errors: Sequence[Table | None],
) -> Table | None:
    """Returns the errors of a table of scores: those reported with it, or with equal scores."""
    if report is None:
        return errors[-1] if scores and _same(table, scores[-1]) else None
    found = report["standard_errors"]
    if not _is_table(found) or not _alike_in_form(_table(found), table):
        return None
    tables = [_table(value) for name, value in report.items()
              if name != "standard_errors" and _is_table(value)]  # fmt: skip
    return _table(found) if any(_same(table, other) for other in tables) else None


def _same(first: Table, second: Table) -> bool:
    """True if two tables agree wherever both have a number."""
    if not _alike_in_form(first, second):
        return False
    pairs = [
        (one, other)
        for rows in zip(first, second, strict=True)
        for one, other in zip(*rows, strict=True)
        if isfinite(one) and isfinite(other)
    ]
    return bool(pairs) and all(isclose(a, b, rel_tol=1e-5, abs_tol=1e-9) for a, b in pairs)


def _edges(architecture: Any, table: Table) -> tuple[RatedEdge, ...]:
    """Returns the edges of a run's architecture; numbered ones where none is known yet."""
    rows = architecture.get("edges", ()) if isinstance(architecture, Mapping) else ()
    if len(rows) == len(table):
        return tuple(
            RatedEdge(str(row["name"]), tuple(row["operations"]), tuple(row["chosen"]))
            for row in rows
        )
    return tuple(
        RatedEdge(f"edge {number}", tuple(map(str, range(len(row)))), ())
        for number, row in enumerate(table)
    )
