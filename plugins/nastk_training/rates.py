"""The learning rate of each epoch, or of each step, of a training: `rate`."""

import math

from nastk import Schedule
from nastk_training.recipe import Recipe

LAST = 5
"""The last epochs of a linear schedule, whose line falls more slowly, by this factor."""


def rate(recipe: Recipe, epoch: int, step: int = 0, steps: int = 1) -> float:
    """Called before each epoch (from 0), or before each step of it: returns the learning rate.

    In the first `warmup_epochs` the rate rises in equal steps to the full rate. A cosine starts
    after the warm-up. The linear and the exponential schedule count from epoch 0, and the warm-up
    replaces their first epochs. With `rate_by="step"` the same curves are followed with every one
    of the `steps` of an epoch; otherwise `step` does not matter.

    >>> [round(rate(Recipe(epochs=10, schedule="linear"), epoch) / 0.025, 2) for epoch in (0, 4, 5)]
    [1.0, 0.2, 0.2]
    >>> by_step = Recipe(epochs=2, warmup_epochs=1, rate_by="step")
    >>> [round(rate(by_step, 0, step, 4) / 0.025, 2) for step in range(4)]
    [0.25, 0.5, 0.75, 1.0]
    """
    base, warmup = recipe.learning_rate, recipe.warmup_epochs
    if recipe.rate_by == "step":
        return base * _by_step(recipe, epoch, step, steps)
    if recipe.schedule == "cosine":
        return Schedule(base, 0.0, 0, recipe.epochs, warmup).rate(epoch)
    if epoch < warmup:
        return base * (epoch + 1) / warmup
    if recipe.schedule == "exponential":
        return base * recipe.rate_decay**epoch
    return base * _line(recipe.epochs, epoch)


def _by_step(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """Returns the fraction of the full rate in a step of an epoch of `steps` steps."""
    warmup = recipe.warmup_epochs
    if epoch < warmup:
        return (epoch * steps + step + 1) / (warmup * steps)
    elapsed = epoch + step / steps
    if recipe.schedule == "cosine":
        return (1 + math.cos(math.pi * (elapsed - warmup) / (recipe.epochs - warmup))) / 2
    if recipe.schedule == "exponential":
        return float(recipe.rate_decay**elapsed)
    return _line(recipe.epochs, elapsed)


def _line(epochs: int, elapsed: float | int) -> float:
    """Returns the fraction of the rate after `elapsed` epochs, as PC-DARTS trains on ImageNet.

    The line would reach 0 at five epochs before the end. From its last positive value on, a line
    that falls a fifth as fast takes its place, which reaches 0 at the end.
    """
    left = epochs - elapsed
    if epochs <= LAST:
        return left / epochs
    return (left - LAST if left > LAST else left / LAST) / (epochs - LAST)
