"""What a run has cost: images forward and backward, seconds and peak memory, for each phase.

`Cost` is the value that results and curves are drawn over. `Ledger` is where the trainer and the
probe write it down; nothing passes through a supernet without being charged.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Self

SEARCH = ("train", "updater")


@dataclass(frozen=True)
class PhaseCost:
    """The cost of one phase.

    `peak_memory` is in bytes; 0 where it was not measured. `strategies` says how many of the images
    forward were measured in which way, where it was not the plain one: what mixtures share may have
    been kept, and norms frozen.
    """

    images_forward: int = 0
    images_backward: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    strategies: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "PhaseCost") -> "PhaseCost":
        return PhaseCost(
            self.images_forward + other.images_forward,
            self.images_backward + other.images_backward,
            self.seconds + other.seconds,
            max(self.peak_memory, other.peak_memory),
            dict(Counter(self.strategies) + Counter(other.strategies)),
        )


@dataclass(frozen=True)
class Cost:
    """Cost for each phase.

    `train` (weight steps) and `updater` (what its probe asked) are the search; `watch` (ranking
    quality) and `evaluate` judge it.

    >>> (Cost({"train": PhaseCost(64, 64, 1.0)}).total).images_forward
    64
    """

    phases: Mapping[str, PhaseCost]

    def __add__(self, other: "Cost") -> "Cost":
        names = dict.fromkeys([*self.phases, *other.phases])
        return Cost(
            {
                name: self.phases.get(name, PhaseCost()) + other.phases.get(name, PhaseCost())
                for name in names
            }
        )

    @property
    def total(self) -> PhaseCost:
        """All phases together."""
        return sum(self.phases.values(), PhaseCost())

    @property
    def search(self) -> PhaseCost:
        """What the search itself took: training, and the updater's measuring; not the judging."""
        return sum((self.phases.get(name, PhaseCost()) for name in SEARCH), PhaseCost())

    def to_json(self) -> dict[str, dict[str, Any]]:
        """A JSON object with one entry for each phase."""
        return {name: vars(phase).copy() for name, phase in self.phases.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, Any]]) -> Self:
        """The inverse of `to_json`."""
        return cls({name: PhaseCost(**phase) for name, phase in value.items()})


class Ledger:
    """Adds up cost as it happens.

    Example: `with ledger.phase("updater"): ledger.charge(forward=256)`
    """

    def __init__(self, cost: Cost | None = None) -> None:
        self._phases = dict(cost.phases) if cost else {}
        self._current = "train"
        self._since: float | None = None

    def restore(self, cost: Cost) -> None:
        """Go on from `cost`, as a resumed run does; what was charged before is forgotten."""
        self._phases = dict(cost.phases)

    def charge(self, forward: int = 0, backward: int = 0, strategy: str = "plain") -> None:
        """Add images to the current phase, measured by this strategy."""
        strategies = {} if strategy == "plain" else {strategy: forward}
        self._add(PhaseCost(forward, backward, strategies=strategies))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge what happens inside, and its seconds, to phase `name`; the outer phase pauses."""
        self._book_seconds()
        outer, ran = self._current, self._since is not None
        self._current, self._since = name, perf_counter()
        try:
            yield
        finally:
            self._book_seconds()
            self._current = outer
            # Outside every phase no time is charged.
            self._since = self._since if ran else None

    def memory(self, peak: int) -> None:
        """Note the peak memory (bytes) seen in the current phase."""
        self._add(PhaseCost(peak_memory=peak))

    def cost(self) -> Cost:
        """What has been charged so far, with the seconds of the phase that is still running."""
        self._book_seconds()
        return Cost(dict(self._phases))

    def _book_seconds(self) -> None:
        """Charge the time since the last booking to the current phase."""
        if self._since is not None:
            now = perf_counter()
            self._add(PhaseCost(seconds=now - self._since))
            self._since = now

    def _add(self, part: PhaseCost) -> None:
        self._phases[self._current] = self._phases.get(self._current, PhaseCost()) + part
