"""What each operation adds to a metric: `Additive`, from the values of a few architectures.

    value(a) = rest + sum of costs[e, o] over the chosen (e, o)

Sizes and tables of times are such sums. Few architectures suffice where an operation costs the
same on many edges, so the coarsest of `TYINGS` is taken that foretells more than it was fitted to.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from nastk.limits.structure import Structure, table_of, with_operation
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Edge

CHECKS = 16
"""New architectures in a row that the fit must foretell before it counts as exact."""

PATIENCE = 1_000
"""Draws after which a space is taken to hold no more new architectures."""

EXACT = 1e-9
"""Largest error, as a share of the largest value, at which a fit counts as exact."""

Table = Float64[Tensor, "edges ops"]
Tying = Callable[[Sequence[Edge], int, str], Hashable]
"""Which (edge, operation name) are taken to cost the same."""

TYINGS: tuple[Tying, ...] = (
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
    for tying in TYINGS:
        keys = keys_of(space.edges, tying)
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


def keys_of(edges: Sequence[Edge], tying: Tying = TYINGS[-1]) -> list[list[int]]:
    """A number for each (edge, operation): equal ones cost the same. Padding has one of its own."""
    width = max(len(edge.operations) for edge in edges)
    numbers: dict[Hashable, int] = {}
    return [
        [
            numbers.setdefault(
                tying(edges, row, edge.operations[column])
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
    entered = {edge.node for edge in edges if edge.group == edges[row].group}
    return edges[row].source not in entered
