"""Decisions by perturbation: which edges and nodes are undecided, and which operation is kept.

These are pure functions of subspaces and measured accuracies; `darts_pt.py` says when they are
called. A round decides one edge of every cell type. When all edges are decided, a round thins the
inputs of one node of every cell type, where the space lets an edge be empty.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from nastk import Edge, Subspace

Item = TypeVar("Item")
WhyEmpty = Callable[[Subspace], str | None]
"""`SearchSpace.why_empty`: why a subspace holds no architecture; None if it holds one."""


def open_edges(edges: Sequence[Edge], subspace: Subspace) -> list[list[int]]:
    """Returns the edges with several alive operations, one list for each cell type with any."""
    undecided = [row for row in range(len(edges)) if len(subspace.operations(row)) > 1]
    return _grouped(undecided, lambda row: edges[row].group)


def wide_nodes(
    edges: Sequence[Edge], subspace: Subspace, why_empty: WhyEmpty
) -> list[list[list[int]]]:
    """Returns the nodes with more inputs than the space requires, grouped by cell type.

    A node is the list of its nonempty edges. Cell types without such nodes have no group.
    """
    nonempty = [row for row in range(len(edges)) if subspace.operations(row)]
    wide = [
        rows
        for rows in _grouped(nonempty, lambda row: (edges[row].group, edges[row].head))
        if any(why_empty(subspace.only(row, ())) is None for row in rows)
    ]
    return _grouped(wide, lambda rows: edges[rows[0]].group)


def rounds_left(edges: Sequence[Edge], subspace: Subspace, why_empty: WhyEmpty) -> int:
    """Returns the number of rounds left: those of the edges, then those of the nodes."""
    edge_rounds = max(map(len, open_edges(edges, subspace)), default=0)
    return edge_rounds + max(map(len, wide_nodes(edges, subspace, why_empty)), default=0)


def admitted(subspace: Subspace, edge: int, why_empty: WhyEmpty) -> list[int]:
    """Returns the operations that `edge` may keep alone; all, if the space refuses every one."""
    operations = subspace.operations(edge)
    allowed = [column for column in operations if why_empty(subspace.only(edge, [column])) is None]
    return allowed or list(operations)


def most_missed(names: Sequence[str], accuracies: Sequence[float]) -> int:
    """Returns the index of the operation without which accuracy is lowest.

    Ties go to the first, but `none` comes last: if no operation is missed more than `none`, a real
    one is kept.
    """
    return min(range(len(names)), key=lambda index: (accuracies[index], names[index] == "none"))


def thinned(
    subspace: Subspace, rows: Sequence[int], accuracies: Sequence[float], why_empty: WhyEmpty
) -> Subspace:
    """Returns `subspace` without the edges in `rows` that are missed least, while the space allows.

    `accuracies[i]` is the accuracy without edge `rows[i]`. Of equals the later edge is removed, as
    in the authors' code.
    """
    order = sorted(range(len(rows)), key=lambda index: (accuracies[index], index), reverse=True)
    for index in order:
        smaller = subspace.only(rows[index], ())
        if why_empty(smaller) is None:
            subspace = smaller
    return subspace


def _grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Returns the items grouped by key, in the order in which keys first appear."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
