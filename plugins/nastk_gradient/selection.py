"""Which edges and nodes are still to be decided, and the decision by perturbation itself.

Pure functions of subspaces and measured accuracies; `darts_pt.py` says when and measures. A round
decides one edge of every cell type; when all edges are, it thins the inputs of one node of each,
where the space lets an edge go empty.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from nastk import Edge, Subspace

Item = TypeVar("Item")
Complaint = Callable[[Subspace], str | None]


def open_edges(edges: Sequence[Edge], subspace: Subspace) -> list[list[int]]:
    """For each cell type that has any: its edges with several operations alive."""
    several = [row for row in range(len(edges)) if len(subspace.operations(row)) > 1]
    return _grouped(several, lambda row: edges[row].group)


def wide_nodes(
    edges: Sequence[Edge], subspace: Subspace, why_empty: Complaint
) -> list[list[list[int]]]:
    """For each cell type that has any: its nodes with more inputs than the space asks for.

    A node is the list of its living edges.
    """
    living = [row for row in range(len(edges)) if subspace.operations(row)]
    wide = [
        rows
        for rows in _grouped(living, lambda row: (edges[row].group, edges[row].head))
        if any(why_empty(subspace.only(row, ())) is None for row in rows)
    ]
    return _grouped(wide, lambda rows: edges[rows[0]].group)


def rounds_left(edges: Sequence[Edge], subspace: Subspace, why_empty: Complaint) -> int:
    """How many rounds are left: those of the edges and then those of the nodes."""
    of_edges = max(map(len, open_edges(edges, subspace)), default=0)
    return of_edges + max(map(len, wide_nodes(edges, subspace, why_empty)), default=0)


def admitted(subspace: Subspace, edge: int, why_empty: Complaint) -> list[int]:
    """The operations of `edge` that it may be left with; all, where the space objects to each."""
    operations = subspace.operations(edge)
    fine = [one for one in operations if why_empty(subspace.only(edge, [one])) is None]
    return fine or list(operations)


def most_missed(names: Sequence[str], accuracies: Sequence[float]) -> int:
    """The place of the operation without which accuracy is lowest; of equals the first.

    Of equals `none` is last: accuracy never misses it, so a tie says that no other is missed.
    """
    return min(range(len(names)), key=lambda place: (accuracies[place], names[place] == "none"))


def thinned(
    subspace: Subspace, rows: Sequence[int], accuracies: Sequence[float], why_empty: Complaint
) -> Subspace:
    """`subspace` without the edges of a node that are missed least, as long as the space allows.

    `accuracies` are those without each edge. Of equals the later edge goes, as with the authors.
    """
    order = sorted(range(len(rows)), key=lambda place: (accuracies[place], place), reverse=True)
    for place in order:
        smaller = subspace.only(rows[place], ())
        if why_empty(smaller) is None:
            subspace = smaller
    return subspace


def _grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """The items with equal keys together, in the order in which keys first come."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())
