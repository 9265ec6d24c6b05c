"""Seconds of several actions, each run in turn in one process, and the ratio of two of them.

The measure is the process's own CPU seconds, which other load disturbs less than the wall clock;
wall seconds are kept beside them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter, process_time
from typing import Any, NamedTuple

Action = Callable[[int], Any]
"""Called with the number of the run; what it answers is dropped."""


class Spent(NamedTuple):
    """What one action took: CPU seconds of this process (and of finished children), and wall."""

    cpu: float
    wall: float


class Ratio(NamedTuple):
    """The ratio of two medians, and the least and the largest ratio of two runs of one pair."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Ratio":
        """All three times `factor`."""
        return Ratio(self.value * factor, self.low * factor, self.high * factor)


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """`above` to `below`, both in the order of the runs.

    >>> ratio([4.0, 6.0, 5.0], [2.0, 2.0, 2.0])
    Ratio(value=2.5, low=2.0, high=3.0)
    """
    pairs = [one / other for one, other in zip(above, below, strict=True)]
    return Ratio(median(above) / median(below), min(pairs), max(pairs))


def spent(action: Callable[[], Any]) -> Spent:
    """What `action` takes."""
    cpu, wall = _cpu_seconds(), perf_counter()
    action()
    return Spent(_cpu_seconds() - cpu, perf_counter() - wall)


def interleaved(
    actions: Mapping[str, Action], runs: int, warm: bool = True
) -> dict[str, list[Spent]]:
    """What each action took in each run; every second run goes through them backwards.

    With `warm`, each is first run once (as run number `runs`) and not counted.
    """
    if warm:
        for action in actions.values():
            action(runs)
    taken: dict[str, list[Spent]] = {name: [] for name in actions}
    for run in range(runs):
        for name in list(actions)[:: -1 if run % 2 else 1]:
            taken[name].append(spent(lambda name=name, run=run: actions[name](run)))  # type: ignore[misc]
    return taken


def _cpu_seconds() -> float:
    # Children have no finer clock than the kernel's ticks; without children this adds zero.
    children = os.times()
    return process_time() + children.children_user + children.children_system
