"""When the supernet shrinks, and which operations go: the schedule and the prune rules of IS-DARTS.

Operations compete in *contests*: all of one edge (`edge`), or all that enter a node (`node`). A
contest ends with as many survivors as the space's own rule keeps there.
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
Player = tuple[int, int]
"""(edge, column) of an operation."""


@dataclass(frozen=True)
class Contest:
    """Edges whose operations compete, and how many of these survive."""

    edges: tuple[int, ...]
    keep: int

    def alive_operations(self, subspace: Subspace) -> list[Player]:
        """Who is alive, edge by edge."""
        return [(edge, column) for edge in self.edges for column in subspace.operations(edge)]

    def leaving(self, subspace: Subspace, shrinks_left: int) -> int:
        """How many go in this shrink, which `shrinks_left` counts."""
        return quota(len(self.alive_operations(subspace)), self.keep, shrinks_left)


def shrink_epochs(epochs: int, shrinks: int, interval: int) -> range:
    """After how many finished epochs the supernet shrinks, the last time `interval` before the end.

    >>> list(shrink_epochs(30, 4, 2))
    [22, 24, 26, 28]
    """
    return range(epochs - shrinks * interval, epochs, interval)


def contests(space: SearchSpace, keep: Keep = "auto") -> list[Contest]:
    """Called once: who competes with whom in `space`, found out by asking it to decide.

    `edge`: each edge keeps one operation. `node`: each node keeps as many as the space chooses for
    it, from whichever edges. `auto` is `edge` where the space chooses one operation on every edge.
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
    """How many of `alive` operations go in this shrink, so that `keep` are left after the last one.

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
) -> tuple[Subspace, list[Player]]:
    """Called at each shrink: the subspace that is left, and who was removed, in that order.

    In each contest the first of `ranked` go. Those without whom no architecture of the space would
    be left are passed over, and so, with `distinct_inputs`, is the last of an edge that is needed.
    `shrinks_left` counts this one.
    """
    removed: list[Player] = []
    for contest in field:
        players = contest.alive_operations(subspace)
        left = contest.leaving(subspace, shrinks_left)
        inputs = len({edge for edge, _ in players}) if distinct_inputs else 0
        for player in ranked(players, measures, order):
            if not left:
                break
            smaller = subspace.drop(*player)
            if _allowed(space, smaller, contest, min(inputs, contest.keep)):
                subspace, left = smaller, left - 1
                removed.append(player)
    return subspace, removed


def ranked(
    players: Sequence[Player], measures: Float[Tensor, "edges ops"], order: Order
) -> list[Player]:
    """Who goes first: what is infinitely flat, then by measure; ties by edge and column."""
    table = measures.tolist()
    sign = -1 if order == "largest" else 1

    def place(player: Player) -> tuple[bool, float, Player]:
        value = table[player[0]][player[1]]
        return not isinf(value), 0.0 if isinf(value) else sign * value, player

    return sorted(players, key=place)


def scores(
    measures: Float[Tensor, "edges ops"], subspace: Subspace, order: Order
) -> Float[Tensor, "edges ops"]:
    """What the space may decide by: 0 for who would go last, -1 for who would go before, and so on.

    Places and not the measures themselves, which may be infinite; equal measures share a place.
    """
    staying = reversed(ranked(subspace.alive_operations(), measures, order))
    found = torch.zeros(measures.shape, dtype=torch.float64)
    for place, (_, equals) in enumerate(groupby(staying, lambda player: float(measures[player]))):
        for player in equals:
            found[player] = -float(place)
    return found


def rate(
    before: Float[Tensor, "edges ops"] | None,
    subspace: Subspace,
    measures: Float[Tensor, "edges ops"],
    number: int,
    order: Order,
) -> Float[Tensor, "edges ops"]:
    """Called at each shrink: ratings of all operations, higher is better, alike on every edge.

    An operation of `subspace` (before the shrink) gets the shrink's `number` (from 1) and, below
    1, its place on its edge: 0 for who would go first. Who was removed earlier keeps its rating.
    """
    found = torch.full(measures.shape, torch.nan, dtype=torch.float64)
    found = found if before is None else before.clone()
    for edge in range(len(subspace.alive)):
        players = [(edge, operation) for operation in subspace.operations(edge)]
        for place, player in enumerate(ranked(players, measures, order)):
            found[player] = number + place / len(players)
    return found


def _allowed(space: SearchSpace, smaller: Subspace, contest: Contest, inputs: int) -> bool:
    """Whether an architecture is left, and `inputs` different edges in the contest."""
    sources = {edge for edge, _ in contest.alive_operations(smaller)}
    return len(sources) >= inputs and space.why_empty(smaller) is None
