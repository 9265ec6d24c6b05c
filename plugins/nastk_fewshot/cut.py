"""The choice of the edge to split: a `Cut` is an edge with its groups; `chosen` takes the best."""

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
    """An edge (by number) that may be split, with its alive operations and their groups.

    `groups` hold indices into `operations`; `distances` is None if the groups need none.
    """

    edge: int
    name: str
    columns: tuple[int, ...]
    operations: tuple[str, ...]
    groups: Partition
    distances: Float64[Tensor, "ops ops"] | None = None

    @property
    def cross(self) -> float:
        """The sum of distances between groups; 0 without distances."""
        return 0.0 if self.distances is None else cross(self.distances.tolist(), self.groups)

    @property
    def within(self) -> float:
        """The sum of distances within groups; 0 without distances."""
        return 0.0 if self.distances is None else within(self.distances.tolist(), self.groups)

    def value(self, rule: EdgeRule, per_pair: bool) -> float:
        """Returns the distance within groups (`smallest-within`) or between them: sum or mean."""
        inside = sum(comb(len(group), 2) for group in self.groups)
        between = sum(1 for _ in crossing(self.groups))
        if rule == "smallest-within":
            return self.within / (max(inside, 1) if per_pair else 1)
        return self.cross / (between if per_pair else 1)

    def parts(self, subspace: Subspace) -> list[Subspace]:
        """Returns one subspace for each group."""
        return subspace.split(
            self.edge, [[self.columns[index] for index in group] for group in self.groups]
        )

    def named(self) -> list[list[str]]:
        """Returns the groups as lists of operation names."""
        return [[self.operations[index] for index in group] for group in self.groups]

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object for the run's record."""
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
    """Returns the best cut of `edge` whose parts are all usable; None if there is none.

    A part is usable if it holds an architecture, and one that connects input and output if the
    subspace has such architectures.
    """
    columns = tuple(subspace.operations(edge))
    operations = tuple(space.edges[edge].operations[column] for column in columns)

    def with_groups(groups: Partition) -> Cut:
        return Cut(edge, space.edges[edge].name, columns, operations, groups, distances)

    def allowed(groups: Partition) -> bool:
        parts = with_groups(groups).parts(subspace)
        return all(space.why_empty(part) is None and not cut_off(part) for part in parts)

    def cut_off(part: Subspace) -> bool:
        return subspace.connects(space.edges) and not part.connects(space.edges)

    groups = partitioner.best(distances, operations, allowed)
    return None if groups is None else with_groups(groups)


def splittable(
    space: SearchSpace, subspace: Subspace, partitioner: Partitioner, cells: Sequence[str] = ()
) -> list[int]:
    """Returns the edges that may be split: those with all their operations alive and with a cut.

    So a branch splits an edge at most once. `cells` restricts them to these cell types, unless it
    is empty.
    """
    full = space.full()
    return [
        number
        for number, edge in enumerate(space.edges)
        if subspace.alive[number] == full.alive[number]
        and _is_in(edge, cells)
        and cut(space, subspace, number, partitioner) is not None
    ]


def values(cuts: Sequence[Cut], rule: EdgeRule, per_pair: bool | None = None) -> list[float]:
    """Returns the values that the rule compares: distances between groups, or within them.

    With `per_pair` they are means over pairs, else sums. None takes means if edges differ in
    their number of operations.
    """
    mean = (
        len({len(candidate.operations) for candidate in cuts}) > 1 if per_pair is None else per_pair
    )
    return [candidate.value(rule, mean) for candidate in cuts]


def chosen(cuts: Sequence[Cut], rule: EdgeRule, per_pair: bool | None = None) -> int:
    """Returns the index of the best cut by its value; ties go to the first."""
    compared = values(cuts, rule, per_pair)
    return compared.index(min(compared) if rule == "smallest-within" else max(compared))


def _is_in(edge: Edge, cells: Sequence[str]) -> bool:
    """True if the edge is in one of `cells`, or `cells` is empty."""
    return not cells or edge.group in cells
