"""`Evaluator`: measures how good an architecture is; only evaluators receive the test split.

Callers use `evaluated` or `evaluated_all`, which validate the result.
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
    """The metrics of an architecture, with the name of the evaluator that measured them.

    Accuracies are fractions (0..1); `parameters` and `multiply_adds` are counts. The metrics that
    are better when larger come first in `metrics`; `notes` are sentences that qualify the metrics.
    `seconds` is the duration of the evaluation, or 0 if it is not worth reporting; comparisons
    ignore it. `trainings` has the values of the single trainings for a metric that is their mean,
    so that others can tell what one training says of another. `recorded_seconds` is the time that
    the result had taken where it was measured, if it is only looked up here (a table knows how long
    its trainings took); searches that evaluate book it as a cost.
    """

    evaluator: str
    metrics: Mapping[str, float | int]
    notes: tuple[str, ...] = field(default=())
    seconds: float = field(default=0.0, compare=False)
    trainings: Mapping[str, Sequence[float]] = field(default_factory=dict)
    recorded_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object, without `seconds` and `trainings` if there are none."""
        trainings = {name: list(values) for name, values in self.trainings.items()}
        return {
            "evaluator": self.evaluator,
            "metrics": dict(self.metrics),
            "notes": list(self.notes),
            **({"trainings": trainings} if trainings else {}),
            **({"seconds": self.seconds} if self.seconds else {}),
        }


@dataclass(frozen=True)
class RunHandle:
    """The run on whose behalf an evaluator works: receives its cost and progress, can stop it.

    `charge(forward, backward)` counts images, `tell(message, done, total)` shows progress, and
    `stopping` returns True if the user has asked the run to stop. `record(seconds)` is called by
    the run itself for a result that was looked up. The defaults do nothing.

    Example: `context.run.tell("retraining, epoch 1 of 8", done=20, total=400)`
    """

    charge: Callable[[int, int], None] = lambda forward, backward: None
    tell: Callable[[str, int, int], None] = lambda message, done, total: None
    stopping: Callable[[], bool] = lambda: False
    record: Callable[[float], None] = lambda seconds: None

    def check(self) -> None:
        """Called by evaluators between two pieces of long work.

        Raises:
            StopRequested: the user asked the run to stop.
        """
        if self.stopping():
            raise StopRequested("The run was asked to stop while an evaluator was working.")


@renamed_fields(caller="run")
@dataclass(frozen=True)
class EvaluationContext:
    """What evaluators are made with: space, task, all three splits, seed, device, run."""

    space: SearchSpace
    task: Task
    splits: Splits
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    run: RunHandle = field(default_factory=RunHandle)


@renamed_fields(setting="context")
class Evaluator(Component, RenamedMethods, ABC, renamed={"forecast": "max_cost"}):
    """Measures how good an architecture is.

    Example: `Size(context, Size.Options()).evaluate(architecture, None).metrics["parameters"]`
    """

    needs_supernet: ClassVar[bool] = False
    """True if `evaluate` needs the probe of a trained supernet."""

    needs_images: ClassVar[bool] = True
    """True if `evaluate` needs images; if False, it also works for runs whose images are gone."""

    looks_up: ClassVar[bool] = False
    """True if `evaluate` only looks architectures up: then every epoch's decision is looked up.

    It must take no time worth mentioning, and neither supernet nor images.
    """

    def __init__(self, context: EvaluationContext, options: Any = None) -> None:
        self.context = context
        self.options = self.parse_options() if options is None else options

    @abstractmethod
    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called at the end of a search, and by `nastk evaluate`: measures `architecture`.

        `probe` measures the supernet that the search trained; None if there is none.
        """

    @property
    def criteria(self) -> tuple[str, ...] | None:
        """Metrics of `evaluate_all` that may choose among leaves, the preferred one first.

        Read when a run is assembled. Larger values are better, and none is of the test split. None
        stands for all metrics that `evaluate` reports; slow evaluators override it, so that the
        names are known without an evaluation.
        """
        return None

    def max_cost(self) -> PhaseCost | None:
        """Called by `--dry-run`: returns the most images that `evaluate` takes; None if unknown.

        The `seconds` of the answer are the most `recorded_seconds` of an evaluation.
        """
        return None if self.needs_images else PhaseCost()

    def known(self) -> Sequence[Architecture] | None:
        """Called by those who draw architectures to evaluate: returns all that it knows.

        None if that is any architecture of the space. An evaluator that looks up a sample of a
        large space lists it, since random architectures would not hit it.
        """
        return None

    def advice(self, run: str) -> tuple[tuple[str, str], ...]:
        """Called after an evaluation: (command, purpose) to suggest next for the run folder `run`.

        Example: `((f"nastk evaluate {run} -e size", "counts parameters"),)`
        """
        return ()

    def of_test(self, metric: str) -> bool:
        """True if a metric is of the test split: then no limit and no choice of leaves may use it.

        Neither test images nor published measurements on them may decide anything. By default a
        metric is of the test split if its name contains `test`; evaluators with other names
        override this.
        """
        return "test" in metric

    def evaluate_all(
        self, architectures: Sequence[Architecture], probes: Sequence[Probe | None]
    ) -> list[Evaluation]:
        """Called once at the end of a run that split, to choose among its leaves: measures all.

        Evaluators that can save work by comparing (successive halving) override it.
        """
        return [
            self.evaluate(architecture, probe)
            for architecture, probe in zip(architectures, probes, strict=True)
        ]


def evaluated(evaluator: Evaluator, architecture: Architecture, probe: Probe | None) -> Evaluation:
    """Returns the validated evaluation of an architecture; all callers use this function.

    Raises:
        PluginError: the result is invalid; see `checked`.
    """
    return checked(evaluator, evaluator.evaluate(architecture, probe))


def evaluated_all(
    evaluator: Evaluator, architectures: Sequence[Architecture], probes: Sequence[Probe | None]
) -> list[Evaluation]:
    """Returns the validated evaluations of several architectures that are compared.

    Raises:
        PluginError: a result is missing or invalid; see `checked`.
    """
    evaluations = evaluator.evaluate_all(architectures, probes)
    is_list = isinstance(evaluations, Sequence)
    if not is_list or len(evaluations) != len(architectures):
        got = f"{len(evaluations)} answers" if is_list else repr(evaluations)
        raise PluginError(
            f"Evaluator {evaluator.name!r} judged {len(architectures)} architectures and gave "
            f"{got}; expected a list with an Evaluation of each."
        )
    return [checked(evaluator, evaluation) for evaluation in evaluations]


def checked(evaluator: Evaluator, answer: Any) -> Evaluation:
    """Returns an evaluator's result with plain numbers, ready for a run's record.

    Raises:
        PluginError: `answer` is no `Evaluation`, or a metric is no finite number.
    """
    if not isinstance(answer, Evaluation) or not isinstance(answer.metrics, Mapping):
        is_evaluation = isinstance(answer, Evaluation)
        got = (
            "an Evaluation whose metrics are no mapping" if is_evaluation else type(answer).__name__
        )
        raise PluginError(
            f"Evaluator {evaluator.name!r} answered {got}; expected an Evaluation, such as "
            f"Evaluation({evaluator.name!r}, {{'accuracy': 0.9}})."
        )
    metrics = {str(name): _metric(evaluator, name, value) for name, value in answer.metrics.items()}
    notes = (answer.notes,) if isinstance(answer.notes, str) else tuple(map(str, answer.notes))
    seconds = _metric(evaluator, "seconds", answer.seconds)
    trainings = {
        str(name): tuple(float(_metric(evaluator, name, value)) for value in values)
        for name, values in answer.trainings.items()
    }
    recorded = float(_metric(evaluator, "recorded_seconds", answer.recorded_seconds))
    return Evaluation(str(answer.evaluator), metrics, notes, seconds, trainings, recorded)


def _metric(evaluator: Evaluator, name: object, value: object) -> float | int:
    """Returns the value of a metric as a plain number, or raises a `PluginError`."""
    plain = number(value)
    if plain is None:
        raise PluginError(
            f"Evaluator {evaluator.name!r} answered {name} = {value!r}; a metric is a finite "
            "number. It should leave out what it cannot measure."
        )
    return plain
