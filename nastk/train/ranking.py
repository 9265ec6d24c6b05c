"""`Ranking`: measures during a search how well it ranks architectures of known accuracy.

Two rankers use the search: `scores`, the mean score that the updater gives the chosen operations,
and `supernet`, the accuracy of the architecture's path with the shared weights. Baselines that know
nothing of the search stand beside them: the number of chosen operations with parameters, and the
metrics of evaluators such as `size`. Where the true accuracy is a mean of several trainings, a
ranker that knows one of them shows what is possible. The truth comes from an evaluator that needs
no supernet, such as a benchmark's table. The sample is the same for all runs with the same
options, whatever their seed; the training is not affected.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from nastk.base import defaults
from nastk.base.component import Options
from nastk.base.correlation import (
    FEWEST,
    Correct,
    agreement,
    halves_agreement,
    measured_agreement,
)
from nastk.base.cost import PhaseCost
from nastk.base.errors import ConfigurationError, DataError
from nastk.base.events import ONE_TRAINING, Ranked
from nastk.base.failures import blamed
from nastk.base.seeds import generator
from nastk.base.values import number
from nastk.data.streams import Batch
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace
from nastk.train.diagnostics import parameter_free
from nastk.train.evaluator import Evaluation, Evaluator, evaluated
from nastk.train.probe import Probe
from nastk.train.watching import FinishedEpoch

CONVOLUTIONS = "convolutions"
"""Name of the ranker that counts the chosen operations with parameters."""
FIRST_IMAGES = 1_000
"""Held-out images measured at first if no number is set; the number is then doubled."""
ENOUGH = 0.9
"""Kendall's tau between two halves of the images at which the doubling stops."""
PATIENCE = 20
"""Most draws for each architecture of the sample; the evaluator may not know all of them."""


class RankingOptions(Options):
    """Options of the measurement of ranking quality.

    Example: `nastk.search("nasbench201", "darts", ranking={"every": 10})`
    """

    evaluator: str = Field(
        defaults.RANKING_EVALUATOR, description="the evaluator that knows the true accuracy"
    )
    evaluator_options: dict[str, object] = Field(
        default_factory=dict, description="options of that evaluator"
    )
    metric: str | None = Field(
        None, description="metric of the evaluator, larger is better; unset: its first"
    )
    sample: int = Field(100, ge=FEWEST, description="architectures that are ranked")
    sample_seed: int = Field(
        0, ge=0, description="seed of the sample, the same for every seed of a run"
    )
    architectures: Path | None = Field(
        None,
        description="file with an architecture a line, in the space's text form, instead of a "
        "random sample",
    )
    every: int = Field(0, ge=0, description="epochs between two measurements; 0: only at the end")
    images: int | None = Field(
        None,
        ge=2,
        description="held-out images for each supernet accuracy; unset: as many as let two halves "
        "of them agree with tau 0.9, or all",
    )
    batch_size: int = Field(
        250, ge=2, description="images in a batch; norms use the statistics of each batch"
    )
    counter: str | list[str] | None = Field(
        defaults.COUNTER,
        description="evaluator whose metrics rank beside the search, knowing nothing of it, as "
        "NAME[,OPTION=VALUE...], or a list of several; null: none",
    )

    @property
    def counters(self) -> list[str]:
        """The evaluators of `counter`."""
        if self.counter is None:
            return []
        return [self.counter] if isinstance(self.counter, str) else self.counter


@dataclass(frozen=True)
class Known:
    """An architecture whose true accuracy is known, with that of its single `trainings`."""

    architecture: Architecture
    truth: float
    trainings: tuple[float, ...] = ()


class Ranking:
    """Measures ranking quality after an epoch; the trainer calls it as one of its watchers.

    Args:
        options: the options of the measurement.
        space: the space that is searched.
        evaluator: knows the true accuracy.
        counters: evaluators whose metrics serve as baselines; without any the only baseline is the
            number of operations with parameters.

    Raises:
        ConfigurationError: the evaluator needs a supernet, or knows too few of the sample.

    Example: `Harness(updater, watchers=[Ranking(RankingOptions(), space, evaluator)]).run()`
    """

    def __init__(
        self,
        options: RankingOptions,
        space: SearchSpace,
        evaluator: Evaluator,
        *counters: Evaluator,
    ) -> None:
        for one in (evaluator, *counters):
            if one.needs_supernet:
                raise ConfigurationError(
                    f"Ranking quality is measured against what is known without the supernet, and "
                    f"evaluator {one.name!r} needs it. Use one that does not, such as "
                    f"{defaults.RANKING_EVALUATOR}."
                )
        self.options, self.space, self.evaluator = options, space, evaluator
        self.counters = counters
        self.metric = options.metric
        self.known = self._sample()
        self._constant: dict[str, dict[str, object] | None] | None = None

    def __call__(self, epoch: FinishedEpoch) -> Ranked | None:
        """Called after every epoch of a branch: measures if it is due, else returns None."""
        branch, probe, every = epoch.branch, epoch.probe, self.options.every
        if not epoch.last and (every == 0 or probe.epoch % every):
            return None
        inside = [known for known in self.known if _contains(probe.subspace, known.architecture)]
        return Ranked(
            branch.name,
            probe.epoch,
            probe.step,
            self.evaluator.name,
            str(self.metric),
            {
                "scores": self._by_scores(epoch.scores),
                "supernet": self._by_supernet(probe, inside),
                **self._without_search(probe),
            },
        )

    def images(self, epochs: int, held_out: int) -> int:
        """Returns the most images of forward passes in a run of so many epochs.

        `held_out` is the number of images available for measuring.
        """
        every = self.options.every
        times = 1 if every == 0 else epochs // every + bool(epochs % every)
        return times * len(self.known) * min(self.options.images or held_out, held_out)

    def max_cost_of_counters(self) -> PhaseCost:
        """Returns the most images of the evaluators that rank beside the search, in all."""
        one = sum((each.max_cost() or PhaseCost() for each in self.counters), PhaseCost())
        networks = len(self.known)
        return PhaseCost(networks * one.images_forward, networks * one.images_backward)

    # ------------------------------------------------------------------ the rankers

    def _by_scores(self, scores: Float[Tensor, "edges ops"] | None) -> dict[str, object] | None:
        """Returns the agreement of the mean score of the chosen operations with the truth."""
        if scores is None:
            return None
        rated = [(strength(scores, known.architecture), known.truth) for known in self.known]
        return self._agreement([pair for pair in rated if not math.isnan(pair[0])])

    def _by_supernet(self, probe: Probe, inside: Sequence[Known]) -> dict[str, object] | None:
        """Returns the agreement of supernet accuracy, over architectures that are still alive."""
        if len(inside) < FEWEST:
            return None
        batches = self._batches(probe)
        correct = np.zeros((len(inside), 0), dtype=bool)
        wanted = self.options.images or FIRST_IMAGES
        while portion := _of_images(batches, wanted - correct.shape[1]):
            hits = self._correct(probe, inside, portion)  # architectures x images of the portion
            correct = np.concatenate([correct, hits], axis=1)
            if self.options.images or (halves_agreement(correct) or 0.0) >= ENOUGH:
                break
            wanted = 2 * correct.shape[1]
        truth = [known.truth for known in inside]
        result = measured_agreement(correct, truth, self.options.sample_seed)
        return None if result is None else {**result.to_json(), "images": correct.shape[1]}

    def _correct(self, probe: Probe, inside: Sequence[Known], batches: Sequence[Batch]) -> Correct:
        """Returns a table, architectures x images: True where the path classifies correctly."""
        announced = probe.announced(inside, "ranking architectures")
        mixtures = (Mixture.of(known.architecture) for known in announced)
        return np.stack([probe.correct(mixture, batches).numpy() for mixture in mixtures])

    def _without_search(self, probe: Probe) -> dict[str, dict[str, object] | None]:
        """Returns the agreement of rankers that ignore the search: the same after every epoch."""
        if self._constant is None:
            self._constant = {**self._by_counts(probe), **self._by_training()}
        return self._constant

    def _by_counts(self, probe: Probe) -> dict[str, dict[str, object] | None]:
        """Returns the agreement of counts, which know nothing but the architecture."""
        free = parameter_free(self.space.edges, probe)
        counts: dict[str, list[float]] = {CONVOLUTIONS: []}
        for known in self.known:
            links = known.architecture.links()
            counts[CONVOLUTIONS].append(float(sum(link not in free for link in links)))
            for counter in self.counters:
                with suppress(DataError):  # of this architecture it knows nothing
                    metrics = self._evaluation(counter, known.architecture).metrics
                    for name, value in metrics.items():
                        counts.setdefault(name, []).append(float(value))
        return {
            name: self._agreement(
                [(value, known.truth) for value, known in zip(values, self.known, strict=True)]
            )
            for name, values in counts.items()
            if len(values) == len(self.known)
        }

    def _by_training(self) -> dict[str, dict[str, object] | None]:
        """Returns the agreement of the first training with the mean of the others.

        It is the most that a ranking by accuracies can be expected to reach. Empty if the evaluator
        does not know several trainings of each architecture.
        """
        if any(len(known.trainings) < 2 for known in self.known):
            return {}
        pairs = [(known.trainings[0], fmean(known.trainings[1:])) for known in self.known]
        return {ONE_TRAINING: self._agreement(pairs)}

    def _agreement(self, pairs: Sequence[tuple[float, float]]) -> dict[str, object] | None:
        """Returns the agreement of (prediction, truth) pairs; None if it is not defined."""
        predicted, truth = zip(*pairs, strict=True) if pairs else ((), ())
        result = agreement(predicted, truth, self.options.sample_seed)
        return None if result is None else result.to_json()

    def _batches(self, probe: Probe) -> Iterator[Batch]:
        """Returns the held-out images in order; the training images in a run without them."""
        size = min(self.options.batch_size, self.options.images or self.options.batch_size)
        stream = probe.valid if probe.has_valid else probe.train
        return iter(stream.view("ranking", batch_size=size, augment=False).epoch(0))

    # ------------------------------------------------------------------ the sample

    def _sample(self) -> list[Known]:
        """Returns distinct architectures that the evaluator knows."""
        sample: dict[str, Known] = {}
        for architecture in islice(self._candidates(), PATIENCE * self.options.sample):
            if architecture.id in sample:
                continue
            try:
                evaluation = self._evaluation(self.evaluator, architecture)
            except DataError:
                continue  # the evaluator does not know this architecture
            if not evaluation.metrics:
                continue  # nor does one that is not surprised
            truth = self._truth(evaluation.metrics)
            trainings = tuple(evaluation.trainings.get(str(self.metric), ()))
            sample[architecture.id] = Known(architecture, truth, trainings)
            if len(sample) == self.options.sample:
                break
        if len(sample) < FEWEST:
            raise ConfigurationError(
                f"Evaluator {self.evaluator.name!r} knows {len(sample)} of the architectures that "
                f"were tried, and ranking quality needs {FEWEST}. Name some that it knows with "
                "-r architectures=FILE (one a line), or leave --ranking out."
            )
        return list(sample.values())

    def _evaluation(self, evaluator: Evaluator, architecture: Architecture) -> Evaluation:
        """Returns what an evaluator measures of an architecture without a supernet."""
        with blamed(f"Evaluator {evaluator.name!r}", "evaluating for a ranking"):
            return evaluated(evaluator, architecture, None)

    def _candidates(self) -> Iterator[Architecture]:
        """Yields the architectures of the file, or random ones, without end if all are known."""
        path = self.options.architectures
        if path is None:
            rng = generator(self.options.sample_seed, "ranking")
            if (known := self.evaluator.known()) is not None:
                order = torch.randperm(len(known), generator=rng).tolist()
                yield from (known[place] for place in order)
                return
            while True:
                yield self.space.sample(self.space.full(), rng)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"-r architectures={path} cannot be read: {error}. "
                "It takes a text file with an architecture a line."
            ) from None
        yield from (self.space.from_text(line.strip()) for line in lines if line.strip())

    def _truth(self, metrics: Mapping[str, float | int]) -> float:
        """Returns the metric; if none was set, it becomes the first metric of the evaluator."""
        self.metric = self.metric or next(iter(metrics))
        if self.metric not in metrics:
            raise ConfigurationError(
                f"Evaluator {self.evaluator.name!r} has no metric {self.metric!r}. "
                f"It has: {', '.join(metrics)}."
            )
        return float(metrics[self.metric])


def _of_images(batches: Iterator[Batch], images: int) -> list[Batch]:
    """Returns the next batches, until they hold so many images or there are no more."""
    portion: list[Batch] = []
    while sum(len(batch.labels) for batch in portion) < images:
        if (batch := next(batches, None)) is None:
            break
        portion.append(batch)
    return portion


def summary(event: Mapping[str, Any]) -> Evaluation:
    """Returns an event of kind `ranked` as an evaluation, whose metrics a study can tabulate."""
    metrics: dict[str, float | int] = {}
    measured = {ranker: values for ranker, values in event["by"].items() if values}
    for ranker, values in measured.items():
        for name in ("kendall", "spearman"):
            metrics[f"{name}_by_{ranker}"] = values[name]["value"]
            for end in ("low", "high"):
                metrics[f"{name}_by_{ranker}_{end}"] = values[name][end]
        for k, regret in values["regret"].items():
            metrics[f"regret_{k}_by_{ranker}"] = regret
        for k, share in values.get("precision", {}).items():
            metrics[f"precision_{k}_by_{ranker}"] = share
        for name in ("best_kendall", "ndcg", "halves"):
            if (value := values.get(name)) is not None:
                metrics[f"{name}_by_{ranker}"] = value
    missing = [ranker for ranker in event["by"] if ranker not in measured]
    notes = [f"Rank correlations are with {event['metric']} of evaluator {event['evaluator']!r}."]
    notes += [
        f"There is none by {ranker} after epoch {event['epoch']}: too few architectures can be "
        "told apart by it."
        for ranker in missing
    ]
    # A confidence interval may have no ends: the resamples of few values may not be ranked.
    finite = {name: value for name, value in metrics.items() if number(value) is not None}
    return Evaluation("ranking", finite, tuple(notes))


def strength(scores: Float[Tensor, "edges ops"], architecture: Architecture) -> float:
    """Returns the mean score of the chosen operations; NaN if one of them is not rated.

    Xiao et al. (CVPR 2022, figure 5) correlate this with accuracy.
    """
    chosen = torch.tensor(architecture.table(), dtype=torch.bool)
    return float(scores[chosen].double().mean())


def _contains(subspace: Subspace, architecture: Architecture) -> bool:
    """True if all chosen operations are alive in `subspace`."""
    return subspace.contains(Subspace(architecture.table()))
