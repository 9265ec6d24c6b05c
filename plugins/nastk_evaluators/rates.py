"""The learning rate of each epoch of a training from scratch: `rate`."""

from nastk import Schedule
from nastk_evaluators.recipe import Recipe

LAST = 5
"""Epochs at the end of a linear schedule that fall on a line of their own, flatter by this much."""


def rate(recipe: Recipe, epoch: int) -> float:
    """Called before each epoch (from 0): its learning rate.

    In the first `warmup_epochs` it rises in equal steps to the full rate. A cosine begins after
    them; the linear and the exponential schedule count from the first epoch, and the warm-up takes
    the place of their beginning.

    >>> [round(rate(Recipe(epochs=10, schedule="linear"), epoch) / 0.025, 2) for epoch in (0, 4, 5)]
    [1.0, 0.2, 0.2]
    """
    base, warmup = recipe.learning_rate, recipe.warmup_epochs
    if recipe.schedule == "cosine":
        return Schedule(base, 0.0, 0, recipe.epochs, warmup).rate(epoch)
    if epoch < warmup:
        return base * (epoch + 1) / warmup
    if recipe.schedule == "exponential":
        return base * recipe.rate_decay**epoch
    return base * _line(recipe.epochs, epoch)


def _line(epochs: int, epoch: int) -> float:
    """The share of the rate that is left: as PC-DARTS trains on ImageNet.

    It would reach 0 five epochs before the end; from the last value above it goes down to 0 slowly.
    """
    left = epochs - epoch
    if epochs <= LAST:
        return left / epochs
    return (left - LAST if left > LAST else left / LAST) / (epochs - LAST)
