"""Which edge is split: a `Cut` is an edge with its groups; `chosen` takes one of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, Literal

from jaxtyping import Float64
from torch import Tensor

from nastk import Edge, SearchSpace, Subspace
from nastk_fewshot.partition import Partition, Partitioner, cross, crossing, within

EdgeRule = Literal["largest-cross", "smallest-within", "first", "random", "listed"]


@dataclass(frozen=True, eq=False)
class Cut:
    """An edge (by number) that may be split, its living operations and how they are grouped.

    `groups` hold places in `operations`; `distances` is None where the groups were given.
    """

    edge: int
    name: str
    columns: tuple[int, ...]
    operations: tuple[str, ...]
    groups: Partition
    distances: Float64[Tensor, "ops ops"] | None = None

    @property
    def cross(self) -> float:
        """Sum of distances between groups; 0 without distances."""
        return 0.0 if self.distances is None else cross(self.distances.tolist(), self.groups)

    @property
    def within(self) -> float:
        """Sum of distances inside groups; 0 without distances."""
        return 0.0 if self.distances is None else within(self.distances.tolist(), self.groups)

    def value(self, rule: EdgeRule, per_pair: bool) -> float:
        """Distance between groups, or within them, as the rule says: a sum or a mean."""
        inside = sum(comb(len(group), 2) for group in self.groups)
        between = sum(1 for _ in crossing(self.groups))
        if rule == "smallest-within":
            return self.within / (max(inside, 1) if per_pair else 1)
        return self.cross / (between if per_pair else 1)

    def parts(self, subspace: Subspace) -> list[Subspace]:
        """One subspace for each group."""
        return subspace.split(
            self.edge, [[self.columns[place] for place in group] for group in self.groups]
        )

    def named(self) -> list[list[str]]:
        """The groups by the names of their operations."""
        return [[self.operations[place] for place in group] for group in self.groups]

    def to_json(self) -> dict[str, Any]:
        """A JSON object for the run's record."""
        return {
            "edge": self.name,
            "operations": list(self.operations),
            "distances": None if self.distances is None else self.distances.tolist(),
            "groups": self.named(),
            "cross": self.cross,
            "within": self.within,
        }


def cut(
    space: SearchSpace,
    subspace: Subspace,
    edge: int,
    partitioner: Partitioner,
    distances: Float64[Tensor, "ops ops"] | None = None,
) -> Cut | None:
    """The best cut of `edge` whose parts all hold an architecture; None where there is none.

    Nor may a part hold only architectures that are cut off from their input.
    """
    columns = tuple(subspace.operations(edge))
    operations = tuple(space.edges[edge].operations[column] for column in columns)

    def made(groups: Partition) -> Cut:
        return Cut(edge, space.edges[edge].name, columns, operations, groups, distances)

    def allowed(groups: Partition) -> bool:
        parts = made(groups).parts(subspace)
        return all(space.why_empty(part) is None and not cut_off(part) for part in parts)

    def cut_off(part: Subspace) -> bool:
        return subspace.connects(space.edges) and not part.connects(space.edges)

    found = partitioner.best(distances, operations, allowed)
    return None if found is None else made(found)


def splittable(
    space: SearchSpace, subspace: Subspace, partitioner: Partitioner, cells: Sequence[str] = ()
) -> list[int]:
    """The edges (of `cells`; empty: of all) that may still be split: nothing of them was removed.

    So an edge is split at most once in a branch.
    """
    full = space.full()
    return [
        number
        for number, edge in enumerate(space.edges)
        if subspace.alive[number] == full.alive[number]
        and _counted(edge, cells)
        and cut(space, subspace, number, partitioner) is not None
    ]


def values(cuts: Sequence[Cut], rule: EdgeRule, per_pair: bool | None = None) -> list[float]:
    """What the rule compares: sums of distances between groups, or within them.

    Means for each pair with `per_pair`; None: where edges differ in how many operations they have.
    """
    mean = len({len(each.operations) for each in cuts}) > 1 if per_pair is None else per_pair
    return [each.value(rule, mean) for each in cuts]


def chosen(cuts: Sequence[Cut], rule: EdgeRule, per_pair: bool | None = None) -> int:
    """The place of the best cut by its value; ties go to the first."""
    found = values(cuts, rule, per_pair)
    return found.index(min(found) if rule == "smallest-within" else max(found))


def _counted(edge: Edge, cells: Sequence[str]) -> bool:
    return not cells or edge.group in cells
