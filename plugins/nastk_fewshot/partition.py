"""Which operations stay together: groups of one edge's operations, by their distances.

`partitions` enumerates every way to divide them; `Partitioner` takes the best by its rule.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum
from typing import Any, Literal

from jaxtyping import Float64
from torch import Tensor

from nastk.base import MissingExtraError

Rule = Literal["balanced", "min-cut", "min-within", "listed"]
Groups = int | Literal["all"]
Partition = tuple[tuple[int, ...], ...]
"""Groups of places 0, 1, ... in an edge's living operations; each group and the groups ascend."""
ENUMERATED = 8
"""Most operations for which every cut is looked at; beyond, networkx finds the smallest one."""


@dataclass(frozen=True)
class Partitioner:
    """Divides the operations of an edge into `groups` (`all`: one for each operation).

    `balanced`: sizes differ by at most one, least distance within. `min-cut`: any sizes, least
    similarity max(1 - D, 0) between. `min-within`: two or more in a group, least distance within.
    `listed`: the groups named in `listed`; operations not named join the last one.

    Example: `Partitioner(2).best(distances, ("none", "skip", "conv"))`
    """

    groups: Groups
    rule: Rule = "balanced"
    listed: tuple[tuple[str, ...], ...] = ()

    @property
    def blind(self) -> bool:
        """Whether the groups are known without distances."""
        return self.groups == "all" or self.rule == "listed"

    def most(self, widest: int) -> int:
        """How many parts there are at most, where edges have up to `widest` operations."""
        if self.groups == "all":
            return widest
        return len(self.listed) if self.rule == "listed" else self.groups

    def possible(self, operations: Sequence[str]) -> Iterator[Partition]:
        """Every partition that the rule considers, in a fixed order: ties go to the first."""
        count = len(operations)
        if self.groups == "all":
            yield from partitions(range(count), count, 1, 1) if count > 1 else ()
        elif self.rule == "listed":
            yield from self._listed(operations)
        elif self.rule == "balanced":
            smallest, largest = count // self.groups, -(-count // self.groups)
            yield from partitions(range(count), self.groups, max(smallest, 1), largest)
        else:
            smallest = 1 if self.rule == "min-cut" else 2
            yield from partitions(range(count), self.groups, smallest, count)

    def best(
        self,
        distances: Float64[Tensor, "ops ops"] | None,
        operations: Sequence[str],
        allowed: Callable[[Partition], bool] = lambda partition: True,
    ) -> Partition | None:
        """The best possible partition that is `allowed`; None where there is none.

        Raises:
            MissingExtraError: a smallest cut of many operations needs networkx.
        """
        if self.blind or distances is None:
            return next(filter(allowed, self.possible(operations)), None)
        table = distances.tolist()
        if self.rule == "min-cut" and len(operations) > ENUMERATED:
            found = smallest_cut(table)
            return found if allowed(found) else None
        measure = cut_weight if self.rule == "min-cut" else within
        ranked = sorted(self.possible(operations), key=lambda each: measure(table, each))
        return next(filter(allowed, ranked), None)

    def _listed(self, operations: Sequence[str]) -> Iterator[Partition]:
        """The one partition that is listed, without its empty groups."""
        places = {name: place for place, name in enumerate(operations)}
        groups = [[places[name] for name in group if name in places] for group in self.listed]
        named = {place for group in groups for place in group}
        if groups:
            groups[-1] += [place for place in range(len(operations)) if place not in named]
        found = tuple(sorted(tuple(sorted(group)) for group in groups if group))
        if len(found) > 1:
            yield found


def partitions(
    members: Sequence[int], groups: int, smallest: int, largest: int
) -> Iterator[Partition]:
    """Every division of `members` into `groups` of `smallest` to `largest`, each once.

    >>> list(partitions(range(4), 2, 2, 2))
    [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    """
    if groups == 1:
        if smallest <= len(members) <= largest:
            yield (tuple(members),)
        return
    most = min(largest, len(members) - smallest * (groups - 1))
    for size in range(smallest, most + 1):
        for others in combinations(members[1:], size - 1):
            left = [each for each in members[1:] if each not in others]
            for rest in partitions(left, groups - 1, smallest, largest):
                yield ((members[0], *others), *rest)


def within(table: Sequence[Sequence[float]], partition: Partition) -> float:
    """Sum of the distances of every two operations in one group."""
    return fsum(table[one][other] for group in partition for one, other in combinations(group, 2))


def cross(table: Sequence[Sequence[float]], partition: Partition) -> float:
    """Sum of the distances of every two operations in different groups."""
    return fsum(table[one][other] for one, other in crossing(partition))


def crossing(partition: Partition) -> Iterator[tuple[int, int]]:
    """Every two operations in different groups."""
    for left, right in combinations(partition, 2):
        for one in left:
            for other in right:
                yield one, other


def similarity(distance: float) -> float:
    """How much two operations agree: their cosine, and 0 where they are opposed."""
    return max(1.0 - distance, 0.0)


def cut_weight(table: Sequence[Sequence[float]], partition: Partition) -> float:
    """Sum of the similarities that a partition cuts."""
    return fsum(similarity(table[one][other]) for one, other in crossing(partition))


def smallest_cut(table: Sequence[Sequence[float]]) -> Partition:
    """The two groups of smallest cut weight, by the algorithm of Stoer and Wagner."""
    graph = networkx().Graph()
    graph.add_weighted_edges_from(
        (one, other, similarity(table[one][other]))
        for one, other in combinations(range(len(table)), 2)
    )
    _, sides = networkx().stoer_wagner(graph)
    left, right = sorted(tuple(sorted(side)) for side in sides)
    return left, right


def networkx() -> Any:
    """The library networkx.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("networkx")
    except ImportError:
        raise MissingExtraError(
            f"gm: partition=min-cut with more than {ENUMERATED} operations on an edge needs "
            "networkx. Install it with `pip install 'nastk[networkx]'`, or use "
            "`-u partition=balanced`."
        ) from None
