"""A row of the result, and how rows are shown: one JSON object a line, or a table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.timing import Ratio


@dataclass(frozen=True)
class Row:
    """One work's figures; `failed` says why there are none.

    `at_least` and `aim` are the bounds that the project set itself; `extra` are further figures.

    Example: `Row("data", 5, "times as fast", 6.0, 12.0, ratio=Ratio(7.4, 7.1, 7.9)).to_json()`
    """

    work: str
    runs: int
    unit: str
    at_least: float
    aim: float
    lower_is_better: bool = False
    ratio: Ratio | None = None
    failed: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def reached(self) -> str:
        """`aim`, `at least`, `no`, or `failed`."""
        if self.ratio is None:
            return "failed"
        sign = -1 if self.lower_is_better else 1
        for word, bound in (("aim", self.aim), ("at least", self.at_least)):
            if sign * self.ratio.value >= sign * bound:
                return word
        return "no"

    def to_json(self) -> dict[str, Any]:
        """A JSON object: `work`, `ratio`, `low`, `high`, `runs` and what else is known."""
        bounds = {
            "unit": self.unit,
            "at_least": self.at_least,
            "aim": self.aim,
            "lower_is_better": self.lower_is_better,
        }
        if self.ratio is None:
            found: dict[str, Any] = {"work": self.work, "failed": self.failed, "runs": self.runs}
        else:
            value, low, high = (round(each, 4) for each in self.ratio)
            found = {"work": self.work, "ratio": value, "low": low, "high": high, "runs": self.runs}
        return {**found, **bounds, **self.extra}


def print_json(row: Row) -> None:
    """One line of JSON on stdout, as soon as it is known."""
    print(json.dumps(row.to_json()), flush=True)


def table(rows: Sequence[Row]) -> Table:
    """All rows beside their bounds."""
    shown = Table(title="nastk and a textbook supernet, one process, own CPU seconds")
    for name in ("work", "ratio", "range", "at least", "aim", "reached", "unit"):
        shown.add_column(name, justify="left" if name in ("work", "unit") else "right")
    for row in rows:
        value, span = "–", row.failed or ""
        if row.ratio is not None:
            value, span = f"{row.ratio.value:.2f}", f"{row.ratio.low:.2f} – {row.ratio.high:.2f}"
        bounds = [f"{row.at_least:g}", f"{row.aim:g}", row.reached]
        shown.add_row(row.work, value, span, *bounds, row.unit)
    return shown


def print_table(rows: Sequence[Row]) -> None:
    """The table on stdout, and beneath it what each row was measured with."""
    console = Console(highlight=False)
    console.print(table(rows))
    for row in rows:
        facts = ", ".join(f"{name} {_shown(value)}" for name, value in row.extra.items())
        console.print(f"{row.work}: {facts}", markup=False)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_shown(each)}" for name, each in value.items()) + ")"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
