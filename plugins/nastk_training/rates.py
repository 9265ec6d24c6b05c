"""The learning rate of each epoch when training from scratch: `rate`."""

from nastk import Schedule
from nastk_training.recipe import Recipe

LAST = 5
"""The last epochs of a linear schedule, whose line falls more slowly, by this factor."""


def rate(recipe: Recipe, epoch: int) -> float:
    """Called before each epoch (from 0): returns its learning rate.

    In the first `warmup_epochs` the rate rises in equal steps to the full rate. A cosine starts
    after the warm-up. The linear and the exponential schedule count from epoch 0, and the warm-up
    replaces their first epochs.

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
    """Returns the fraction of the rate in `epoch`, as PC-DARTS trains on ImageNet.

    The line would reach 0 at five epochs before the end. From its last positive value on, a line
    that falls a fifth as fast takes its place, which reaches 0 at the end.
    """
    left = epochs - epoch
    if epochs <= LAST:
        return left / epochs
    return (left - LAST if left > LAST else left / LAST) / (epochs - LAST)
