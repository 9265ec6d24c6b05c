"""The schedule of a few-shot search: its splits, its restarts, and the inner updater's clock.

The *level* of a branch is the number of splits before it: 0 for the root, T for the leaves.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Restart = Literal["final", "all", "none"]


@dataclass(frozen=True)
class SplitSchedule:
    """The schedule of a run of `epochs`, which splits after the finished epochs in `splits`.

    `restart` names the splits after which weights and inner updater start anew. With `freeze` the
    inner updater learns only in the leaves. `final` is the number of epochs that a leaf trains
    (None: all that are left).

    >>> plan = SplitSchedule(60, (15, 30), "final", freeze=True)
    >>> [plan.level(epoch) for epoch in (0, 14, 15, 30)], plan.local_start(2), plan.length(2)
    ([0, 0, 1, 2], 30, 30)
    """

    epochs: int
    splits: tuple[int, ...]
    restart: Restart = "final"
    freeze: bool = True
    final: int | None = None

    @property
    def last(self) -> int:
        """The level of the leaves, T."""
        return len(self.splits)

    @property
    def end(self) -> int:
        """The number of finished epochs after which the leaves end."""
        if self.final is None or not self.splits:
            return self.epochs
        return min(self.splits[-1] + self.final, self.epochs)

    def level(self, epoch: int) -> int:
        """Returns the level of a branch that trains epoch `epoch` (from 0)."""
        return bisect_right(self.splits, epoch)

    def spans(self) -> list[int]:
        """Returns the number of epochs that each level trains, from the root to the leaves.

        >>> SplitSchedule(60, (15, 30), final=20).spans()
        [15, 15, 20]
        """
        bounds = [0, *(min(split, self.end) for split in self.splits), self.end]
        return [end - begin for begin, end in pairwise(bounds)]

    def fresh(self, level: int) -> bool:
        """True if branches start anew at the beginning of `level`."""
        return self.restart == "all" or (self.restart == "final" and level == self.last)

    def frozen(self, level: int) -> bool:
        """True if only weights are trained in `level`."""
        return self.freeze and level < self.last

    def local_start(self, level: int) -> int:
        """Returns the epoch of the run that is epoch 0 for the inner updater in `level`.

        While it is frozen, it sees the epochs of the run. When it learns, its clock starts with its
        learning: at the last split if it was frozen before, else at its last fresh start.
        """
        if self.frozen(level) or level == 0:
            return 0
        if self.freeze:
            return self.splits[-1]
        starts = [number for number in range(1, level + 1) if self.fresh(number)]
        return self.splits[starts[-1] - 1] if starts else 0

    def length(self, level: int) -> int:
        """Returns the number of epochs of the run on the inner updater's clock in `level`."""
        return self.end - self.local_start(level)

    def learning_periods(self) -> dict[int, int]:
        """Returns the first epoch of each inner updater that learns, with the level it reaches."""
        learning = [level for level in range(self.last + 1) if not self.frozen(level)]
        return {self.local_start(level): level for level in learning}


def shares(epochs: int, parts: tuple[float, ...]) -> tuple[int, ...]:
    """Returns different split epochs near these fractions of a run, with an epoch on either side.

    >>> shares(60, (0.25, 0.5)), shares(6, (0.25, 0.5)), shares(2, (0.25, 0.5)), shares(1, (0.5,))
    ((15, 30), (2, 3), (1,), ())
    """
    splits = {min(max(round(part * epochs), 1), epochs - 1) for part in parts}
    return tuple(sorted(epoch for epoch in splits if epoch > 0))
