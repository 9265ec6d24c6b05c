"""Draws a cell in layers, left to right: finds the calmest order, sets columns, draws curves."""

from itertools import groupby

from nastk.report import Graph
from nastk_drawing import layers, positions
from nastk_drawing.geometry import (
    Box,
    LabelSize,
    NodeSize,
    PlacedLink,
    PlacedNode,
    Segment,
    flat,
    straight,
)
from nastk_drawing.layers import Item, Order, Route

NARROW, WIDE, SLOPE = 26.0, 64.0, 0.30
"""Points between two columns: at least, at most, and for each point a curve climbs in between."""

FLIP, FLIP_INPUT = 0.06, 0.3
"""How much calmer an order must be for each pair of nodes, or of inputs, upside down in it."""

PORT, PORT_MARGIN = 8.0, 7.0
"""Points between two curves at the side of a node, and from the outer ones to its corners."""


def place(
    graph: Graph, label_size: LabelSize, node_size: NodeSize
) -> tuple[list[PlacedNode], list[PlacedLink]]:
    """Boxes and curves of a cell; for the sizes see `layout.place`."""
    natural, routes = layers.columns(graph, label_size, node_size)
    for item in (item for column in natural for item in column if item.kind == "node"):
        ports = max(len(item.before), len(item.after))
        item.height = max(item.height, PORT * (ports - 1) + 2 * PORT_MARGIN)
    order = _calmest(layers.orders(natural))
    positions.settle(order, positions.level(order))
    spans = _spans(order)
    items = sorted((item for column in order for item in column), key=lambda item: item.node)
    nodes = [PlacedNode(item.node, _box(item, spans)) for item in items if item.kind == "node"]
    return nodes, [_placed(route, spans) for route in routes]


def _calmest(orders: list[Order]) -> Order:
    """The order whose routes climb least; low numbers above high are worth a little climbing."""
    found = []
    for order in orders:
        climb = positions.settle(order, positions.level(order))
        for each in (order, [column[::-1] for column in order]):  # which climbs as much
            flips = FLIP_INPUT * _upside_down(each[:1]) + FLIP * _upside_down(each)
            found.append((round(climb * (1 + flips)), each))
    return min(found, key=lambda pair: pair[0])[1]


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


def _port(node: Item, other: Item) -> float:
    """The height at which the segment to a neighbour meets a node: they leave in its order."""
    side = sorted(node.after if other in node.after else node.before, key=lambda item: -item.y)
    return node.y + PORT * ((len(side) - 1) / 2 - side.index(other))


def _placed(route: Route, spans: list[tuple[float, float]]) -> PlacedLink:
    """The curve of a route: it climbs between columns, and is level in them.

    Columns without a box are as if they were not there.
    """
    first, *between, last = route.items
    between = [item for item in between if spans[item.column][0] < spans[item.column][1]]
    here = (_box(first, spans).right, _port(first, route.items[1]))
    parts: list[Segment] = []
    for _, level in groupby(between, key=lambda item: round(item.y)):
        passed = list(level)
        enter = (spans[passed[0].column][0], passed[0].y)
        leave = (spans[passed[-1].column][1], passed[-1].y)
        parts += [flat(here, enter), straight(enter, leave)]
        here = leave
    parts.append(flat(here, (_box(last, spans).left, _port(last, route.items[-2]))))
    label = next((_box(item, spans) for item in between if item.kind == "label"), None)
    return PlacedLink(first.node, last.node, route.link, tuple(parts), label)
