"""The layout of a chain of layers in winding rows: to the right, down, to the left, and so on."""

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
"""Points between a node and a label, two rows, two labels of a layer, two curves at a node."""


def place(
    graph: Graph, label_size: LabelSize, node_size: NodeSize
) -> tuple[list[PlacedNode], list[PlacedLink]]:
    """Returns boxes and curves of a chain; for the sizes see `layout.place`."""
    node_width = max(node_size(node)[0] for node in graph.nodes)
    label_width = max((label_size(link)[0] for link in graph.links), default=40.0)
    stacks = [graph.into(node) for node in graph.nodes]
    heights = [
        _stack_height(links, label_size, node_size(node)[1])
        for node, links in zip(graph.nodes, stacks, strict=True)
    ]
    middles = _row_middles(heights)
    step = node_width + label_width + 2 * GAP
    nodes, links = [], []
    for layer, node in enumerate(graph.nodes):
        row, column, direction = _position(layer)
        x = step * (column if direction > 0 else LAYERS_A_ROW - column)
        nodes.append(PlacedNode(node, Box(x, middles[row], *node_size(node))))
        if layer:
            links += _layer(
                nodes[-2], nodes[-1], stacks[layer], label_size, x - direction * step / 2, direction
            )
    return nodes, links


def _position(layer: int) -> tuple[int, int, int]:
    """Returns row, column and direction of the node after a layer; layer 0 is the input."""
    if layer == 0:
        return 0, 0, 1
    row, column = divmod(layer - 1, LAYERS_A_ROW)
    return row, column + 1, 1 if row % 2 == 0 else -1


def _stack_height(links: list[Link], label_size: LabelSize, node_height: float) -> float:
    """Returns the height of a layer: that of its labels, or of its node if that is higher."""
    labels = sum((label_size(link)[1] + LABEL_GAP for link in links), -LABEL_GAP)
    return max(labels, node_height)


def _row_middles(heights: list[float]) -> list[float]:
    """Returns the y of each row's middle; the first row begins at 0, the others are below."""
    middles, bottom = [], 0.0
    for first in range(1, len(heights), LAYERS_A_ROW):
        height = max(heights[first : first + LAYERS_A_ROW])
        middles.append(bottom - height / 2)
        bottom -= height + ROW_GAP
    return middles


def _layer(before: PlacedNode, after: PlacedNode, links: list[Link], label_size: LabelSize,
           x: float, direction: int) -> list[PlacedLink]:  # fmt: skip
    """Returns the links of a layer, labels below each other at `x`, in `direction` (1 or -1)."""
    top = after.box.y + (sum(label_size(link)[1] + LABEL_GAP for link in links) - LABEL_GAP) / 2
    placed = []
    for row, link in enumerate(links):
        width, label_height = label_size(link)
        label = Box(x, top - label_height / 2, width, label_height)
        top -= label_height + LABEL_GAP
        enter, leave = (x - direction * width / 2, label.y), (x + direction * width / 2, label.y)
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
    """Returns the curve from a node to a label: along the row, or down into the next row."""
    if node.y == row:
        return flat((node.x + direction * node.width / 2, node.y + port), enter)
    start = (node.x - direction * port, node.y - node.height / 2)
    return Segment(start, (start[0], enter[1]), (start[0], enter[1]), enter)
