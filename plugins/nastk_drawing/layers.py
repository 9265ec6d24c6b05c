"""The columns of a cell, ordered for few crossings: the first half of a layered drawing.

Nodes are in even columns, in the order of their depth. A link is a route through every column
between its nodes: in one odd column it has its label, in the others a bend that keeps it apart from
the other items of the column. As labels, bends and nodes are all items, nothing is drawn over them.
Method: Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures" (1981), by igraph, with the label columns of Gansner et al., "A technique for drawing
directed graphs" (1993). `positions.py` then computes the heights of the items.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from nastk.report import Graph, Link

STARTS = 48
"""Number of orders from which sweeps start: the natural one, then random ones."""


@dataclass(eq=False)
class Item:
    """An item of a column: a node, a label, a bend or a card. Sizes are in points.

    `node` is a node's number, or that of a card's parent. `hanging` is the height of what is
    attached below the box. `y`, the middle of the box, is set by `positions.settle`. `before` and
    `after` are the neighbours on routes, to the left and to the right.
    """

    column: int
    kind: str
    width: float = 0.0
    height: float = 0.0
    node: int = -1
    hanging: float = 0.0
    y: float = 0.0
    before: list["Item"] = field(default_factory=list)
    after: list["Item"] = field(default_factory=list)


@dataclass(eq=False)
class Route:
    """The items on a link's way, source to target; `link` is None towards a concatenation."""

    items: list[Item]
    link: Link | None


Order = list[list[Item]]
"""Items column by column from left to right, each column from top to bottom."""


def columns(
    graph: Graph,
    label_size: Callable[[Link], tuple[float, float]],
    node_size: Callable[[int], tuple[float, float]],
) -> tuple[Order, list[Route]]:
    """Returns the items of a cell in the order of its nodes and links, and the routes.

    `label_size` and `node_size` give the (width, height) of a box in points.
    """
    depth = _depths(graph)
    items = {node: Item(2 * depth[node], "node", *node_size(node), node) for node in graph.nodes}
    order: Order = [[] for _ in range(2 * depth[graph.output] + 1)]
    for item in items.values():
        order[item.column].append(item)
    routes = []
    for link in sorted(
        graph.links,
        key=lambda link: (depth[link.node] - depth[link.source], link.node, link.source),
    ):
        label = Item(-1, "label", *label_size(link))
        routes.append(_route(order, items[link.source], items[link.node], link, label))
    for node in graph.joined:
        routes.append(_route(order, items[node], items[graph.output], None, None))
    return order, routes


def orders(natural: Order, seed: int = 0) -> list[Order]:
    """Returns the orders with the fewest crossings, from sweeps that start at `STARTS` orders."""
    import igraph

    rng = random.Random(seed)
    items = [item for column in natural for item in column]
    candidates = [natural]
    for start in range(STARTS):
        if start:
            rng.shuffle(items)
        index = {item: number for number, item in enumerate(items)}
        steps = [(index[item], index[following]) for item in items for following in item.after]
        # One or two sweeps, from the left or from the right; more sweeps change nothing.
        layers = [item.column if start % 4 < 2 else len(natural) - item.column for item in items]
        drawn = igraph.Graph(len(items), steps).layout_sugiyama(layers, maxiter=1 + start % 2)
        across = {item: point[0] for item, point in zip(items, drawn.coords, strict=True)}
        candidates.append([sorted(column, key=across.__getitem__) for column in natural])
    counts = [crossings(order) for order in candidates]
    fewest = [
        order for order, count in zip(candidates, counts, strict=True) if count == min(counts)
    ]
    return [order for number, order in enumerate(fewest) if order not in fewest[:number]]


def crossings(order: Order) -> int:
    """Returns the number of pairs of route segments that cross."""
    row = {item: number for column in order for number, item in enumerate(column)}
    return sum(
        row[left] > row[right]
        for column in order
        for upper, lower in combinations(column, 2)
        for left in upper.after
        for right in lower.after
    )


def _depths(graph: Graph) -> dict[int, int]:
    """Returns the longest distance of each node from an input; the output comes after all."""
    depth = dict.fromkeys(graph.inputs, 0)
    for node in graph.middle:
        depth[node] = max((depth[link.source] + 1 for link in graph.into(node)), default=1)
    depth[graph.output] = max(depth.values()) + 1
    return depth


def _route(
    order: Order, source: Item, target: Item, link: Link | None, label: Item | None
) -> Route:
    """Add a route to the columns: bends, and the label in a column with the fewest labels."""
    between = [Item(column, "bend") for column in range(source.column + 1, target.column)]
    if label is not None:
        load = [sum(item.kind == "label" for item in order[bend.column]) for bend in between[::2]]
        position = 2 * load.index(min(load))
        label.column = between[position].column
        between[position] = label
    for item in between:
        order[item.column].append(item)
    items = [source, *between, target]
    for left, right in pairwise(items):
        left.after.append(right)
        right.before.append(left)
    return Route(items, link)
