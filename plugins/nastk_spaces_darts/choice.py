"""The rule from scores to a cell: each node keeps two of its incoming operations, never `none`.

`why_empty` says which subspaces hold no cell, `decide` takes the best by score, `draw` takes one
uniformly. All three look at the same candidates, node by node.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import torch

from nastk import Edge, Subspace

Candidate = tuple[int, int]
"""(edge, column) of an operation that may be chosen."""

KEPT = 2
"""Operations that a node keeps (DARTS, section 2.4)."""


@dataclass(frozen=True)
class Node:
    """One node of a cell type with the operations that may enter it: alive and not `none`."""

    group: str
    number: int
    candidates: tuple[Candidate, ...]

    def pairs(self, distinct: bool) -> list[tuple[Candidate, ...]]:
        """Every choice this node has, each once; `distinct` asks for two different inputs."""
        found = combinations(self.candidates, KEPT)
        return [pair for pair in found if not distinct or pair[0][0] != pair[1][0]]


def nodes(edges: Sequence[Edge], subspace: Subspace) -> Iterator[Node]:
    """The nodes of all cell types in the order of the edges, with what is alive in `subspace`."""
    for (group, number), members in groupby(
        enumerate(edges), key=lambda item: (item[1].group, item[1].head)
    ):
        yield Node(
            group,
            number,
            tuple(
                (index, column)
                for index, edge in members
                for column in subspace.operations(index)
                if edge.operations[column] != "none"
            ),
        )


def why_empty(edges: Sequence[Edge], subspace: Subspace, distinct: bool) -> str | None:
    """Why `subspace` holds no cell; None if it does."""
    for node in nodes(edges, subspace):
        left = len({edge for edge, _ in node.candidates}) if distinct else len(node.candidates)
        if left < KEPT:
            what = ("input" if distinct else "operation") + ("" if left == 1 else "s")
            where = f"node {node.number} of the {node.group} cell"
            return f"{where} has {left} {what} left besides 'none'; it needs {KEPT}"
    return None


def decide(
    edges: Sequence[Edge], subspace: Subspace, scores: Sequence[Sequence[float]], distinct: bool
) -> list[Candidate]:
    """The best candidates of each node by score; ties go to the lower edge, then the lower column.

    With `distinct` this is DARTS's rule: going down the candidates, the first of an edge is its
    best.
    """
    chosen: list[Candidate] = []
    for node in nodes(edges, subspace):
        ranked = sorted(
            node.candidates, key=lambda candidate: (-scores[candidate[0]][candidate[1]], candidate)
        )
        kept: list[Candidate] = []
        for candidate in ranked:
            if len(kept) < KEPT and not (distinct and candidate[0] in {edge for edge, _ in kept}):
                kept.append(candidate)
        chosen += kept
    return chosen


def draw(
    edges: Sequence[Edge], subspace: Subspace, distinct: bool, rng: torch.Generator
) -> list[Candidate]:
    """One of the cells of `subspace`, each with the same probability."""
    chosen: list[Candidate] = []
    for node in nodes(edges, subspace):
        pairs = node.pairs(distinct)
        chosen += pairs[int(torch.randint(len(pairs), (), generator=rng))]
    return chosen
