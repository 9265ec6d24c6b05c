"""`EvaluatorMetric`: the metric of an evaluator by which architectures are compared.

The choice among leaves and updaters that evaluate architectures share its rules: the evaluator says
by which metrics it may choose (`Evaluator.criteria`), and none of the test split ever decides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nastk.base import defaults
from nastk.base.errors import ConfigurationError
from nastk.base.failures import blamed
from nastk.spaces.architecture import Architecture
from nastk.train.criterion import Valued
from nastk.train.evaluator import Evaluator, evaluated
from nastk.train.probe import Probe


@dataclass(frozen=True)
class EvaluatorMetric:
    """The `metric` of `evaluator`; None stands for the first that it may choose by.

    `use` says in messages what the metric is for, and `option` where it is set. Without an
    evaluator the metrics are those of supernet accuracy.

    Example: `EvaluatorMetric(evaluator, None, "to search by", "-u metric")(architecture)`
    """

    evaluator: Evaluator | None
    metric: str | None
    use: str
    option: str

    def __call__(self, architecture: Architecture, probe: Probe | None = None) -> Valued:
        """Called by `Probe.evaluate`: evaluates an architecture, and books the recorded seconds.

        Raises:
            ConfigurationError: the evaluator has no such metric, or it is of the test split.
            NastkError: the evaluator failed.
        """
        evaluator = self.evaluator
        assert evaluator is not None, "only an evaluator can evaluate"
        seen = probe if evaluator.needs_supernet else None
        with blamed(f"Evaluator {evaluator.name!r}", "evaluating an architecture for the updater"):
            evaluation = evaluated(evaluator, architecture, seen)
        evaluator.context.run.record(evaluation.recorded_seconds)
        name = self.named(evaluation.metrics)
        return Valued(evaluator.name, name, float(evaluation.metrics[name]))

    @property
    def criteria(self) -> tuple[str, ...] | None:
        """The criteria of the evaluator; None if it has none, or there is no evaluator."""
        return None if self.evaluator is None else self.evaluator.criteria

    def of_test(self, metric: str) -> bool:
        """True if a metric is of the test split."""
        return "test" in metric if self.evaluator is None else self.evaluator.of_test(metric)

    def named(self, metrics: Iterable[str]) -> str:
        """Returns the deciding metric out of the `metrics` of an evaluation.

        Raises:
            ConfigurationError: there is none, or it is of the test split.
        """
        reported, criteria = list(metrics), self.criteria
        if criteria is None:
            allowed = [name for name in reported if not self.of_test(name)]
        else:
            allowed = [name for name in criteria if name in reported]
        name = self.metric or next(iter(allowed), "")
        if name not in allowed:
            raise ConfigurationError(self._refusal(name, name in reported, allowed))
        return name

    def _refusal(self, name: str, reported: bool, allowed: Sequence[str]) -> str:
        """Returns the error message for a metric that cannot decide."""
        evaluator = defaults.LEAF_EVALUATOR if self.evaluator is None else self.evaluator.name
        if not allowed:
            return (
                f"Evaluator {evaluator!r} measures nothing {self.use}: that takes "
                "images which neither train the network nor are of the test split. Hold some out "
                "with -d train_fraction=0.5, or name another evaluator."
            )
        reason = "does not exist" if self.criteria is None else "is none that it can choose by"
        if reported and self.of_test(name):
            reason = (
                "is of the test split, which chooses nothing: its accuracy would mean nothing any "
                "more"
            )
        return (
            f"The metric {name!r} of {evaluator!r}, {self.use}, {reason}. "
            f"Set {self.option} to one of: {', '.join(allowed)}."
        )
