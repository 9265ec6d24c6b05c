"""When a few-shot search splits, who starts anew then, and whose clock the inner updater reads.

A *level* counts the splits behind a branch: 0 before the first, T in the leaves.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Restart = Literal["final", "all", "none"]


@dataclass(frozen=True)
class SplitSchedule:
    """The course of a run of `epochs`: splits after the finished epochs in `splits`.

    `restart` says after which splits weights and inner updater start anew, `freeze` that the inner
    updater learns only in the leaves, `final` how many epochs a leaf trains (None: all that are
    left).

    >>> course = SplitSchedule(60, (15, 30), "final", freeze=True)
    >>> [course.level(epoch) for epoch in (0, 14, 15, 30)], course.local_start(2), course.length(2)
    ([0, 0, 1, 2], 30, 30)
    """

    epochs: int
    splits: tuple[int, ...]
    restart: Restart = "final"
    freeze: bool = True
    final: int | None = None

    @property
    def last(self) -> int:
        """The level of the leaves: T."""
        return len(self.splits)

    @property
    def end(self) -> int:
        """After how many epochs the leaves end."""
        if self.final is None or not self.splits:
            return self.epochs
        return min(self.splits[-1] + self.final, self.epochs)

    def level(self, epoch: int) -> int:
        """The level of a branch that trains epoch `epoch` (0-based)."""
        return bisect_right(self.splits, epoch)

    def spans(self) -> list[int]:
        """How many epochs each level trains, from the first to that of the leaves.

        >>> SplitSchedule(60, (15, 30), final=20).spans()
        [15, 15, 20]
        """
        bounds = [0, *(min(split, self.end) for split in self.splits), self.end]
        return [end - begin for begin, end in pairwise(bounds)]

    def fresh(self, level: int) -> bool:
        """Whether branches start anew where `level` begins."""
        return self.restart == "all" or (self.restart == "final" and level == self.last)

    def frozen(self, level: int) -> bool:
        """Whether only weights are trained in `level`."""
        return self.freeze and level < self.last

    def local_start(self, level: int) -> int:
        """The epoch that is 0 on the inner updater's clock in `level`.

        While it is frozen it sees the run's own clock; else its clock starts where its learning
        does: at the last split where it is frozen before, at its last fresh start where it is not.
        """
        if self.frozen(level) or level == 0:
            return 0
        if self.freeze:
            return self.splits[-1]
        starts = [number for number in range(1, level + 1) if self.fresh(number)]
        return self.splits[starts[-1] - 1] if starts else 0

    def length(self, level: int) -> int:
        """How many epochs the run has on the inner updater's clock in `level`."""
        return self.end - self.local_start(level)

    def learning_periods(self) -> dict[int, int]:
        """The lives of inner updaters that learn: epoch of birth to the level they reach."""
        awake = [level for level in range(self.last + 1) if not self.frozen(level)]
        return {self.local_start(level): level for level in awake}


def shares(epochs: int, parts: tuple[float, ...]) -> tuple[int, ...]:
    """Different split epochs at about these parts of a run, each with an epoch before and after.

    >>> shares(60, (0.25, 0.5)), shares(6, (0.25, 0.5)), shares(2, (0.25, 0.5)), shares(1, (0.5,))
    ((15, 30), (2, 3), (1,), ())
    """
    wished = {min(max(round(part * epochs), 1), epochs - 1) for part in parts}
    return tuple(sorted(epoch for epoch in wished if epoch > 0))
