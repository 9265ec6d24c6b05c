"""What sums at a node have in common: `added`, and when a covariance may stand for a map."""

import torch
from jaxtyping import Float
from torch import Tensor

State = Float[Tensor, "batch _channels height width"]

FEWEST_POSITIONS = 512
"""Below this a covariance in single precision says too little, and there is nothing to save."""


def has_covariance(positions: int) -> bool:
    """Whether a map has positions enough for its covariance in single precision to be used."""
    return positions >= FEWEST_POSITIONS


def added(total: State | None, term: State, weight: Float[Tensor, ""]) -> State:
    """`total + weight * term`, where None stands for a total of zero."""
    return term * weight if total is None else torch.addcmul(total, term, weight)
