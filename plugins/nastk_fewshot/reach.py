"""Whether anything gets through: no part of a split may hold only networks that are cut off."""

from collections.abc import Sequence

from nastk import Edge, Subspace


def connects(edges: Sequence[Edge], subspace: Subspace) -> bool:
    """Whether each cell type has a path to its last node over operations other than `none`.

    Its inputs are the nodes that no edge enters. Every network of a subspace without such a path
    computes a constant.
    """
    return all(_reached(edges, subspace, group) for group in {edge.group for edge in edges})


def _reached(edges: Sequence[Edge], subspace: Subspace, group: str) -> bool:
    rows = [row for row, edge in enumerate(edges) if edge.group == group]
    nodes = {edges[row].node for row in rows}
    reached = {edges[row].source for row in rows} - nodes
    # In the order of their nodes, so that one walk follows every path.
    for row in sorted(rows, key=lambda row: edges[row].node):
        names = {edges[row].operations[column] for column in subspace.operations(row)}
        if names - {"none"} and edges[row].source in reached:
            reached.add(edges[row].node)
    return max(nodes) in reached
