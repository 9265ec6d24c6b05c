"""Positions of the nodes and labelled links of a cell: `place` returns a `Layout` in points.

Cells are laid out in layers from left to right (`layers` orders them, `positions` computes heights,
`ranked` curves); chains of layers wind through rows (`snake`). No label touches a node, another
label or the curve of another link. The look of things is left to `cell`.
"""

from nastk.report import Graph
from nastk_drawing import ranked, snake
from nastk_drawing.geometry import LabelSize, Layout, NodeSize, bounded


def place(graph: Graph, label_size: LabelSize, node_size: NodeSize) -> Layout:
    """Returns the layout of a cell.

    `label_size` and `node_size` give (width, height) of a label's and a node's box, in points.
    """
    nodes, links = (snake if graph.chain else ranked).place(graph, label_size, node_size)
    return bounded(nodes, links)
