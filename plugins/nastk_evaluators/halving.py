"""Successive halving: `halve`, which stops training the worse half of several contestants.

Jamieson & Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter Optimization*,
AISTATS 2016. It knows nothing of networks: who calls says how a contestant is trained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Contestant = TypeVar("Contestant")


@dataclass(frozen=True)
class Standing:
    """How far a contestant came: others that it outlasted, and its accuracy when it was last seen.

    `accuracy` is None for one that had no rival: it was neither trained nor measured.
    """

    outlasted: int
    accuracy: float | None = None


def halve(
    contestants: Sequence[Contestant],
    rungs: Sequence[int],
    accuracy: Callable[[Contestant, int], float],
) -> list[Standing]:
    """Called to choose among contestants: their standings, in their order.

    `rungs` are the epochs, counted from the start, that end each rung; `accuracy` trains a
    contestant on until so many are done and measures it. After a rung the worse half leaves, the
    smaller half of an odd number; after the last rung all but one. Of equals the earlier stays.
    Nothing is trained once a single one is left.

    Example: `halve(networks, [1, 2, 4], lambda network, epochs: network.trained(epochs))`
    """
    standings = [Standing(len(contestants) - 1) for _ in contestants]
    alive = list(range(len(contestants)))
    for rung, epochs in enumerate(rungs):
        if len(alive) == 1:
            break
        seen = {place: accuracy(contestants[place], epochs) for place in alive}
        order = sorted(alive, key=lambda place: (-seen[place], place))
        for position, place in enumerate(order):
            standings[place] = Standing(len(contestants) - 1 - position, seen[place])
        last = rung == len(rungs) - 1
        alive = sorted(order[: 1 if last else (len(order) + 1) // 2])
    return standings
