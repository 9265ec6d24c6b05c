"""Architectures as parameters of Optuna: `Encoding`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nastk import Architecture, SearchSpace, Subspace

RANK = "rank of "
"""What the names of the parameters begin with by which a space chooses among edges."""


@dataclass(frozen=True)
class Encoding:
    """A categorical parameter for each edge of a space, whose values are its operations.

    In a space that also chooses edges (`ranked`) each edge has a second parameter, a number in
    [0, 1]: the space prefers edges with larger ones.

    Example: `Encoding.of(space).architecture({"a": "conv", "b": "skip"}, space.full())`
    """

    space: SearchSpace
    ranked: bool

    @classmethod
    def of(cls, space: SearchSpace) -> "Encoding":
        """Returns the encoding; a space whose random architecture lacks an edge chooses edges."""
        drawn = space.sample(space.full(), torch.Generator().manual_seed(0))
        return cls(space, not all(drawn.choices))

    def distributions(self, optuna: Any) -> dict[str, Any]:
        """Returns Optuna's distribution of each parameter, by its name."""
        kinds = optuna.distributions
        found: dict[str, Any] = {
            edge.name: kinds.CategoricalDistribution(edge.operations) for edge in self.space.edges
        }
        if self.ranked:
            rank = kinds.FloatDistribution(0.0, 1.0)
            found |= {RANK + edge.name: rank for edge in self.space.edges}
        return found

    def architecture(self, params: Mapping[str, Any], subspace: Subspace) -> Architecture:
        """Returns what the space decides on the parameters, inside `subspace` and its limits."""
        scores = torch.zeros(subspace.mask.shape, dtype=torch.float64)
        for row, edge in enumerate(self.space.edges):
            column = edge.operations.index(params[edge.name])
            scores[row, column] = 1.0 + float(params.get(RANK + edge.name, 0.0))
        return self.space.decide(scores, subspace)
