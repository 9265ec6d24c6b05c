"""Training curves as sparklines: a row for each branch, with the tree of branches."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nastk.report.numbers import percent

BARS = "▁▂▃▄▅▆▇█"
NARROW, WIDTH = 5, 24
"""Least and most columns of a sparkline; longer curves show means of adjacent epochs."""


def sparkline(values: Sequence[float], width: int = WIDTH) -> str:
    """Returns values as bars; the lowest bar is the least value, the highest the greatest.

    >>> sparkline([1.0, 2.0, 3.0, 8.0])
    '▁▂▃█'
    """
    shown = [value for value in _shorten(values, width) if value == value]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if not high - low < float("inf"):
        return "?" * len(shown)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in shown)


class Curves:
    """Renders loss and accuracy of each branch over its epochs, as wide as the terminal allows.

    `history` holds events, of which those of kind `epoch-done` are used. `branches` maps the names
    of branches to these events.

    Example: `rich.print(Curves(folder.events()))`
    """

    def __init__(self, history: Sequence[Mapping[str, Any]]) -> None:
        self.branches: dict[str, list[Mapping[str, Any]]] = {}
        for event in history:
            # Without a supernet nothing was trained, and there was no rate.
            trained = event.get("learning_rate", 0.0) is not None
            if event.get("kind", "epoch-done") == "epoch-done" and trained:
                self.branches.setdefault(str(event["branch"]), []).append(event)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        spare = (
            options.max_width
            - Measurement.get(console, options.update_width(10_000), self.table(0)).maximum
        )
        yield self.table(min(max(spare // 2, NARROW), WIDTH))

    def table(self, width: int) -> Table:
        """Returns a row for each branch; sparklines have at most `width` columns."""
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("branch", no_wrap=True)
        table.add_column("epochs", no_wrap=True, justify="right")
        for heading in ("loss", "accuracy"):
            table.add_column(heading, no_wrap=True)
            table.add_column("", no_wrap=True, justify="right")
        for name, guide in branch_tree(list(self.branches)):
            epochs = self.branches[name]
            losses = [float(event["loss"]) for event in epochs]
            accuracies = [float(event["accuracy"]) for event in epochs]
            table.add_row(
                Text.assemble((guide, "dim"), name), _span(epochs),
                Text(sparkline(losses, width), "cyan"), f"{losses[-1]:.3f}",
                Text(sparkline(accuracies, width), "green"), percent(accuracies[-1]),
            )  # fmt: skip
        return table


def branch_tree(names: Sequence[str]) -> list[tuple[str, str]]:
    """Returns branch names in the order of a tree, each with the lines that are drawn before it.

    A branch `0.1` is a child of `0`; parents that are not among `names` are skipped.

    >>> branch_tree(["0", "0.0", "0.1"])
    [('0', ''), ('0.0', '├─ '), ('0.1', '└─ ')]
    """
    ordered = sorted(names, key=_path)
    parents = {name: _parent(name, ordered) for name in ordered}
    rows: list[tuple[str, str]] = []

    def walk(parent: str | None, lead: str) -> None:
        children = [name for name in ordered if parents[name] == parent]
        for name in children:
            last = name == children[-1]
            rows.append((name, "" if parent is None else lead + ("└─ " if last else "├─ ")))
            walk(name, "" if parent is None else lead + ("   " if last else "│  "))

    walk(None, "")
    return rows


def _parent(name: str, known: Sequence[str]) -> str | None:
    """Returns the nearest ancestor of a branch that is among the `known` ones, or None."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in known:
            return name
    return None


def _path(name: str) -> list[tuple[bool, int, str]]:
    """Returns a sort key that puts `0.2` before `0.10`."""
    return [
        (not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split(".")
    ]


def _span(epochs: Sequence[Mapping[str, Any]]) -> str:
    """Returns the first and last epoch as text: `3–4`, or `3` for a single one."""
    first, last = epochs[0].get("epoch"), epochs[-1].get("epoch")
    return f"{first}" if first == last else f"{first}–{last}"


def _shorten(values: Sequence[float], width: int) -> list[float]:
    """Returns at most `width` values, each the mean of a part of `values`."""
    if len(values) <= width:
        return list(values)
    if not width:
        return []
    cuts = [round(column * len(values) / width) for column in range(width + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(cuts)]
