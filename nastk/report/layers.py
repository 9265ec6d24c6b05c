"""Puts a cell into columns, with few crossings: the first half of a layered drawing.

Nodes stand in even columns, in the order of their depth. A link is a route through every column
between its nodes: in one odd column it carries its label, in the others it has a bend that keeps it
apart from what stands there. Labels and nodes are then items of columns like any other, so that
nothing can be drawn over them. Method: Sugiyama, Tagawa and Toda, "Methods for visual understanding
of hierarchical system structures" (1981), with the label columns of Gansner et al., "A technique
for drawing directed graphs" (1993). Next: `positions.py`, which gives the items their places.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from nastk.report.graph import Graph, Link

STARTS = 8
"""Orders that are tried to begin with; the first is the natural one."""


@dataclass(eq=False)
class Item:
    """Something that stands in a column: a node, a label or a bend. Sizes in points.

    `row` is its place in the column, counted from the top; `y` is set by `positions.settle`.
    """

    column: int
    kind: str
    width: float = 0.0
    height: float = 0.0
    node: int = -1
    row: int = 0
    y: float = 0.0
    before: list["Item"] = field(default_factory=list)
    after: list["Item"] = field(default_factory=list)


@dataclass(eq=False)
class Route:
    """The items a link passes, source to target; `link` is None where outputs are joined."""

    items: list[Item]
    link: Link | None


Order = list[list[Item]]
"""Items column by column from left to right, each column from top to bottom."""


def columns(
    graph: Graph,
    label_size: Callable[[Link], tuple[float, float]],
    node_size: Callable[[int], tuple[float, float]],
) -> tuple[Order, list[Route]]:
    """The items of a cell in the order of its nodes and links, and the routes through them.

    `label_size` and `node_size` say the (width, height) of a box, in points.
    """
    depth = _depths(graph)
    items = {node: Item(2 * depth[node], "node", *node_size(node), node) for node in graph.nodes}
    order: Order = [[] for _ in range(2 * depth[graph.output] + 1)]
    for item in items.values():
        order[item.column].append(item)
    load = [0] * len(order)
    routes = []
    for link in sorted(
        graph.links,
        key=lambda link: (depth[link.node] - depth[link.source], link.node, link.source),
    ):
        middle = _label_column(items[link.source].column, items[link.node].column, load)
        routes.append(
            _route(
                order,
                items[link.source],
                items[link.node],
                link,
                Item(middle, "label", *label_size(link)),
            )
        )
    for node in graph.joined:
        routes.append(_route(order, items[node], items[graph.output], None, None))
    return order, routes


def orders(natural: Order, seed: int = 0) -> list[Order]:
    """Orders of the columns with the fewest crossings found, starting from `natural` and chance."""
    rng = random.Random(seed)
    found: list[Order] = []
    fewest = -1
    for start in range(STARTS):
        order = [list(column) for column in natural]
        if start:
            for column in order:
                rng.shuffle(column)
        _improve(order)
        count = crossings(order)
        if fewest < 0 or count < fewest:
            fewest, found = count, []
        if count == fewest and order not in found:
            found.append(order)
    return found


def crossings(order: Order) -> int:
    """How many pairs of route segments cross."""
    _number(order)
    return sum(
        _pair(upper, lower, "after")
        for column in order
        for row, upper in enumerate(column)
        for lower in column[row + 1 :]
    )


def _depths(graph: Graph) -> dict[int, int]:
    """The longest way to each node from an input; the output stands behind all others."""
    depth = dict.fromkeys(graph.inputs, 0)
    for node in graph.middle:
        depth[node] = max((depth[link.source] + 1 for link in graph.into(node)), default=1)
    depth[graph.output] = max(depth.values()) + 1
    return depth


def _label_column(first: int, last: int, load: list[int]) -> int:
    """The odd column between two nodes with the fewest labels so far; the left one of equals."""
    column = min(range(first + 1, last, 2), key=lambda column: load[column])
    load[column] += 1
    return column


def _route(
    order: Order, source: Item, target: Item, link: Link | None, label: Item | None
) -> Route:
    """Lay a route from `source` to `target`: its label in the label's column, bends elsewhere."""
    items = [source]
    for column in range(source.column + 1, target.column):
        item = label if label is not None and label.column == column else Item(column, "bend")
        order[column].append(item)
        items.append(item)
    items.append(target)
    for left, right in pairwise(items):
        left.after.append(right)
        right.before.append(left)
    return Route(items, link)


def _improve(order: Order) -> None:
    """Sweeps of barycentres in both directions, each followed by exchanges of neighbours."""
    _number(order)
    for sweep in range(6):
        side = "after" if sweep % 2 else "before"
        for column in reversed(order) if sweep % 2 else order:
            column.sort(key=lambda item: _mean_row(item, side))
            _number([column])
        _exchange(order)


def _number(order: Order) -> None:
    for column in order:
        for row, item in enumerate(column):
            item.row = row


def _mean_row(item: Item, side: str) -> float:
    neighbours: list[Item] = getattr(item, side)
    return (
        sum(other.row for other in neighbours) / len(neighbours) if neighbours else float(item.row)
    )


def _exchange(order: Order) -> None:
    """Exchange neighbours in a column as long as that removes crossings."""
    better = True
    while better:
        better = False
        for column in order:
            for row in range(len(column) - 1):
                upper, lower = column[row], column[row + 1]
                now = _pair(upper, lower, "before") + _pair(upper, lower, "after")
                if now > _pair(lower, upper, "before") + _pair(lower, upper, "after"):
                    column[row], column[row + 1] = lower, upper
                    upper.row, lower.row = row + 1, row
                    better = True


def _pair(upper: Item, lower: Item, side: str) -> int:
    """Crossings of segments on one side of two items of a column, the first above the second."""
    return sum(a.row > b.row for a in getattr(upper, side) for b in getattr(lower, side))
