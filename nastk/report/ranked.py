"""Draws a cell in layers, left to right: finds the calmest order, sets columns, draws curves."""

from collections.abc import Iterator

from nastk.report import layers, positions
from nastk.report.geometry import (
    Box,
    LabelSize,
    NodeSize,
    PlacedLink,
    PlacedNode,
    Segment,
    flat,
    straight,
)
from nastk.report.graph import Graph
from nastk.report.layers import Item, Order, Route

NARROW, WIDE, SLOPE = 26.0, 64.0, 0.30
"""Points between two columns: at least, at most, and for each point a curve climbs in between."""

FLIP, FLIP_INPUT = 0.06, 0.3
"""How much calmer an order must be for each pair of nodes, or of inputs, upside down in it."""

PORT, PORT_MARGIN = 8.0, 7.0
"""Points between two curves at the side of a node, and from the outer ones to its corners."""

CLEAR, OPEN = 5.0, 40.0
"""Points a curve keeps from a box it passes, and how far it may swing where nothing stands."""


def place(
    graph: Graph, label_size: LabelSize, node_size: NodeSize
) -> tuple[list[PlacedNode], list[PlacedLink]]:
    """Boxes and curves of a cell; for the sizes see `layout.place`."""
    natural, routes = layers.columns(graph, label_size, node_size)
    for item in (item for column in natural for item in column if item.kind == "node"):
        ports = max(len(item.before), len(item.after))
        item.height = max(item.height, PORT * (ports - 1) + 2 * PORT_MARGIN)
    order = _calmest(layers.orders(natural))
    positions.settle(order)
    spans = _spans(order)
    node_ports, corridors = _ports(order), _corridors(order)
    nodes = [
        PlacedNode(item.node, _box(item, spans))
        for column in order
        for item in column
        if item.kind == "node"
    ]
    return sorted(nodes, key=lambda node: node.node), [
        _placed(route, spans, node_ports, corridors) for route in routes
    ]


def _calmest(orders: list[Order]) -> Order:
    """The order whose routes climb least; low numbers above high are worth a little climbing."""

    def key(order: Order) -> int:
        positions.settle(order)
        flips = FLIP_INPUT * _upside_down(order[:1]) + FLIP * _upside_down(order)
        return round(positions.unrest(order) * (1 + flips))

    mirrored = [[list(reversed(column)) for column in order] for order in orders]
    return min([*orders, *mirrored], key=key)


def _upside_down(order: Order) -> int:
    """Pairs of nodes in a column of which the higher number stands above the lower."""
    nodes = [[item.node for item in column if item.kind == "node"] for column in order]
    return sum(a > b for column in nodes for row, a in enumerate(column) for b in column[row + 1 :])


def _spans(order: Order) -> list[tuple[float, float]]:
    """The left and right side of every column."""
    spans: list[tuple[float, float]] = []
    right = 0.0
    for column in order:
        climb = max(
            (abs(item.y - other.y) for item in column for other in item.before), default=0.0
        )
        left = right + (min(max(SLOPE * climb, NARROW), WIDE) if spans else 0.0)
        right = left + max((item.width for item in column), default=0.0)
        spans.append((left, right))
    return spans


def _box(item: Item, spans: list[tuple[float, float]]) -> Box:
    left, right = spans[item.column]
    return Box((left + right) / 2, item.y, item.width, item.height)


def _ports(order: Order) -> dict[tuple[Item, Item], float]:
    """The height at which each segment meets the node at its end, by (node, neighbour)."""
    return {
        (item, other): height
        for column in order
        for item in column
        if item.kind == "node"
        for side in (item.before, item.after)
        for other, height in _spread(item, side)
    }


def _spread(node: Item, neighbours: list[Item]) -> Iterator[tuple[Item, float]]:
    """Neighbours on one side of a node, high to low, each with its height at the node's side."""
    for row, other in enumerate(sorted(neighbours, key=lambda item: -item.y)):
        yield other, node.y + PORT * ((len(neighbours) - 1) / 2 - row)


def _placed(route: Route, spans: list[tuple[float, float]], ports: dict[tuple[Item, Item], float],
            corridors: dict[Item, tuple[float, float]]) -> PlacedLink:  # fmt: skip
    """The curve of a route: horizontal at nodes and labels, and at the bends that it needs."""
    items = route.items
    source, target = _box(items[0], spans), _box(items[-1], spans)
    stops = [((source.right, ports[items[0], items[1]]),) * 2]
    stops += [
        ((spans[item.column][0], item.y), (spans[item.column][1], item.y)) for item in items[1:-1]
    ]
    stops += [((target.left, ports[items[-1], items[-2]]),) * 2]
    parts: list[Segment] = []
    here = 0
    while here < len(items) - 1:
        there = next(
            place
            for place in range(len(items) - 1, here, -1)
            if place == here + 1
            or _clear(
                flat(stops[here][1], stops[place][0]), items[here + 1 : place], spans, corridors
            )
        )
        parts.append(flat(stops[here][1], stops[there][0]))
        if stops[there][0] != stops[there][1]:
            parts.append(straight(*stops[there]))
        here = there
    label = next((_box(item, spans) for item in items if item.kind == "label"), None)
    return PlacedLink(items[0].node, items[-1].node, route.link, tuple(parts), label)


def _corridors(order: Order) -> dict[Item, tuple[float, float]]:
    """How low and how high a curve may pass at each bend without coming near what stands there."""
    found = {}
    for column in order:
        for above, item, below in zip([None, *column], column, [*column[1:], None], strict=False):
            if item.kind == "bend":
                found[item] = (_limit(item, below, -1), _limit(item, above, 1))
    return found


def _limit(bend: Item, other: Item | None, side: int) -> float:
    """The height up to (`side` 1) or down to (-1) which a bend may move: half way to another."""
    if other is None:
        return bend.y + side * OPEN
    if other.kind == "bend":
        return (bend.y + other.y) / 2 - side * CLEAR / 2
    return other.y - side * (other.height / 2 + CLEAR)


def _clear(curve: Segment, passed: list[Item], spans: list[tuple[float, float]],
           corridors: dict[Item, tuple[float, float]]) -> bool:  # fmt: skip
    """Whether a curve may pass these items: all are bends, and it stays inside their corridors."""
    if any(item.kind != "bend" for item in passed):
        return False
    for item in passed:
        low, high = corridors[item]
        ends = (_height_at(curve, spans[item.column][0]), _height_at(curve, spans[item.column][1]))
        if min(ends) < low or max(ends) > high:
            return False
    return True


def _height_at(curve: Segment, x: float) -> float:
    """The height of a curve that runs to the right, at `x`: twenty halvings of its parameter."""
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if curve.at(middle)[0] < x else (low, middle)
    return curve.at(low)[1]
