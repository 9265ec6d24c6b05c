"""Says how good one architecture is: `Evaluator`, the only receiver of the test split."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from nastk.architecture import Architecture
from nastk.component import Component
from nastk.data.splits import Splits
from nastk.data.task import Task
from nastk.errors import StopRequested
from nastk.probe import Probe
from nastk.space import SearchSpace


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator says of an architecture: metric to value, and who said so.

    Accuracies are fractions (0..1); `parameters` and `multiply_adds` are counts. `higher_is_better`
    metrics come first in `metrics`; `notes` holds what qualifies them, in plain words. `seconds`
    is what it took, where that is worth saying (0: it is not); equal evaluations may differ in it.
    """

    evaluator: str
    metrics: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())
    seconds: float = field(default=0.0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `seconds` is in it where there are some."""
        return {
            "evaluator": self.evaluator,
            "metrics": dict(self.metrics),
            "notes": list(self.notes),
            **({"seconds": self.seconds} if self.seconds else {}),
        }


@dataclass(frozen=True)
class Caller:
    """Who asked an evaluator: charged for its images, told how far it is, asked whether to go on.

    Without a run behind it nothing is charged or shown, and nobody stops the work.

    Example: `setting.caller.tell("retraining, epoch 1 of 8", done=20, total=400)`
    """

    charge: Callable[[int, int], None] = lambda forward, backward: None
    tell: Callable[[str, int, int], None] = lambda message, done, total: None
    stopping: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Called between two pieces of long work.

        Raises:
            StopRequested: the user asked the run to stop.
        """
        if self.stopping():
            raise StopRequested("The run was asked to stop while an evaluator was working.")


@dataclass(frozen=True)
class Setting:
    """What an evaluator judges in: space, all three splits of the data, seed, device, who asks."""

    space: SearchSpace
    task: Task
    splits: Splits
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    caller: Caller = field(default_factory=Caller)


class Evaluator(Component, ABC):
    """Says how good one architecture is.

    Example: `Size(setting, Size.Options()).evaluate(architecture, None).metrics["parameters"]`
    """

    needs_supernet: ClassVar[bool] = False
    """Whether `evaluate` needs the probe of a trained supernet."""

    def __init__(self, setting: Setting, options: Any = None) -> None:
        self.setting = setting
        self.options = self.parse_options() if options is None else options

    @abstractmethod
    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search, and by `nastk evaluate`: judge `architecture`.

        `probe` measures the supernet that the search trained; None where there is none.
        """

    @property
    def criteria(self) -> tuple[str, ...] | None:
        """Asked when a run is assembled: the metrics of `evaluate_all` that can choose, best first.

        Larger is better in each, and none is of the test split. None: whatever `evaluate` reports.
        One that takes long says them, so that it is not asked to judge just to learn their names.
        """
        return None

    def advice(self, run: str) -> tuple[tuple[str, str], ...]:
        """Asked after it has judged: commands to type next for the run folder `run`, and their use.

        Example: `((f"nastk evaluate {run} -e size", "counts parameters"),)`
        """
        return ()

    def evaluate_all(
        self, architectures: Sequence[Architecture], probes: Sequence[Probe | None]
    ) -> list[Evaluation]:
        """Called once at the end of a run that split, to choose among its leaves: judge each.

        One that can do with less than judging each alone (successive halving) says so here.
        """
        return [
            self.evaluate(architecture, probe)
            for architecture, probe in zip(architectures, probes, strict=True)
        ]
