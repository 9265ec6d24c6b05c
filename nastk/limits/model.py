"""What is found out of a space before it is limited, by asking it and an evaluator.

`Structure`: what the space's rule lets be chosen. `Additive`: what each operation adds to a metric,
from the values of a few architectures.

    value(a) = rest + sum of costs[e, o] over the chosen (e, o)

Sizes and tables of times are such sums. Few architectures suffice where an operation costs the
same on many edges, so the coarsest of `GROUPINGS` is taken that predicts what it was not fitted to.
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
    """Edges of which every architecture takes the same number of operations, `taken`.

    None where that number differs; then `edges` is one edge.
    """

    edges: tuple[int, ...]
    taken: int | None


@dataclass(frozen=True, eq=False)
class Structure:
    """Which operations can be chosen at all, and which edges compete for being chosen.

    `choosable` is true for each (edge, operation) that some architecture has. An edge that always
    has one operation is alone in its `exclusive`; in the DARTS space the edges into a node are
    together, and two operations of theirs are taken.

    Example: `Structure.of(space).exclusive`
    """

    choosable: Bool[Tensor, "edges ops"]
    exclusive: tuple[ExclusiveEdges, ...]

    @classmethod
    def of(cls, space: SearchSpace) -> "Structure":
        """Ask `space` for an architecture with each operation, and for random ones."""
        full, rng = space.full(), torch.Generator().manual_seed(0)
        asked = [with_operation(space, *player, rng) for player in full.alive_operations()]
        drawn = [space.sample(full, rng) for _ in range(RANDOM)]
        tables = torch.stack([table_of(each) for each in (*asked, *drawn)])
        return cls(tables.any(0), tuple(_rivals(space.edges, tables)))

    def levelled(
        self, costs: Float64[Tensor, "edges ops"], rest: float
    ) -> tuple[Float64[Tensor, "edges ops"], float]:
        """Costs and rest with the same sums, in which the cheapest of all rivals is at zero.

        What no architecture can have costs zero.
        """
        costs = costs.masked_fill(~self.choosable, 0.0)
        for each in self.exclusive:
            here = torch.zeros_like(self.choosable)
            here[list(each.edges)] = self.choosable[list(each.edges)]
            if each.taken is not None:
                least = costs[here].min()
                costs = torch.where(here, costs - least, costs)
                rest += float(least) * each.taken
        return costs, rest


def with_operation(
    space: SearchSpace, edge: int, operation: int, rng: torch.Generator
) -> Architecture:
    """A random architecture that has this operation, if the space's rule allows one."""
    full = space.full()
    wanted = torch.rand(len(full.alive), len(full.alive[0]), generator=rng)
    wanted[edge, operation] = 2.0
    return space.decide(wanted, full)


def table_of(architecture: Architecture) -> Bool[Tensor, "edges ops"]:
    """What is chosen, as a tensor on the CPU."""
    return torch.tensor(architecture.table(), dtype=torch.bool)


def _rivals(
    edges: Sequence[Edge], tables: Bool[Tensor, "samples edges ops"]
) -> list[ExclusiveEdges]:
    """The edges alone, else by node, where the number taken is the same in all samples."""
    taken = {row: _number(tables, [row]) for row in range(len(edges))}
    found = [ExclusiveEdges((row,), number) for row, number in taken.items() if number]
    nodes: dict[tuple[str, int], list[int]] = {}
    for row, edge in enumerate(edges):
        if not taken[row]:
            nodes.setdefault((edge.group, edge.head), []).append(row)
    for rows in nodes.values():
        together = _number(tables, rows)
        if together:
            found.append(ExclusiveEdges(tuple(rows), together))
        else:
            found += [ExclusiveEdges((row,), None) for row in rows]
    return found


def _number(tables: Bool[Tensor, "samples edges ops"], rows: Sequence[int]) -> int | None:
    """How many operations each sample takes from `rows`; None where that differs."""
    counts = set(tables[:, list(rows)].sum((1, 2)).tolist())
    return int(counts.pop()) if len(counts) == 1 else None


CHECKS = 16
"""New architectures in a row that the fit must foretell before it counts as exact."""

PATIENCE = 1_000
"""Draws after which a space is taken to hold no more new architectures."""

EXACT = 1e-9
"""Largest error, as a share of the largest value, at which a fit counts as exact."""

Table = Float64[Tensor, "edges ops"]
Grouping = Callable[[Sequence[Edge], int, str], Hashable]
"""Which (edge, operation name) are taken to cost the same."""

GROUPINGS: tuple[Grouping, ...] = (
    lambda edges, row, name: (edges[row].group, name),
    lambda edges, row, name: (edges[row].group, _enters(edges, row), name),
    lambda edges, row, name: (row, name),
)
"""Alike in a cell type; alike from its inputs and from its inner nodes; each by itself."""


@dataclass(frozen=True, eq=False)
class Additive:
    """A metric as a sum: `rest`, and `costs` of each operation (zero for the cheapest rivals).

    `exact` says whether it foretold all architectures that it was tried on; `asked` counts the
    architectures whose values were measured.

    Example: `measured(space, value, Structure.of(space)).of(architecture)`
    """

    rest: float
    costs: Table
    exact: bool
    asked: int

    def of(self, architecture: Architecture) -> float:
        """The sum for one architecture."""
        return self.rest + float(self.costs[table_of(architecture)].sum())


def measured(
    space: SearchSpace, value: Callable[[Architecture], float], structure: Structure
) -> Additive:
    """Ask `value` for as few architectures as it takes, and fit the sum to them."""
    known: dict[Architecture, float] = {}
    for grouping in GROUPINGS:
        keys = keys_of(space.edges, grouping)
        for architecture in _needed(space, keys, structure, list(known)):
            known[architecture] = value(architecture)
        found = fit(list(known), list(known.values()), structure, keys)
        if found.exact:
            break
    return found


def fit(
    architectures: Sequence[Architecture],
    values: Sequence[float],
    structure: Structure,
    keys: Sequence[Sequence[int]],
) -> Additive:
    """The sum that fits best (least squares), for operations that cost the same as `keys` says."""
    truth = torch.tensor(values, dtype=torch.float64)
    scale = float(truth.abs().max().clamp(min=1e-300))
    rows = features(architectures, keys)
    solved = torch.linalg.lstsq(rows, (truth / scale)[:, None], driver="gelsd").solution[:, 0]
    error = float((rows @ solved - truth / scale).abs().max())
    costs, rest = structure.levelled(solved[torch.tensor(keys) + 1], float(solved[0]))
    # What is no more than rounding is nothing, so that free operations tie.
    costs, rest = costs.masked_fill(costs < EXACT, 0.0) * scale, rest * scale
    return Additive(rest, costs, error <= EXACT, len(architectures))


def keys_of(edges: Sequence[Edge], grouping: Grouping = GROUPINGS[-1]) -> list[list[int]]:
    """A number for each (edge, operation): equal ones cost the same. Padding has one of its own."""
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


def _needed(
    space: SearchSpace,
    keys: Sequence[Sequence[int]],
    structure: Structure,
    known: Sequence[Architecture],
) -> Iterator[Architecture]:
    """Architectures to measure beside the `known`: one for each key, then random ones.

    Random ones until `CHECKS` in a row say nothing that those before would not foretell.
    """
    rng, span = torch.Generator().manual_seed(1 + len(known)), Span()
    have = set(known)
    for architecture in known:
        span.add(_features(architecture, keys))
    seen = {number for each in known for number in _chosen(each, keys)}
    for row, column in structure.choosable.nonzero().tolist():
        if keys[row][column] not in seen:
            architecture = with_operation(space, row, column, rng)
            span.add(_features(architecture, keys))
            seen.update(_chosen(architecture, keys))
            have.add(architecture)
            yield architecture
    idle = 0
    for _ in range(PATIENCE):
        architecture = space.sample(space.full(), rng)
        if architecture not in have:
            idle = 0 if span.add(_features(architecture, keys)) else idle + 1
            have.add(architecture)
            yield architecture
        if idle >= CHECKS:
            break


def _chosen(architecture: Architecture, keys: Sequence[Sequence[int]]) -> list[int]:
    """The key of each chosen operation."""
    return [keys[row][column] for row, column in table_of(architecture).nonzero().tolist()]


def features(
    architectures: Sequence[Architecture], keys: Sequence[Sequence[int]]
) -> Float64[Tensor, "architectures features"]:
    """The rows of the fit: one, and how often each key is chosen."""
    return torch.stack([_features(each, keys) for each in architectures])


def _features(
    architecture: Architecture, keys: Sequence[Sequence[int]]
) -> Float64[Tensor, "features"]:
    """One, and how often each key is chosen."""
    counts = torch.zeros(2 + max(map(max, keys)), dtype=torch.float64)
    counts[0] = 1.0
    for number in _chosen(architecture, keys):
        counts[1 + number] += 1.0
    return counts


class Span:
    """The linear span of the vectors added so far.

    Example: `Span().add(torch.ones(3, dtype=torch.float64))` is true: it was not there yet.
    """

    def __init__(self) -> None:
        self._basis: list[Float64[Tensor, "features"]] = []

    def add(self, vector: Float64[Tensor, "features"]) -> bool:
        """Put `vector` in; whether it was outside."""
        left = vector / torch.linalg.vector_norm(vector).clamp(min=1e-300)
        if self._basis:
            basis = torch.stack(self._basis)
            for _ in range(2):  # twice, so that rounding leaves no trace of the basis
                left = left - basis.T @ (basis @ left)
        length = torch.linalg.vector_norm(left)
        if length < 1e-8:
            return False
        self._basis.append(left / length)
        return True


def _enters(edges: Sequence[Edge], row: int) -> bool:
    """Whether an edge comes from an input of its cell: a node that no edge enters."""
    entered = {edge.head for edge in edges if edge.group == edges[row].group}
    return edges[row].tail not in entered
