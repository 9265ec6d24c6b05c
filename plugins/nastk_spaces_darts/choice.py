"""The rule from scores to a cell: each node keeps two of its incoming operations, never `none`.

`why_empty` explains why a subspace holds no cell, `decide` chooses the best cell by score, `draw`
draws a cell uniformly. All three work on the same candidates, node by node.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import torch

from nastk import Edge, Subspace

Candidate = tuple[int, int]
"""(edge, column) of an operation that may be chosen."""

KEPT = 2
"""The number of operations that a node keeps (DARTS, section 2.4)."""


@dataclass(frozen=True)
class Node:
    """One node of a cell type with the operations that may enter it: alive and not `none`."""

    group: str
    number: int
    candidates: tuple[Candidate, ...]

    def pairs(self, distinct: bool) -> list[tuple[Candidate, ...]]:
        """Returns every pair of candidates once; `distinct` requires two different inputs."""
        pairs = combinations(self.candidates, KEPT)
        return [pair for pair in pairs if not distinct or pair[0][0] != pair[1][0]]


def nodes(edges: Sequence[Edge], subspace: Subspace) -> Iterator[Node]:
    """Yields the nodes of all cell types, in the order of the edges, with their candidates."""
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
    """Returns why `subspace` holds no cell, or None if it holds one."""
    for node in nodes(edges, subspace):
        left = len({edge for edge, _ in node.candidates}) if distinct else len(node.candidates)
        if left < KEPT:
            noun = ("input" if distinct else "operation") + ("" if left == 1 else "s")
            label = f"node {node.number} of the {node.group} cell"
            return f"{label} has {left} {noun} left besides 'none'; it needs {KEPT}"
    return None


def decide(
    edges: Sequence[Edge], subspace: Subspace, scores: Sequence[Sequence[float]], distinct: bool
) -> list[Candidate]:
    """Returns each node's best candidates; ties go to the lower edge, then the lower column.

    With `distinct` this is DARTS's rule, which compares the best operation of each edge: in the
    ranking an edge's first candidate is its best, and later ones of the same edge are skipped.
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
    """Returns a cell of `subspace`, drawn uniformly."""
    chosen: list[Candidate] = []
    for node in nodes(edges, subspace):
        pairs = node.pairs(distinct)
        chosen += pairs[int(torch.randint(len(pairs), (), generator=rng))]
    return chosen
