"""Lists as tables: `runs_table` for `nastk runs`, `components_table` for `nastk plugins`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nastk.report.ascii import Plain
from nastk.report.names import data_name
from nastk.report.numbers import percent
from nastk.report.summary import STATES


def runs_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Returns a table with a row for each run, and fewer columns on a narrow terminal.

    `rows` have path, state, space, updater, data, path_of_data, seed, epoch, epochs, accuracy
    (0..1) with the name of its metric, architecture (its id) and started (seconds since 1970, or
    text); missing values and None are shown as `-`.
    """
    return Plain(_Runs(rows))


class _Runs:
    """Renders the table of runs with as many columns as fit."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        unlimited = options.update_width(10_000)
        tables = [self._table(len(COLUMNS) - left_out) for left_out in range(len(COLUMNS) - 1)]
        fitting = (
            table
            for table in tables
            if Measurement.get(console, unlimited, table).maximum <= options.max_width
        )
        yield next(fitting, tables[-1])

    def _table(self, columns: int) -> Table:
        """Returns the table with the first so many of `COLUMNS` beside the path."""
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        table.add_column("run", overflow="fold")
        for heading, _ in COLUMNS[:columns]:
            table.add_column(
                heading, no_wrap=True, justify="right" if heading in NUMBERS else "left"
            )
        for row in self._rows:
            table.add_row(Text(str(row["path"])), *(words(row) for _, words in COLUMNS[:columns]))
        return table


def _state(row: Mapping[str, Any]) -> Text:
    state = str(row.get("state") or "-")
    return Text(state, STATES.get(state, ""))


def _epochs(row: Mapping[str, Any]) -> Text:
    done = str(row.get("epoch") or 0)
    return Text(f"{done}/{row['epochs']}" if row.get("epochs") else done)


def _accuracy(row: Mapping[str, Any]) -> Text:
    """Returns the accuracy of a run with what it is: `93.76 % table test`."""
    accuracy = row.get("accuracy")
    words = str(row.get("metric") or "").replace("accuracy", "").replace("_", " ").split()
    return Text("-" if accuracy is None else " ".join([f"{percent(accuracy):>7}", *words]))


def _search(row: Mapping[str, Any]) -> Text:
    """Returns a run's updater, space, data and seed."""
    data = {"name": str(row.get("data") or "-"), "options": {"path": row.get("path_of_data")}}
    words = [*(str(row.get(key) or "-") for key in ("updater", "space")), data_name(data)]
    return Text(" ".join(words) + ("" if row.get("seed") is None else f" #{row['seed']}"))


def _architecture(row: Mapping[str, Any]) -> Text:
    return Text(str(row.get("architecture") or "-"))


def _started(row: Mapping[str, Any]) -> Text:
    """Returns the start in this machine's time zone; a text is returned as it is."""
    value = row.get("started")
    if isinstance(value, (int, float)):
        return Text(datetime.fromtimestamp(value).strftime("%Y-%m-%d %H:%M"))
    return Text("-" if value is None else str(value))


COLUMNS = (
    ("state", _state),
    ("epochs", _epochs),
    ("accuracy", _accuracy),
    ("updater, space, data, seed", _search),
    ("started", _started),
    ("architecture", _architecture),
)
"""The columns beside the path; narrow terminals leave out the last ones."""
NUMBERS = ("epochs",)


def components_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Returns a table of components, grouped by kind.

    `rows` have kind, name, summary, distribution and version.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", style="dim")
    for number, kind in enumerate(dict.fromkeys(str(row["kind"]) for row in rows)):
        if number:
            table.add_row()
        table.add_row(Text(kind, "bold cyan"))
        for row in rows:
            if row["kind"] == kind:
                package = f"{row.get('distribution') or ''} {row.get('version') or ''}".strip()
                table.add_row(Text(f"  {row['name']}"), Text(str(row["summary"])), Text(package))
    return Plain(table)
