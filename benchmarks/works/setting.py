"""`Setting`, what every work is given; `Work` and `Measured`, what it is and what it answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from traceback import print_exc
from typing import Any

import torch

from benchmarks.pairing import Pair
from benchmarks.rows import Row
from benchmarks.sizes import FULL, Sizes
from benchmarks.timing import Action, Ratio, Spent, interleaved, ratio
from nastk import NastkError


@dataclass(frozen=True)
class Setting:
    """How a work is measured: sizes, runs of each side, threads of torch.

    `isolated` measures memory in fresh processes; `warm` runs each side once before it counts.

    Example: `WORKS["darts-eval"].row(Setting(runs=3, threads=2))`
    """

    sizes: Sizes = FULL
    runs: int = 5
    threads: int = 2
    isolated: bool = True
    warm: bool = True

    def pair(self, space: str, batch_size: int, options: Mapping[str, Any] | None = None) -> Pair:
        """Both sides' supernet of a space at these sizes, with further options of the space."""
        of_space = {"darts": self.sizes.darts, "nasbench-macro": self.sizes.macro}
        sizes = of_space.get(space, self.sizes.nasbench201)
        return Pair(space, {**sizes, **(options or {})}, self.sizes.side, batch_size, self.threads)


@dataclass(frozen=True)
class Measured:
    """What a work found: its ratio, and further figures for the row."""

    ratio: Ratio
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """One work: its name, the bounds set for it, in which unit, and how it is measured.

    Example: `Work("mine", 2.0, 4.0, "times as fast", measure).row(Setting())`
    """

    name: str
    at_least: float
    aim: float
    unit: str
    measure: Callable[[Setting], Measured]
    lower_is_better: bool = False

    def row(self, setting: Setting) -> Row:
        """Measure it; where the two sides differ, or something fails, the row says so."""
        ratio, failed, extra = None, None, {}
        try:
            measured = self.measure(setting)
            ratio, extra = measured.ratio, measured.extra
        except NastkError as error:
            failed = str(error)
        except Exception as error:  # one work's defect must not cost the figures of the others
            print_exc()
            failed = f"{type(error).__name__}: {error}"
        facts = {
            **extra,
            "threads": setting.threads or torch.get_num_threads(),
            "date": datetime.now(UTC).date().isoformat(),
            "torch": torch.__version__,
        }
        bounds = (self.unit, self.at_least, self.aim, self.lower_is_better)
        return Row(self.name, setting.runs, *bounds, ratio, failed, facts)


def compared(
    setting: Setting,
    reference: Action,
    ours: Action,
    others: Mapping[str, Action] | None = None,
    share: Callable[[int], float] = lambda run: 1.0,
    warm: bool = True,
) -> tuple[Measured, dict[str, list[Spent]]]:
    """The ratio of two actions, and what each (also of `others`) took.

    `share` says which part of the work the reference does in a run; its time is divided by it.
    """
    actions = {"reference": reference, "ours": ours, **(others or {})}
    taken = interleaved(actions, setting.runs, warm and setting.warm)
    taken["reference"] = [
        Spent(one.cpu / share(run), one.wall / share(run))
        for run, one in enumerate(taken["reference"])
    ]
    extra = {
        "reference_cpu_seconds": median(cpus(taken["reference"])),
        "our_cpu_seconds": median(cpus(taken["ours"])),
        "reference_wall_seconds": median(walls(taken["reference"])),
        "our_wall_seconds": median(walls(taken["ours"])),
        "wall_ratio": ratio(walls(taken["reference"]), walls(taken["ours"])).value,
    }
    return Measured(ratio(cpus(taken["reference"]), cpus(taken["ours"])), extra), taken


def cpus(runs: Sequence[Spent]) -> list[float]:
    """The CPU seconds of each run."""
    return [one.cpu for one in runs]


def walls(runs: Sequence[Spent]) -> list[float]:
    """The wall seconds of each run."""
    return [one.wall for one in runs]
