"""Which of several leaves a run's architecture comes from: `choose`, for runs that split.

By default the one whose architecture has the best accuracy on the valid split, with the leaf's own
supernet. An evaluator may choose instead (a table's valid column is the oracle of some papers). The
test split chooses nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nastk.branch import Branch
from nastk.errors import ConfigurationError
from nastk.evaluator import Evaluator
from nastk.mixture import Mixture
from nastk.trainer import Trainer


@dataclass(frozen=True)
class Chooser:
    """Chooses among leaves by a metric of `judge`; by supernet accuracy where that is None.

    `metric` is the judge's first that is not of the test split where None.

    Example: `Chooser(None, None).choose(branches, trainer)`
    """

    judge: Evaluator | None = None
    metric: str | None = None

    def choose(
        self,
        leaves: Sequence[Branch],
        trainer: Trainer,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Branch, dict[str, dict[str, float]]]:
        """The best of two leaves or more, the first of equals; and {metric: {leaf: value}}."""
        found = [self._judged(leaf, trainer, stopping) for leaf in leaves]
        best = max(range(len(leaves)), key=lambda place: found[place][1])
        values = {leaf.name: value for leaf, (_, value) in zip(leaves, found, strict=True)}
        return leaves[best], {found[best][0]: values}

    def named(self, metrics: Mapping[str, float]) -> str:
        """The metric of an evaluation that is chosen by.

        Raises:
            ConfigurationError: there is none, or it is of the test split.
        """
        allowed = [name for name in metrics if "test" not in name]
        name = self.metric or next(iter(allowed), "")
        if name in allowed:
            return name
        judge = "supernet" if self.judge is None else self.judge.name
        why = (
            "is of the test split, which chooses nothing: its accuracy would mean nothing any more"
            if name in metrics
            else "does not exist"
        )
        raise ConfigurationError(
            f"The metric {name!r} of {judge!r}, to choose among leaves by, {why}. "
            f"Set leaf_metric to one of: {', '.join(allowed) or 'none'}."
        )

    def _judged(
        self, leaf: Branch, trainer: Trainer, stopping: Callable[[], bool]
    ) -> tuple[str, float]:
        probe = trainer.probe(leaf, stopping)
        architecture = leaf.updater.architecture(probe)
        if self.judge is not None:
            metrics = self.judge.evaluate(architecture, probe).metrics
            name = self.named(metrics)
            return name, float(metrics[name])
        scores = probe.scores([Mixture.of(architecture)], probe.valid.once())
        return self.named({"valid_accuracy": 0.0}), next(scores)
