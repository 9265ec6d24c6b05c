"""The schedule and the pruning rules of IS-DARTS: when the supernet shrinks, and by what.

Operations compete in *contests*: the operations of an edge (`edge`), or of all edges into a node
(`node`). A contest ends with as many survivors as the space's own rule keeps there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, isinf
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import SearchSpace, Subspace

Keep = Literal["auto", "edge", "node"]
Order = Literal["largest", "smallest"]
Operation = tuple[int, int]
"""(edge, column) of an operation."""


@dataclass(frozen=True)
class Contest:
    """Edges whose operations compete, and the number of operations that survive."""

    edges: tuple[int, ...]
    keep: int

    def alive_operations(self, subspace: Subspace) -> list[Operation]:
        """Returns the contest's alive operations, edge by edge."""
        return [(edge, column) for edge in self.edges for column in subspace.operations(edge)]

    def leaving(self, subspace: Subspace, shrinks_left: int) -> int:
        """Returns how many are removed in this shrink; `shrinks_left` includes it."""
        return quota(len(self.alive_operations(subspace)), self.keep, shrinks_left)


def shrink_epochs(epochs: int, shrinks: int, interval: int) -> range:
    """Returns after how many epochs the supernet shrinks; the last is `interval` before the end.

    >>> list(shrink_epochs(30, 4, 2))
    [22, 24, 26, 28]
    """
    return range(epochs - shrinks * interval, epochs, interval)


def contests(space: SearchSpace, keep: Keep = "auto") -> list[Contest]:
    """Called once: returns the contests of `space`, which follow from an architecture it decides.

    `edge`: each edge keeps one operation. `node`: each node keeps as many operations as the space
    chooses for it, on any of its edges. `auto` is `edge` if the space chooses one operation on
    every edge, and `node` otherwise.
    """
    full = space.full()
    chosen = space.decide(torch.zeros(full.mask.shape), full).choices
    if keep == "edge" or (keep == "auto" and all(len(names) == 1 for names in chosen)):
        return [Contest((row,), 1) for row in range(len(space.edges))]
    nodes: dict[tuple[str, int], list[int]] = {}
    for row, edge in enumerate(space.edges):
        nodes.setdefault((edge.group, edge.head), []).append(row)
    return [Contest(tuple(rows), sum(len(chosen[row]) for row in rows)) for rows in nodes.values()]


def quota(alive: int, keep: int, shrinks_left: int) -> int:
    """Returns how many of `alive` operations to remove now to reach `keep` in the last shrink.

    >>> quota(40, 2, 7), quota(5, 1, 4), quota(2, 2, 3)
    (6, 1, 0)
    """
    return ceil(max(alive - keep, 0) / shrinks_left)


def prune(
    space: SearchSpace,
    subspace: Subspace,
    field: Sequence[Contest],
    measures: Float[Tensor, "edges ops"],
    shrinks_left: int,
    order: Order = "largest",
    distinct_inputs: bool = False,
) -> tuple[Subspace, list[Operation]]:
    """Called at each shrink: returns the smaller subspace and the removed operations, in order.

    In each contest the first operations of `ranked` are removed. An operation stays if without it
    the space would hold no architecture, or if, with `distinct_inputs`, too few edges of the
    contest would be left. `shrinks_left` includes this shrink.
    """
    removed: list[Operation] = []
    for contest in field:
        operations = contest.alive_operations(subspace)
        left = contest.leaving(subspace, shrinks_left)
        inputs = len({edge for edge, _ in operations}) if distinct_inputs else 0
        for operation in ranked(operations, measures, order):
            if not left:
                break
            smaller = subspace.drop(*operation)
            if _allowed(space, smaller, contest, min(inputs, contest.keep)):
                subspace, left = smaller, left - 1
                removed.append(operation)
    return subspace, removed


def ranked(
    operations: Sequence[Operation], measures: Float[Tensor, "edges ops"], order: Order
) -> list[Operation]:
    """Returns the operations in the order of their removal.

    Infinitely flat ones come first, then the others by measure; ties go by edge and column.
    """
    table = measures.tolist()
    sign = -1 if order == "largest" else 1

    def removal_key(operation: Operation) -> tuple[bool, float, Operation]:
        value = table[operation[0]][operation[1]]
        return not isinf(value), 0.0 if isinf(value) else sign * value, operation

    return sorted(operations, key=removal_key)


def scores(
    measures: Float[Tensor, "edges ops"], subspace: Subspace, order: Order
) -> Float[Tensor, "edges ops"]:
    """Returns scores for the space's decision: 0 for the last to be removed, -1 for the one before.

    They are ranks, because the measures may be infinite; equal measures share a rank.
    """
    last_first = reversed(ranked(subspace.alive_operations(), measures, order))
    table = torch.zeros(measures.shape, dtype=torch.float64)
    ties = groupby(last_first, lambda operation: float(measures[operation]))
    for rank, (_, operations) in enumerate(ties):
        for operation in operations:
            table[operation] = -float(rank)
    return table


def rate(
    before: Float[Tensor, "edges ops"] | None,
    subspace: Subspace,
    measures: Float[Tensor, "edges ops"],
    number: int,
    order: Order,
) -> Float[Tensor, "edges ops"]:
    """Called at each shrink: returns ratings of all operations; higher is better.

    An operation of `subspace` (before the shrink) gets the shrink's `number` (from 1) plus its rank
    on its edge as a fraction below 1, 0 for the first to be removed. Operations that were removed
    earlier keep their rating. The scale is the same on every edge.
    """
    ratings = torch.full(measures.shape, torch.nan, dtype=torch.float64)
    ratings = ratings if before is None else before.clone()
    for edge in range(len(subspace.alive)):
        operations = [(edge, column) for column in subspace.operations(edge)]
        for rank, operation in enumerate(ranked(operations, measures, order)):
            ratings[operation] = number + rank / len(operations)
    return ratings


def _allowed(space: SearchSpace, smaller: Subspace, contest: Contest, inputs: int) -> bool:
    """True if `smaller` holds an architecture, and `inputs` different edges of the contest."""
    input_edges = {edge for edge, _ in contest.alive_operations(smaller)}
    return len(input_edges) >= inputs and space.why_empty(smaller) is None
