"""Helpers for the sums at nodes of cells: `added` and `has_covariance`."""

import torch
from jaxtyping import Float
from torch import Tensor

State = Float[Tensor, "batch _channels height width"]

FEWEST_POSITIONS = 512
"""With fewer positions a covariance in single precision is not accurate, and saves no time."""


def has_covariance(positions: int) -> bool:
    """True if a map has enough positions to derive statistics from its covariance.

    Statistics of a linear function of a map follow from the covariance of the map, without
    computing the function at every position.
    """
    return positions >= FEWEST_POSITIONS


def added(total: State | None, term: State, weight: Float[Tensor, ""]) -> State:
    """Returns `total + weight * term`; a total of None counts as zero."""
    return term * weight if total is None else torch.addcmul(total, term, weight)
