"""Draws a chain of layers in rows that wind: to the right, down, to the left, down, and so on."""

from nastk.report import Graph, Link
from nastk_drawing.geometry import (
    Box,
    LabelSize,
    NodeSize,
    PlacedLink,
    PlacedNode,
    Point,
    Segment,
    flat,
    straight,
)

LAYERS_A_ROW = 4
GAP, ROW_GAP, LABEL_GAP, PORT = 24.0, 30.0, 8.0, 8.0
"""Points between a node and a label, two rows, two labels of one layer, two curves at a node."""


def place(
    graph: Graph, label_size: LabelSize, node_size: NodeSize
) -> tuple[list[PlacedNode], list[PlacedLink]]:
    """Boxes and curves of a chain; for the sizes see `layout.place`."""
    wide_node = max(node_size(node)[0] for node in graph.nodes)
    wide_label = max((label_size(link)[0] for link in graph.links), default=40.0)
    stacks = [graph.into(node) for node in graph.nodes]
    heights = [
        _stack_height(links, label_size, node_size(node)[1])
        for node, links in zip(graph.nodes, stacks, strict=True)
    ]
    middles = _row_middles(heights)
    step = wide_node + wide_label + 2 * GAP
    nodes, links = [], []
    for layer, node in enumerate(graph.nodes):
        row, place_in_row, direction = _seat(layer)
        x = step * (place_in_row if direction > 0 else LAYERS_A_ROW - place_in_row)
        nodes.append(PlacedNode(node, Box(x, middles[row], *node_size(node))))
        if layer:
            links += _layer(
                nodes[-2], nodes[-1], stacks[layer], label_size, x - direction * step / 2, direction
            )
    return nodes, links


def _seat(layer: int) -> tuple[int, int, int]:
    """Row, place in the row and direction of the node behind a layer; layer 0 is the input."""
    if layer == 0:
        return 0, 0, 1
    row, place_in_row = divmod(layer - 1, LAYERS_A_ROW)
    return row, place_in_row + 1, 1 if row % 2 == 0 else -1


def _stack_height(links: list[Link], label_size: LabelSize, node_height: float) -> float:
    labels = sum((label_size(link)[1] + LABEL_GAP for link in links), -LABEL_GAP)
    return max(labels, node_height)


def _row_middles(heights: list[float]) -> list[float]:
    """The height of each row's middle, the first at 0, the others below."""
    middles, bottom = [], 0.0
    for first in range(1, len(heights), LAYERS_A_ROW):
        height = max(heights[first : first + LAYERS_A_ROW])
        middles.append(bottom - height / 2)
        bottom -= height + ROW_GAP
    return middles


def _layer(before: PlacedNode, after: PlacedNode, links: list[Link], label_size: LabelSize,
           x: float, direction: int) -> list[PlacedLink]:  # fmt: skip
    """The links of a layer, labels one below the other at `x`, drawn in `direction` (1 or -1)."""
    height = after.box.y + (sum(label_size(link)[1] + LABEL_GAP for link in links) - LABEL_GAP) / 2
    placed = []
    for row, link in enumerate(links):
        wide, high = label_size(link)
        label = Box(x, height - high / 2, wide, high)
        height -= high + LABEL_GAP
        enter, leave = (x - direction * wide / 2, label.y), (x + direction * wide / 2, label.y)
        port = PORT * ((len(links) - 1) / 2 - row)
        end = (after.box.x - direction * after.box.width / 2, after.box.y + port)
        curve = (
            _into(before.box, enter, after.box.y, direction, port),
            straight(enter, leave),
            flat(leave, end),
        )
        placed.append(PlacedLink(before.node, after.node, link, curve, label))
    return placed


def _into(node: Box, enter: Point, row: float, direction: int, port: float) -> Segment:
    """The curve from a node to a label: along the row, or around the corner into the row below."""
    if node.y == row:
        return flat((node.x + direction * node.width / 2, node.y + port), enter)
    start = (node.x - direction * port, node.y - node.height / 2)
    return Segment(start, (start[0], enter[1]), (start[0], enter[1]), enter)
