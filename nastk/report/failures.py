"""The runs of a study that failed, in the terminal: `failures_table`."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table


def failures_table(failures: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Returns a table with a row for each failed run: its updater, its seed and the reason.

    Example: `rich.print(failures_table([vars(failure) for failure in study.failures]))`
    """
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    several = len({failure["problem"] for failure in failures}) > 1
    table.add_column("failed", overflow="fold")
    table.add_column("seed", justify="right")
    table.add_column("why", overflow="fold")
    for failure in failures:
        name = f"{failure['label']}, {failure['problem']}" if several else failure["label"]
        table.add_row(name, str(failure["seed"]), str(failure["reason"]))
    return table
