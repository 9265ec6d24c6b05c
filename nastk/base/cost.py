"""The cost of a run for each phase: images forward and backward, seconds and peak memory.

`Cost` is a value: results hold it, and curves are drawn over it. The trainer and the probe record
cost in the `Ledger`, which is charged for every image that passes through a supernet.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any, Self

SEARCH = ("train", "updater")

IF_ANY = ("recorded_seconds",)
"""What the JSON object of a cost leaves out where it is zero: most runs have none."""


@dataclass(frozen=True)
class PhaseCost:
    """The cost of one phase.

    `seconds` are those of a clock on the wall; `cpu_seconds` are those that this process computed
    on the CPU, all threads added up, 0 in the runs of earlier versions. `peak_memory` is in bytes;
    0 if it was not measured. `strategies` counts the images forward that
    were not measured by the plain strategy, by the name of their strategy: such measurements share
    activations between mixtures or freeze norms. `recorded_seconds` is the part of `seconds` that
    did not pass: a table that is looked up knows how long the training took that it replaces.

    Example: `PhaseCost(images_forward=256, seconds=0.5)`
    """

    images_forward: int = 0
    images_backward: int = 0
    seconds: float = 0.0
    peak_memory: int = 0
    strategies: Mapping[str, int] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    recorded_seconds: float = 0.0

    def __add__(self, other: "PhaseCost") -> "PhaseCost":
        return PhaseCost(
            self.images_forward + other.images_forward,
            self.images_backward + other.images_backward,
            self.seconds + other.seconds,
            max(self.peak_memory, other.peak_memory),
            dict(Counter(self.strategies) + Counter(other.strategies)),
            self.cpu_seconds + other.cpu_seconds,
            self.recorded_seconds + other.recorded_seconds,
        )


@dataclass(frozen=True)
class Cost:
    """The cost of each phase.

    `train` (weight steps) and `updater` (the updater's measurements) are the search; `watch`
    (ranking quality) and `evaluate` (evaluators) judge it.

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
        """The sum over all phases."""
        return sum(self.phases.values(), PhaseCost())

    @property
    def search(self) -> PhaseCost:
        """The cost of the search alone: training, and the updater's measurements."""
        return sum((self.phases.get(name, PhaseCost()) for name in SEARCH), PhaseCost())

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Returns a JSON object with one entry for each phase."""
        return {
            name: {key: value for key, value in vars(phase).items() if value or key not in IF_ANY}
            for name, phase in self.phases.items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Mapping[str, Any]]) -> Self:
        """Returns the cost that `to_json` wrote."""
        return cls({name: PhaseCost(**phase) for name, phase in value.items()})


class Ledger:
    """Adds up the cost of a run while it goes on.

    Example: `with ledger.phase("updater"): ledger.charge(forward=256)`
    """

    def __init__(self, cost: Cost | None = None) -> None:
        self._phases = dict(cost.phases) if cost else {}
        self._current = "train"
        self._since: tuple[float, float] | None = None

    def restore(self, cost: Cost) -> None:
        """Called when a run is resumed: `cost` replaces all that was charged before."""
        self._phases = dict(cost.phases)

    def charge(self, forward: int = 0, backward: int = 0, strategy: str = "plain") -> None:
        """Called for each batch: adds images, measured by `strategy`, to the current phase."""
        strategies = {} if strategy == "plain" else {strategy: forward}
        self._add(PhaseCost(forward, backward, strategies=strategies))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge images and seconds inside the context to phase `name`; the outer phase pauses."""
        self._book_seconds()
        outer, ran = self._current, self._since is not None
        self._current, self._since = name, _now()
        try:
            yield
        finally:
            self._book_seconds()
            self._current = outer
            # Outside every phase no time is charged.
            self._since = self._since if ran else None

    def record(self, seconds: float) -> None:
        """Called for a result that was looked up: adds the seconds that it had taken elsewhere."""
        self._add(PhaseCost(seconds=seconds, recorded_seconds=seconds))

    def memory(self, peak: int) -> None:
        """Record a peak of memory (bytes) in the current phase."""
        self._add(PhaseCost(peak_memory=peak))

    def cost(self) -> Cost:
        """Returns the cost charged so far, including the seconds of the phase still running."""
        self._book_seconds()
        return Cost(dict(self._phases))

    def _book_seconds(self) -> None:
        """Charge the time since the last booking to the current phase."""
        if self._since is not None:
            wall, cpu = _now()
            self._add(PhaseCost(seconds=wall - self._since[0], cpu_seconds=cpu - self._since[1]))
            self._since = wall, cpu

    def _add(self, part: PhaseCost) -> None:
        self._phases[self._current] = self._phases.get(self._current, PhaseCost()) + part


def _now() -> tuple[float, float]:
    """Returns the seconds of a clock on the wall and the CPU seconds of this process."""
    return perf_counter(), process_time()
