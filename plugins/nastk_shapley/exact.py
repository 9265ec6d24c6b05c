"""Exact Shapley values from all coalitions, for few players; `estimate.py` samples them."""

from math import comb

import torch
from torch import Tensor

from nastk_shapley.estimate import Estimate, Game

MOST_PLAYERS = 12
"""The most players whose coalitions are all evaluated."""


def exact(game: Game, risk: float = 0.0) -> Estimate:
    """Returns the Shapley values of `game` by equation (3) of Xiao et al., from all 2^n coalitions.

    Null players are left out of the enumeration and get exactly 0. With `risk`, that many standard
    deviations of a player's marginal over a uniformly random order are subtracted, exactly. No
    order is truncated. The standard errors are 0: they do not include the sampling of images.

    Raises:
        ValueError: the game keeps the last survivor of groups, so that its value depends on the
            order.
    """
    if game.groups:
        raise ValueError(
            "A coalition has no value of its own where the last survivor of a group is kept."
        )
    real = [player for player in range(game.players) if player not in game.null]
    count = len(real)
    removals = [[real[i] for i in range(count) if removed >> i & 1] for removed in range(2**count)]
    # worth[b]: bit i of b says that player real[i] is removed.
    worth = torch.tensor(list(game.values(0, removals)), dtype=torch.float64)
    values = torch.zeros(game.players, dtype=torch.float64)
    for i, player in enumerate(real):
        mean, deviation = _marginal(worth, i, count)
        values[player] = mean - risk * deviation
    return Estimate(
        values=values,
        standard_errors=torch.zeros_like(values),
        visits=torch.ones(game.players, dtype=torch.int64),
        evaluations=2**count,
        removals=(2**count - 1,),
        full_values=(float(worth[0]),),
    )


def _marginal(worth: Tensor, bit: int, count: int) -> tuple[float, float]:
    """Returns mean and standard deviation of a player's marginal over a uniformly random order."""
    removed = torch.arange(len(worth))
    present = removed[(removed >> bit & 1) == 0]
    marginal = worth[present] - worth[present | 1 << bit]  # coalitions with the player
    others = sum((present >> i) & 1 for i in range(count))  # the number removed before the player
    chance = torch.tensor(
        [1 / (count * comb(count - 1, size)) for size in range(count)], dtype=torch.float64
    )
    weight = chance[others]
    mean = (weight * marginal).sum()
    return float(mean), float((weight * (marginal - mean).square()).sum().sqrt())
