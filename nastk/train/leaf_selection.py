"""`Chooser`: selects the leaf that provides the final architecture of a run that split.

By default the leaf whose architecture has the best accuracy on the valid split, with the leaf's own
supernet. An evaluator may choose instead: by training the leaves' networks (`retrain`, optionally
with successive halving), or by the valid column of a table, the oracle of some papers. The test
split is never used.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Bool
from torch import Tensor

from nastk.base.errors import ConfigurationError
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch
from nastk.train.evaluator import Evaluator, evaluated_all
from nastk.train.evaluator_metric import EvaluatorMetric
from nastk.train.probe import Probe
from nastk.train.racing import doubling, race
from nastk.train.trainer import Trainer

FIRST_IMAGES = 1_000
"""Images, rounded up to whole batches, in the first portion of a race."""


@dataclass(frozen=True)
class Chooser:
    """Chooses among leaves by a metric of `evaluator`, or by supernet accuracy without one.

    `metric=None` stands for the first of the evaluator's criteria or, if it has none, for its first
    metric that is not of the test split. With `race` above 0, supernet accuracies are compared on a
    growing number of images, and `race` bounds the probability that the best leaf is eliminated
    (`racing.py`).

    Example: `Chooser(None, None).choose(branches, trainer)`
    """

    evaluator: Evaluator | None = None
    metric: str | None = None
    race: float = 0.0

    def __post_init__(self) -> None:
        if self.race and self.evaluator is not None:
            raise ConfigurationError(
                f"leaf_race={self.race:g} races leaves by supernet accuracy, and evaluator "
                f"{self.evaluator.name!r} was asked to choose among them. Leave out leaf_race or "
                "leaf_evaluator."
            )

    def choose(
        self,
        leaves: Sequence[Branch],
        trainer: Trainer,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Branch, dict[str, dict[str, float | int]]]:
        """Returns the best leaf (ties go to the first), and {metric: {leaf: value}}.

        The first metric decides; if the evaluator has criteria, its other metrics follow, except
        for those of the test split.
        """
        probes = [trainer.probe(leaf, stopping) for leaf in leaves]
        if self.race:
            return self._raced(leaves, probes)
        measured = self._metrics(leaves, probes)
        names = [self.named(metrics) for metrics in measured]
        criterion = names[0]
        best = max(range(len(leaves)), key=lambda row: measured[row][names[row]])
        shown = [criterion]
        if self._by.criteria is not None:
            others = [name for name in measured[best] if name != criterion]
            shown += [name for name in others if not self._by.of_test(name)]
        values = {
            name: {
                leaf.name: float(metrics[name])
                for leaf, metrics in zip(leaves, measured, strict=True)
                if name in metrics
            }
            for name in shown
        }
        return leaves[best], values

    def may_choose(self, leaves: Sequence[Branch], trainer: Trainer) -> bool:
        """True if there are several leaves, and something to choose by; else the first is taken."""
        return len(leaves) > 1 and (trainer.valid is not None or self.evaluator is not None)

    def named(self, metrics: Iterable[str]) -> str:
        """Returns the deciding metric out of the `metrics` of an evaluation.

        Raises:
            ConfigurationError: there is none, or it is of the test split.
        """
        return self._by.named(metrics)

    @property
    def _by(self) -> EvaluatorMetric:
        """The metric that chooses."""
        return EvaluatorMetric(
            self.evaluator, self.metric, "to choose among leaves by", "leaf_metric"
        )

    def _metrics(
        self, leaves: Sequence[Branch], probes: Sequence[Probe]
    ) -> list[Mapping[str, float | int]]:
        """Returns the metrics of each leaf's architecture."""
        architectures = _decided(leaves, probes)
        if self.evaluator is not None:
            evaluations = evaluated_all(self.evaluator, architectures, probes)
            return [evaluation.metrics for evaluation in evaluations]
        return [
            {"valid_accuracy": next(probe.scores([Mixture.of(architecture)], probe.valid.once()))}
            for architecture, probe in zip(architectures, probes, strict=True)
        ]

    def _raced(
        self, leaves: Sequence[Branch], probes: Sequence[Probe]
    ) -> tuple[Branch, dict[str, dict[str, float | int]]]:
        """Returns the winner of a race, and each leaf's accuracy on the images of its portions."""
        mixtures = [Mixture.of(architecture) for architecture in _decided(leaves, probes)]
        valid = probes[0].valid
        batches = valid.once()
        sizes = doubling(len(valid), -(-FIRST_IMAGES * len(valid) // valid.images))

        def hits(numbers: Sequence[int], portion: int) -> Bool[Tensor, "contestants images"]:
            rows: list[list[Tensor]] = [[] for _ in numbers]
            for batch in islice(batches, sizes[portion]):
                for row, number in zip(rows, numbers, strict=True):
                    row.append(probes[number].correct(mixtures[number], [batch]))
            return torch.stack([torch.cat(row) for row in rows])

        standings = race(len(leaves), len(sizes), hits, self.race)
        accuracies: dict[str, float | int] = {
            leaves[standing.number].name: standing.accuracy for standing in standings
        }
        in_order = {leaf.name: accuracies[leaf.name] for leaf in leaves}
        return leaves[standings[0].number], {"valid_accuracy": in_order}


def leaves_of(branches: Sequence[Branch]) -> list[Branch]:
    """Returns the branches that a run may end with: those not ended early, or else all."""
    return [branch for branch in branches if not branch.ended] or list(branches)


def _decided(leaves: Sequence[Branch], probes: Sequence[Probe]) -> list[Architecture]:
    """Returns the present decision of each leaf's updater."""
    return [leaf.updater.architecture(probe) for leaf, probe in zip(leaves, probes, strict=True)]
