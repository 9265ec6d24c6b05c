"""Successive halving: `halve` stops training the worse half of several contestants, repeatedly.

Jamieson & Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter Optimization*,
AISTATS 2016. The caller passes the function that trains a contestant and measures it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Contestant = TypeVar("Contestant")


@dataclass(frozen=True)
class Standing:
    """The result of a contestant: how many it outlasted, and its last measured accuracy.

    `accuracy` is None for a single contestant: it was neither trained nor measured.
    """

    outlasted: int
    accuracy: float | None = None


def halve(
    contestants: Sequence[Contestant],
    rungs: Sequence[int],
    accuracy: Callable[[Contestant, int], float],
) -> list[Standing]:
    """Called to choose among contestants: returns their standings, in the contestants' order.

    `rungs` are the numbers of epochs, from the start, after which contestants are compared.
    `accuracy(contestant, epochs)` trains a contestant further until it has `epochs` and measures
    it. After a rung the worse half leaves (rounded down), after the last rung all but one; of
    equals the earlier stays. No contestant is trained once only one is left.

    Example: `halve(networks, [1, 2, 4], lambda network, epochs: network.trained(epochs))`
    """
    standings = [Standing(len(contestants) - 1) for _ in contestants]
    alive = list(range(len(contestants)))
    for rung, epochs in enumerate(rungs):
        if len(alive) == 1:
            break
        accuracies = {index: accuracy(contestants[index], epochs) for index in alive}
        order = sorted(alive, key=lambda index: (-accuracies[index], index))
        for position, index in enumerate(order):
            standings[index] = Standing(len(contestants) - 1 - position, accuracies[index])
        last = rung == len(rungs) - 1
        alive = sorted(order[: 1 if last else (len(order) + 1) // 2])
    return standings
