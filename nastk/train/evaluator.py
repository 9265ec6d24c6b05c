"""Says how good one architecture is: `Evaluator`, the only receiver of the test split.

Whoever asks one does it by `evaluated` (or `evaluated_all`), which check the answer.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from nastk.base.component import Component
from nastk.base.cost import PhaseCost
from nastk.base.errors import PluginError, StopRequested
from nastk.base.renamed import RenamedMethods, renamed_fields
from nastk.base.values import number
from nastk.data.splits import Splits
from nastk.data.task import Task
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.train.probe import Probe


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator says of an architecture: metric to value, and who said so.

    Accuracies are fractions (0..1); `parameters` and `multiply_adds` are counts. `higher_is_better`
    metrics come first in `metrics`; `notes` holds what qualifies them, in plain words. `seconds`
    is what it took, where that is worth saying (0: it is not); equal evaluations may differ in it.
    """

    evaluator: str
    metrics: Mapping[str, float | int]
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
class RunHandle:
    """Who asked an evaluator: charged for its images, told how far it is, asked whether to go on.

    Without a run behind it nothing is charged or shown, and nobody stops the work.

    Example: `context.run.tell("retraining, epoch 1 of 8", done=20, total=400)`
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


@renamed_fields(caller="run")
@dataclass(frozen=True)
class EvaluationContext:
    """What an evaluator judges in: space, all three splits of the data, seed, device, who asks."""

    space: SearchSpace
    task: Task
    splits: Splits
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    run: RunHandle = field(default_factory=RunHandle)


@renamed_fields(setting="context")
class Evaluator(Component, RenamedMethods, ABC, renamed={"forecast": "max_cost"}):
    """Says how good one architecture is.

    Example: `Size(context, Size.Options()).evaluate(architecture, None).metrics["parameters"]`
    """

    needs_supernet: ClassVar[bool] = False
    """Whether `evaluate` needs the probe of a trained supernet."""

    needs_images: ClassVar[bool] = True
    """Whether it looks at images. One that does not can judge a run whose images are gone."""

    def __init__(self, context: EvaluationContext, options: Any = None) -> None:
        self.context = context
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

    def max_cost(self) -> PhaseCost | None:
        """Called by `--dry-run`: the most images that one `evaluate` takes. None if unknown."""
        return None if self.needs_images else PhaseCost()

    def advice(self, run: str) -> tuple[tuple[str, str], ...]:
        """Asked after it has judged: commands to type next for the run folder `run`, and their use.

        Example: `((f"nastk evaluate {run} -e size", "counts parameters"),)`
        """
        return ()

    def of_test(self, metric: str) -> bool:
        """Asked before a metric steers a search (a limit, the choice among leaves): is it of test?

        Test images, or what others measured on them, shall decide nothing. Metrics of the test
        split have `test` in their names; an evaluator with others says so here.
        """
        return "test" in metric

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


def evaluated(evaluator: Evaluator, architecture: Architecture, probe: Probe | None) -> Evaluation:
    """Called whenever one architecture is to be judged: what `evaluator` says, checked.

    Raises:
        PluginError: what `checked` says.
    """
    return checked(evaluator, evaluator.evaluate(architecture, probe))


def evaluated_all(
    evaluator: Evaluator, architectures: Sequence[Architecture], probes: Sequence[Probe | None]
) -> list[Evaluation]:
    """Called to compare several architectures: what `evaluator` says of each, checked.

    Raises:
        PluginError: an answer for each is expected; or what `checked` says.
    """
    answers = evaluator.evaluate_all(architectures, probes)
    if not isinstance(answers, Sequence) or len(answers) != len(architectures):
        got = f"{len(answers)} answers" if isinstance(answers, Sequence) else repr(answers)
        raise PluginError(
            f"Evaluator {evaluator.name!r} judged {len(architectures)} architectures and gave "
            f"{got}; expected a list with an Evaluation of each."
        )
    return [checked(evaluator, answer) for answer in answers]


def checked(evaluator: Evaluator, answer: Any) -> Evaluation:
    """An evaluator's answer with plain numbers, fit for a run's record.

    Raises:
        PluginError: it is no `Evaluation`, or a metric is no finite number; names both.
    """
    if not isinstance(answer, Evaluation) or not isinstance(answer.metrics, Mapping):
        whole = isinstance(answer, Evaluation)
        got = "an Evaluation whose metrics are no mapping" if whole else type(answer).__name__
        raise PluginError(
            f"Evaluator {evaluator.name!r} answered {got}; expected an Evaluation, such as "
            f"Evaluation({evaluator.name!r}, {{'accuracy': 0.9}})."
        )
    metrics = {str(name): _metric(evaluator, name, value) for name, value in answer.metrics.items()}
    notes = (answer.notes,) if isinstance(answer.notes, str) else tuple(map(str, answer.notes))
    seconds = _metric(evaluator, "seconds", answer.seconds)
    return Evaluation(str(answer.evaluator), metrics, notes, seconds)


def _metric(evaluator: Evaluator, name: object, value: object) -> float | int:
    found = number(value)
    if found is None:
        raise PluginError(
            f"Evaluator {evaluator.name!r} answered {name} = {value!r}; a metric is a finite "
            "number. It should leave out what it cannot measure."
        )
    return found
