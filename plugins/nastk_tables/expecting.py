"""What building a table will cost, for `nastk table build --dry-run`: `expected`.

The time is that of the trainings which are finished already. Where there are none, some networks
are trained for some seconds, and what is left of their images is taken to go on at that pace.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from time import perf_counter

from nastk import StopRequested
from nastk.cli import line, print_json, waiting
from nastk_tables.building import Building
from nastk_tables.networks import Network

TRIED = 3
"""Networks that are trained for a moment."""
MOMENT = 3.0
"""Seconds of that moment, after the first batch, which is slower."""
BACKWARD = 2
"""The work of an image's backward pass, where its forward pass is 1."""
TRAINING_BYTES = 4096
"""The place that a training takes on most disks until the table is no longer added to."""
COLUMNS = 6
"""The columns of a usual table besides those of single seeds."""


@dataclass(frozen=True)
class Expected:
    """The cost of a table: `trainings` of `networks`, of which `done` are finished.

    `seconds` is the time of one training in one process, None where nothing tells it; images are
    the most of one training, None where the evaluator does not say. `table_bytes` and
    `folder_bytes` are what the table and its trainings take on the disk.

    Example: `expected(building).seconds`
    """

    networks: int
    trainings: int
    done: int
    images_forward: int | None
    images_backward: int | None
    seconds: float | None
    table_bytes: int
    folder_bytes: int


def expected(building: Building) -> Expected:
    """Returns what a table will cost, after a look at some trainings that are thrown away."""
    progress = building.progress()
    cost = building.evaluator(building.subject.context, building.seeds[0]).max_cost()
    texts = building.selection.texts
    columns = COLUMNS + 2 * len(building.seeds)
    return Expected(
        len(building.selection.networks),
        progress.total,
        progress.done,
        None if cost is None else cost.images_forward,
        None if cost is None else cost.images_backward,
        _seconds(building),
        sum(4 * columns + len(text.encode()) + 1 for text in texts) + TRAINING_BYTES,
        progress.total * TRAINING_BYTES,
    )


def show_expected(building: Building, out: Path, json: bool) -> None:
    """Prints what a table will cost."""
    with waiting("training for some seconds"), building.subject.execution.settings():
        found = expected(building)
    if json:
        print_json({"out": str(out), **building.origin, "forecast": asdict(found)})
        return
    for text in _lines(found, building.selection.how, out):
        line(text)


def _lines(found: Expected, how: str, out: Path) -> list[str]:
    """Returns the cost in words."""
    rest = found.trainings - found.done
    lines = [
        f"  networks   {found.networks:,} different ones, {how}",
        f"  trainings  {found.trainings:,}, of which {found.done:,} are done",
    ]
    if found.images_forward is not None:
        lines.append(
            f"  images     at most {rest * found.images_forward:,} forward, "
            f"{rest * (found.images_backward or 0):,} backward"
        )
    if found.seconds is None:
        lines.append("  time       unknown: the evaluator does not say how far it is")
    else:
        lines.append(
            f"  time       about {found.seconds:.1f} s a training, "
            f"{found.seconds * rest / 3600:.2f} hours in one process"
        )
    lines.append(
        f"  disk       about {_size(found.table_bytes)} for {out}, {_size(found.folder_bytes)} for "
        "its trainings"
    )
    return lines


def _size(number: int) -> str:
    """Returns bytes in kB, or in MB from a million."""
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.0f} kB"


def _seconds(building: Building) -> float | None:
    """Returns the seconds of one training, by those that are finished or by a look at some."""
    contents = (building.trainings.of(network.key, seed) for network, seed in building.pieces)
    taken = [content["seconds"] for content in contents if content and "seconds" in content]
    if not taken:
        looks = [_tried(building, network) for network in building.selection.networks[:TRIED]]
        taken = [seconds for seconds in looks if seconds is not None]
    return fmean(taken) if taken else None


def _tried(building: Building, network: Network) -> float | None:
    """Returns the seconds that the training of a network will take, after a moment of it."""
    clock = _Clock()
    context = building.subject.context
    watched = replace(context.run, charge=clock.charge, stopping=clock.is_over)
    evaluator = building.evaluator(replace(context, run=watched), building.seeds[0])
    began = perf_counter()
    try:
        evaluator.evaluate(network.architecture, None)
    except StopRequested:
        cost = evaluator.max_cost()
        if cost is None:
            return None
        return clock.pace() * (cost.images_forward + BACKWARD * cost.images_backward)
    return perf_counter() - began


class _Clock:
    """Stops an evaluation after a moment, and measures how fast it was."""

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self._now = now
        self._began: float | None = None
        self._work = 0

    def charge(self, forward: int, backward: int) -> None:
        """Called after each batch; the first one starts the clock and is not counted."""
        if self._began is None:
            self._began = self._now()
        else:
            self._work += forward + BACKWARD * backward
        self._last = self._now()

    def is_over(self) -> bool:
        """True if the moment is over and something was done in it."""
        return self._began is not None and self._work > 0 and self._now() - self._began > MOMENT

    def pace(self) -> float:
        """Returns the seconds for each unit of work."""
        assert self._began is not None
        return (self._last - self._began) / self._work
