"""The layout of a cell in layers, left to right: order with least climbing, columns, curves."""

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
"""Points between two columns: least, most, and for each point that a curve climbs in between."""

FLIP, FLIP_INPUT = 0.06, 0.3
"""Relative penalty of an order for each pair of nodes, or of inputs, that is upside down."""

PORT, PORT_MARGIN = 8.0, 7.0
"""Points between two curves at the side of a node, and from the outer curves to its corners."""


def place(
    graph: Graph, label_size: LabelSize, node_size: NodeSize
) -> tuple[list[PlacedNode], list[PlacedLink]]:
    """Returns boxes and curves of a cell; for the sizes see `layout.place`."""
    natural, routes = layers.columns(graph, label_size, node_size)
    for item in (item for column in natural for item in column if item.kind == "node"):
        ports = max(len(item.before), len(item.after))
        item.height = max(item.height, PORT * (ports - 1) + 2 * PORT_MARGIN)
    order = _least_climbing(layers.orders(natural))
    positions.settle(order, positions.level(order))
    spans = _spans(order)
    items = sorted((item for column in order for item in column), key=lambda item: item.node)
    nodes = [PlacedNode(item.node, _box(item, spans)) for item in items if item.kind == "node"]
    return nodes, [_placed_link(route, spans) for route in routes]


def _least_climbing(orders: list[Order]) -> Order:
    """Returns the order whose routes climb least, with a penalty for high numbers above low."""
    candidates = []
    for order in orders:
        climb = positions.settle(order, positions.level(order))
        # An order and its mirror image climb equally.
        for candidate in (order, [column[::-1] for column in order]):
            flips = FLIP_INPUT * _upside_down(candidate[:1]) + FLIP * _upside_down(candidate)
            candidates.append((round(climb * (1 + flips)), candidate))
    return min(candidates, key=lambda pair: pair[0])[1]


def _upside_down(order: Order) -> int:
    """Returns the number of pairs of nodes in a column with the higher number above the lower."""
    nodes = [[item.node for item in column if item.kind == "node"] for column in order]
    return sum(
        upper > lower
        for column in nodes
        for row, upper in enumerate(column)
        for lower in column[row + 1 :]
    )


def _spans(order: Order) -> list[tuple[float, float]]:
    """Returns the x of the left and the right side of every column."""
    spans: list[tuple[float, float]] = []
    right = 0.0
    for column in order:
        climb = max(
            (abs(item.y - previous.y) for item in column for previous in item.before), default=0.0
        )
        left = right + (min(max(SLOPE * climb, NARROW), WIDE) if spans else 0.0)
        right = left + max((item.width for item in column), default=0.0)
        spans.append((left, right))
    return spans


def _box(item: Item, spans: list[tuple[float, float]]) -> Box:
    """Returns the box of an item, in the middle of its column."""
    left, right = spans[item.column]
    return Box((left + right) / 2, item.y, item.width, item.height)


def _port(node: Item, neighbour: Item) -> float:
    """Returns the height at which a node's segment to `neighbour` meets the node.

    The segments at a side of a node have the order of their neighbours.
    """
    side = sorted(node.after if neighbour in node.after else node.before, key=lambda item: -item.y)
    return node.y + PORT * ((len(side) - 1) / 2 - side.index(neighbour))


def _placed_link(route: Route, spans: list[tuple[float, float]]) -> PlacedLink:
    """Returns the curve of a route, which climbs between columns and is level in them.

    Columns of width 0, which hold only bends, are skipped.
    """
    first, *inner, last = route.items
    inner = [item for item in inner if spans[item.column][0] < spans[item.column][1]]
    start = (_box(first, spans).right, _port(first, route.items[1]))
    segments: list[Segment] = []
    for _, level in groupby(inner, key=lambda item: round(item.y)):
        run = list(level)
        enter = (spans[run[0].column][0], run[0].y)
        leave = (spans[run[-1].column][1], run[-1].y)
        segments += [flat(start, enter), straight(enter, leave)]
        start = leave
    segments.append(flat(start, (_box(last, spans).left, _port(last, route.items[-2]))))
    label = next((_box(item, spans) for item in inner if item.kind == "label"), None)
    return PlacedLink(first.node, last.node, route.link, tuple(segments), label)
