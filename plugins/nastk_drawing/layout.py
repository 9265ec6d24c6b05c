"""Places the nodes and labelled links of one cell: `place` answers a `Layout` in points.

Cells are drawn in layers from left to right (`layers` orders them, `positions` gives heights,
`ranked` draws the curves); chains of layers wind through rows (`snake`). No label touches a node,
another label or a foreign curve. Nothing here knows how it will be painted: `cell` does.
"""

from nastk.report import Graph
from nastk_drawing import ranked, snake
from nastk_drawing.geometry import LabelSize, Layout, NodeSize, bounded


def place(graph: Graph, label_size: LabelSize, node_size: NodeSize) -> Layout:
    """Place one cell.

    `label_size` and `node_size` answer (width, height) of a label and a node's box, in points.
    """
    nodes, links = (snake if graph.chain else ranked).place(graph, label_size, node_size)
    return bounded(nodes, links)
