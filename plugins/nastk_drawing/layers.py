"""Puts a cell into columns, with few crossings: the first half of a layered drawing.

Nodes stand in even columns, in the order of their depth. A link is a route through every column
between its nodes: in one odd column it carries its label, in the others it has a bend that keeps it
apart from what stands there. Labels and nodes are then items of columns like any other, so that
nothing can be drawn over them. Method: Sugiyama, Tagawa and Toda, "Methods for visual understanding
of hierarchical system structures" (1981), by igraph, with the label columns of Gansner et al., "A
technique for drawing directed graphs" (1993). Next: `positions.py`, which gives the items their
heights.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations, pairwise

from nastk.report import Graph, Link

STARTS = 48
"""Orders that the sweeps begin with; the first is the natural one."""


@dataclass(eq=False)
class Item:
    """Something that stands in a column: a node, a label, a bend or a card. Sizes in points.

    `node` is a node's number, or that of a card's parent; `hanging` is what reaches down below the
    box; `y`, its middle, is set by `positions.settle`.
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
    """Orders of the columns with the fewest crossings found, starting from `natural` and chance."""
    import igraph

    rng = random.Random(seed)
    items = [item for column in natural for item in column]
    found = [natural]
    for start in range(STARTS):
        if start:
            rng.shuffle(items)
        number = {item: place for place, item in enumerate(items)}
        steps = [(number[item], number[other]) for item in items for other in item.after]
        # One or two sweeps, from the left or from the right: more of them end alike.
        ahead = [item.column if start % 4 < 2 else len(natural) - item.column for item in items]
        drawn = igraph.Graph(len(items), steps).layout_sugiyama(ahead, maxiter=1 + start % 2)
        across = {item: place[0] for item, place in zip(items, drawn.coords, strict=True)}
        found.append([sorted(column, key=across.__getitem__) for column in natural])
    counts = [crossings(order) for order in found]
    fewest = [order for order, count in zip(found, counts, strict=True) if count == min(counts)]
    return [order for place, order in enumerate(fewest) if order not in fewest[:place]]


def crossings(order: Order) -> int:
    """How many pairs of route segments cross."""
    row = {item: place for column in order for place, item in enumerate(column)}
    return sum(
        row[left] > row[right]
        for column in order
        for upper, lower in combinations(column, 2)
        for left in upper.after
        for right in lower.after
    )


def _depths(graph: Graph) -> dict[int, int]:
    """The longest way to each node from an input; the output stands behind all others."""
    depth = dict.fromkeys(graph.inputs, 0)
    for node in graph.middle:
        depth[node] = max((depth[link.source] + 1 for link in graph.into(node)), default=1)
    depth[graph.output] = max(depth.values()) + 1
    return depth


def _route(
    order: Order, source: Item, target: Item, link: Link | None, label: Item | None
) -> Route:
    """Lay a route from `source` to `target`: bends, and its label where the fewest labels are."""
    between = [Item(column, "bend") for column in range(source.column + 1, target.column)]
    if label is not None:
        load = [sum(item.kind == "label" for item in order[bend.column]) for bend in between[::2]]
        place = 2 * load.index(min(load))
        label.column = between[place].column
        between[place] = label
    for item in between:
        order[item.column].append(item)
    items = [source, *between, target]
    for left, right in pairwise(items):
        left.after.append(right)
        right.before.append(left)
    return Route(items, link)
