"""Shapley values from all coalitions, for few players: what `estimate.py` samples."""

from math import comb

import torch
from torch import Tensor

from nastk_shapley.estimate import Estimate, Game

MOST_PLAYERS = 12


def exact(game: Game, risk: float = 0.0) -> Estimate:
    """The Shapley values of `game` by equation (3) of Xiao et al., each coalition evaluated once.

    There are 2^n coalitions.

    Null players are left out of the enumeration and get exactly 0. With `risk`, that many standard
    deviations of the player's marginal over a uniformly random order are taken off, exactly.
    Nothing is truncated; the standard errors are 0 (that of the images is not in them).

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
    worth = torch.tensor(
        list(game.values(0, removals)), dtype=torch.float64
    )  # by the bits of who is removed
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
    """Mean and standard deviation of one player's marginal over a uniformly random order."""
    removed = torch.arange(len(worth))
    present = removed[(removed >> bit & 1) == 0]
    marginal = worth[present] - worth[present | 1 << bit]
    others = sum((present >> i) & 1 for i in range(count))  # how many others are removed before it
    chance = torch.tensor(
        [1 / (count * comb(count - 1, size)) for size in range(count)], dtype=torch.float64
    )
    weight = chance[others]
    mean = (weight * marginal).sum()
    return float(mean), float((weight * (marginal - mean).square()).sum().sqrt())
