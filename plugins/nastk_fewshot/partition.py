"""The grouping of an edge's operations by their distances.

`partitions` enumerates the ways to divide them; `Partitioner` takes the best by its rule.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum
from typing import Any, Literal

from jaxtyping import Float64
from torch import Tensor

from nastk.base import library

Rule = Literal["balanced", "min-cut", "min-within", "listed"]
Groups = int | Literal["all"]
Partition = tuple[tuple[int, ...], ...]
"""Groups of indices into an edge's alive operations, in ascending order inside and outside."""
ENUMERATED = 8
"""The most operations for which all cuts are enumerated; beyond, networkx finds the smallest."""


@dataclass(frozen=True)
class Partitioner:
    """Divides the operations of an edge into `groups` (`all`: one for each operation).

    `balanced`: sizes that differ by at most one, with least distance within groups. `min-cut`: any
    sizes, with least similarity max(1 - D, 0) between groups. `min-within`: two or more operations
    in a group, with least distance within groups. `listed`: the groups named in `listed`;
    operations that are not named join the last one.

    Example: `Partitioner(2).best(distances, ("none", "skip", "conv"))`
    """

    groups: Groups
    rule: Rule = "balanced"
    listed: tuple[tuple[str, ...], ...] = ()

    @property
    def blind(self) -> bool:
        """True if the groups do not depend on distances."""
        return self.groups == "all" or self.rule == "listed"

    def most(self, widest: int) -> int:
        """Returns the most parts of edges that have up to `widest` operations."""
        if self.groups == "all":
            return widest
        return len(self.listed) if self.rule == "listed" else self.groups

    def possible(self, operations: Sequence[str]) -> Iterator[Partition]:
        """Yields the partitions that the rule considers, in a fixed order: ties go to the first."""
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
        """Returns the best partition that is `allowed`; None if there is none.

        Raises:
            MissingExtraError: finding the smallest cut of many operations needs networkx.
        """
        if self.blind or distances is None:
            return next(filter(allowed, self.possible(operations)), None)
        table = distances.tolist()
        if self.rule == "min-cut" and len(operations) > ENUMERATED:
            smallest = smallest_cut(table)
            return smallest if allowed(smallest) else None
        weight = cut_weight if self.rule == "min-cut" else within
        ranked = sorted(self.possible(operations), key=lambda groups: weight(table, groups))
        return next(filter(allowed, ranked), None)

    def _listed(self, operations: Sequence[str]) -> Iterator[Partition]:
        """Yields the partition that is listed, without empty groups, if it has two or more."""
        indices = {name: index for index, name in enumerate(operations)}
        groups = [[indices[name] for name in group if name in indices] for group in self.listed]
        named = {index for group in groups for index in group}
        if groups:
            groups[-1] += [index for index in range(len(operations)) if index not in named]
        partition = tuple(sorted(tuple(sorted(group)) for group in groups if group))
        if len(partition) > 1:
            yield partition


def partitions(
    members: Sequence[int], groups: int, smallest: int, largest: int
) -> Iterator[Partition]:
    """Yields every division of `members` into `groups` groups of `smallest` to `largest`, once.

    >>> list(partitions(range(4), 2, 2, 2))
    [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    """
    if groups == 1:
        if smallest <= len(members) <= largest:
            yield (tuple(members),)
        return
    # The first member's group is chosen, then the rest is divided: no division comes twice.
    most = min(largest, len(members) - smallest * (groups - 1))
    for size in range(smallest, most + 1):
        for companions in combinations(members[1:], size - 1):
            left = [member for member in members[1:] if member not in companions]
            for rest in partitions(left, groups - 1, smallest, largest):
                yield ((members[0], *companions), *rest)


def within(table: Sequence[Sequence[float]], partition: Partition) -> float:
    """Returns the sum of the distances of every two operations in the same group."""
    return fsum(table[row][column] for group in partition for row, column in combinations(group, 2))


def cross(table: Sequence[Sequence[float]], partition: Partition) -> float:
    """Returns the sum of the distances of every two operations in different groups."""
    return fsum(table[row][column] for row, column in crossing(partition))


def crossing(partition: Partition) -> Iterator[tuple[int, int]]:
    """Yields every two operations in different groups."""
    for left, right in combinations(partition, 2):
        for row in left:
            for column in right:
                yield row, column


def similarity(distance: float) -> float:
    """Returns how much two operations agree: their cosine, or 0 if it is negative."""
    return max(1.0 - distance, 0.0)


def cut_weight(table: Sequence[Sequence[float]], partition: Partition) -> float:
    """Returns the sum of the similarities of every two operations in different groups."""
    return fsum(similarity(table[row][column]) for row, column in crossing(partition))


def smallest_cut(table: Sequence[Sequence[float]]) -> Partition:
    """Returns the two groups of smallest cut weight, by the algorithm of Stoer and Wagner."""
    graph = networkx().Graph()
    graph.add_weighted_edges_from(
        (row, column, similarity(table[row][column]))
        for row, column in combinations(range(len(table)), 2)
    )
    _, sides = networkx().stoer_wagner(graph)
    left, right = sorted(tuple(sorted(side)) for side in sides)
    return left, right


def networkx() -> Any:
    """Returns the library networkx.

    Raises:
        MissingExtraError: it is not installed.
    """
    return library(
        "networkx",
        "networkx",
        f"gm: partition=min-cut with more than {ENUMERATED} operations on an edge",
        "use `-u partition=balanced`",
    )
