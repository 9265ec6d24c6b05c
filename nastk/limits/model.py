"""Models of a space and of a metric, fitted to sampled architectures before limits are applied.

`Structure` describes which choices the space's rule allows. `Additive` models a metric as a sum,

    value(a) = rest + sum of costs[e, o] over the chosen (e, o),

fitted to the values of a few architectures. Sizes and latency tables are such sums. If an operation
costs the same on many edges, few architectures suffice: the fit uses the coarsest of `GROUPINGS`
that predicts architectures outside of the fit.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Edge

RANDOM = 32


@dataclass(frozen=True)
class ExclusiveEdges:
    """Edges whose operations compete: every architecture chooses exactly `taken` of them.

    `taken` is None if the number varies; then `edges` has a single edge.
    """

    edges: tuple[int, ...]
    taken: int | None


@dataclass(frozen=True, eq=False)
class Structure:
    """The operations that can be chosen, and the groups of edges that compete.

    `choosable` is True for each (edge, operation) that some architecture contains. An edge that
    always takes one operation is a group of its own in `exclusive`; in the DARTS space the edges
    into a node form a group, of which two operations are taken.

    Example: `Structure.of(space).exclusive`
    """

    choosable: Bool[Tensor, "edges ops"]
    exclusive: tuple[ExclusiveEdges, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> "Structure":
        """Returns the structure seen in an architecture with each operation, and in random ones."""
        full, rng = space.full(), torch.Generator().manual_seed(0)
        covering = [with_operation(space, *pair, rng) for pair in full.alive_operations()]
        drawn = [space.sample(full, rng) for _ in range(RANDOM)]
        architectures = (*covering, *drawn)
        tables = torch.stack([table_of(architecture) for architecture in architectures])
        return cls(tables.any(0), tuple(_exclusive_edges(space.edges, tables)))

    def normalized(
        self, costs: Float64[Tensor, "edges ops"], rest: float
    ) -> tuple[Float64[Tensor, "edges ops"], float]:
        """Returns (costs, rest) with equal sums, the cheapest operation of each group at zero.

        Operations that no architecture can contain cost zero.
        """
        costs = costs.masked_fill(~self.choosable, 0.0)
        for group in self.exclusive:
            members = torch.zeros_like(self.choosable)
            members[list(group.edges)] = self.choosable[list(group.edges)]
            if group.taken is not None:
                # Every architecture takes `taken` operations of the group, so a constant can move
                # from their costs to the rest without changing any sum.
                least = costs[members].min()
                costs = torch.where(members, costs - least, costs)
                rest += float(least) * group.taken
        return costs, rest


def with_operation(
    space: SearchSpace, edge: int, operation: int, rng: torch.Generator
) -> Architecture:
    """Returns a random architecture with this operation, if the space's rule allows one."""
    full = space.full()
    scores = torch.rand(len(full.alive), len(full.alive[0]), generator=rng)
    scores[edge, operation] = 2.0
    return space.decide(scores, full)


def table_of(architecture: Architecture) -> Bool[Tensor, "edges ops"]:
    """Returns the chosen operations as a boolean tensor on the CPU."""
    return torch.tensor(architecture.table(), dtype=torch.bool)


def _exclusive_edges(
    edges: Sequence[Edge], tables: Bool[Tensor, "samples edges ops"]
) -> list[ExclusiveEdges]:
    """Returns single edges, or else all edges into a node, that take a fixed number of operations.

    The other edges follow one by one, with `taken=None`.
    """
    taken = {row: _number_taken(tables, [row]) for row in range(len(edges))}
    groups = [ExclusiveEdges((row,), number) for row, number in taken.items() if number]
    nodes: dict[tuple[str, int], list[int]] = {}
    for row, edge in enumerate(edges):
        if not taken[row]:
            nodes.setdefault((edge.group, edge.head), []).append(row)
    for rows in nodes.values():
        number = _number_taken(tables, rows)
        if number:
            groups.append(ExclusiveEdges(tuple(rows), number))
        else:
            groups += [ExclusiveEdges((row,), None) for row in rows]
    return groups


def _number_taken(tables: Bool[Tensor, "samples edges ops"], rows: Sequence[int]) -> int | None:
    """Returns the number of operations that all samples take from `rows`; None if it varies."""
    counts = set(tables[:, list(rows)].sum((1, 2)).tolist())
    return int(counts.pop()) if len(counts) == 1 else None


CHECKS = 16
"""New architectures in a row that must add nothing to the fit before measuring stops."""

PATIENCE = 1_000
"""Most draws of random architectures."""

EXACT = 1e-9
"""Largest error of an exact fit, as a share of the largest value."""

Table = Float64[Tensor, "edges ops"]
Grouping = Callable[[Sequence[Edge], int, str], Hashable]
"""Returns a key for (edges, row, operation name); pairs with equal keys cost the same."""

GROUPINGS: tuple[Grouping, ...] = (
    lambda edges, row, name: (edges[row].group, name),
    lambda edges, row, name: (edges[row].group, _leaves_input(edges, row), name),
    lambda edges, row, name: (row, name),
)
"""An operation costs the same: on all edges of a cell type; on those whose tail is an input, and on
those whose tail is not; only on its own edge."""


@dataclass(frozen=True, eq=False)
class Additive:
    """A metric as a sum: `rest`, and `costs` of each operation (zero for the cheapest rivals).

    `exact` is True if the sum equals the value of every measured architecture; `measurements` is
    the number of measured architectures.

    Example: `measured(space, value, Structure.of(space)).of(architecture)`
    """

    rest: float
    costs: Table
    exact: bool
    measurements: int

    def of(self, architecture: Architecture) -> float:
        """Returns the sum for an architecture."""
        return self.rest + float(self.costs[table_of(architecture)].sum())


def measured(
    space: SearchSpace, value: Callable[[Architecture], float], structure: Structure
) -> Additive:
    """Returns the model of a metric, fitted to the `value` of as few architectures as possible."""
    known: dict[Architecture, float] = {}
    for grouping in GROUPINGS:
        keys = keys_of(space.edges, grouping)
        for architecture in _to_measure(space, keys, structure, list(known)):
            known[architecture] = value(architecture)
        model = fit(list(known), list(known.values()), structure, keys)
        if model.exact:
            break
    return model


def fit(
    architectures: Sequence[Architecture],
    values: Sequence[float],
    structure: Structure,
    keys: Sequence[Sequence[int]],
) -> Additive:
    """Returns the least-squares fit of the sum; operations with equal `keys` share a cost."""
    truth = torch.tensor(values, dtype=torch.float64)
    scale = float(truth.abs().max().clamp(min=1e-300))
    rows = features(architectures, keys)  # architectures x (1 + keys)
    solved = torch.linalg.lstsq(rows, (truth / scale)[:, None], driver="gelsd").solution[:, 0]
    error = float((rows @ solved - truth / scale).abs().max())
    # Entry 0 of the solution is the rest, entry k + 1 the cost of key k; indexing with the keys
    # gives a table, edges x operations.
    costs, rest = structure.normalized(solved[torch.tensor(keys) + 1], float(solved[0]))
    # Costs within rounding become exactly zero, so that free operations tie.
    costs, rest = costs.masked_fill(costs < EXACT, 0.0) * scale, rest * scale
    return Additive(rest, costs, error <= EXACT, len(architectures))


def keys_of(edges: Sequence[Edge], grouping: Grouping = GROUPINGS[-1]) -> list[list[int]]:
    """Returns a key for each (edge, operation); equal keys share a cost; padding has its own."""
    width = max(len(edge.operations) for edge in edges)
    numbers: dict[Hashable, int] = {}
    return [
        [
            numbers.setdefault(
                grouping(edges, row, edge.operations[column])
                if column < len(edge.operations)
                else None,
                len(numbers),
            )
            for column in range(width)
        ]
        for row, edge in enumerate(edges)
    ]


def _to_measure(
    space: SearchSpace,
    keys: Sequence[Sequence[int]],
    structure: Structure,
    known: Sequence[Architecture],
) -> Iterator[Architecture]:
    """Yields architectures to measure beside the `known`: one for each key, then random ones.

    Stops when the features of `CHECKS` new ones in a row lie in the span of those before, so that
    an exact sum already predicts their values; these also test whether the sum is exact.
    """
    rng, span = torch.Generator().manual_seed(1 + len(known)), Span()
    measured_already = set(known)
    for architecture in known:
        span.add(_features(architecture, keys))
    seen = {key for architecture in known for key in _chosen_keys(architecture, keys)}
    for row, column in structure.choosable.nonzero().tolist():
        if keys[row][column] not in seen:
            architecture = with_operation(space, row, column, rng)
            span.add(_features(architecture, keys))
            seen.update(_chosen_keys(architecture, keys))
            measured_already.add(architecture)
            yield architecture
    idle = 0
    for _ in range(PATIENCE):
        architecture = space.sample(space.full(), rng)
        if architecture not in measured_already:
            idle = 0 if span.add(_features(architecture, keys)) else idle + 1
            measured_already.add(architecture)
            yield architecture
        if idle >= CHECKS:
            break


def _chosen_keys(architecture: Architecture, keys: Sequence[Sequence[int]]) -> list[int]:
    """Returns the key of each chosen operation."""
    return [keys[row][column] for row, column in table_of(architecture).nonzero().tolist()]


def features(
    architectures: Sequence[Architecture], keys: Sequence[Sequence[int]]
) -> Float64[Tensor, "architectures features"]:
    """Returns the rows of the fit: a one, and how often each key is chosen."""
    return torch.stack([_features(architecture, keys) for architecture in architectures])


def _features(
    architecture: Architecture, keys: Sequence[Sequence[int]]
) -> Float64[Tensor, "features"]:
    """Returns a vector of a one and of how often each key is chosen."""
    counts = torch.zeros(2 + max(map(max, keys)), dtype=torch.float64)
    counts[0] = 1.0
    for key in _chosen_keys(architecture, keys):
        counts[1 + key] += 1.0
    return counts


class Span:
    """The linear span of the vectors added so far.

    Example: `Span().add(torch.ones(3, dtype=torch.float64))` is True for a new direction.
    """

    def __init__(self) -> None:
        self._basis: list[Float64[Tensor, "features"]] = []

    def add(self, vector: Float64[Tensor, "features"]) -> bool:
        """Add `vector` to the span; True if it was outside before."""
        residual = vector / torch.linalg.vector_norm(vector).clamp(min=1e-300)
        if self._basis:
            basis = torch.stack(self._basis)  # vectors x features, orthonormal rows
            for _ in range(2):  # Gram-Schmidt twice: a second pass removes rounding errors
                residual = residual - basis.T @ (basis @ residual)
        length = torch.linalg.vector_norm(residual)
        if length < 1e-8:
            return False
        self._basis.append(residual / length)
        return True


def _leaves_input(edges: Sequence[Edge], row: int) -> bool:
    """True if the tail of an edge is an input of its cell: a node that no edge enters."""
    entered = {edge.head for edge in edges if edge.group == edges[row].group}
    return edges[row].tail not in entered
