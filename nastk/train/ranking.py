"""How well a search ranks architectures while it runs: `Ranking`, measured against known accuracy.

Two kinds, never mixed. By `scores`: the mean score that the updater gives the chosen operations.
By `supernet`: the accuracy of the architecture's path with the shared weights. Beside them stand
rankers that know nothing of the search: how many of the chosen operations have parameters, and what
an evaluator such as `size` counts. The truth comes from an evaluator that needs no supernet, such
as a benchmark's table. The sample is the same for every run with the same options, whatever its
seed; nothing here touches the training.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
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
from nastk.base.errors import ConfigurationError, DataError
from nastk.base.events import Ranked
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
"""The ranker that counts the chosen operations with parameters."""
FIRST_IMAGES = 1_000
"""Held-out images that are measured first where their number is left open; then twice as many."""
ENOUGH = 0.9
"""The tau between two halves of the images at which no more of them are asked."""
PATIENCE = 20
"""How many times the sample is drawn at most to find architectures that the evaluator knows."""


class RankingOptions(Options):
    """What is measured, against whom, and how often.

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
    counter: str | None = Field(
        defaults.COUNTER,
        description="evaluator whose counts rank beside the search, knowing nothing of it; null: "
        "none",
    )


@dataclass(frozen=True)
class Known:
    """An architecture whose true accuracy is known."""

    architecture: Architecture
    truth: float


class Ranking:
    """Measures ranking quality after an epoch; the trainer calls it as one of its watchers.

    Args:
        options: what is measured.
        space: the space that is searched.
        judge: knows the truth.
        counter: what it says of an architecture ranks beside what the search has learned; None:
            only the operations with parameters are counted.

    Raises:
        ConfigurationError: the evaluator cannot judge, or knows too few of the sample.

    Example: `Harness(updater, watchers=[Ranking(RankingOptions(), space, evaluator)]).run()`
    """

    def __init__(
        self,
        options: RankingOptions,
        space: SearchSpace,
        evaluator: Evaluator,
        counter: Evaluator | None = None,
    ) -> None:
        if evaluator.needs_supernet:
            raise ConfigurationError(
                f"Ranking quality is measured against what is known without the supernet, and "
                f"evaluator {evaluator.name!r} needs it. Use one that does not, such as "
                f"{defaults.RANKING_EVALUATOR}."
            )
        self.options, self.space, self.evaluator, self.counter = options, space, evaluator, counter
        self.metric = options.metric
        self.known = self._sample()
        self._counted: dict[str, dict[str, object] | None] | None = None

    def __call__(self, epoch: FinishedEpoch) -> Ranked | None:
        """Called after every epoch of a branch: measures if it is time to, else None."""
        branch, probe, every = epoch.branch, epoch.probe, self.options.every
        if not epoch.last and (every == 0 or probe.epoch % every):
            return None
        inside = [each for each in self.known if _contains(probe.subspace, each.architecture)]
        return Ranked(
            branch.name,
            probe.epoch,
            probe.step,
            self.evaluator.name,
            str(self.metric),
            {
                "scores": self._by_scores(epoch.scores),
                "supernet": self._by_supernet(probe, inside),
                **self._by_counts(probe),
            },
        )

    def images(self, epochs: int, held_out: int) -> int:
        """The images pushed forward in a run of so many epochs, at most.

        `held_out` is how many images there are to measure on.
        """
        every = self.options.every
        times = 1 if every == 0 else epochs // every + bool(epochs % every)
        return times * len(self.known) * min(self.options.images or held_out, held_out)

    # ------------------------------------------------------------------ what ranks

    def _by_scores(self, scores: Float[Tensor, "edges ops"] | None) -> dict[str, object] | None:
        """Agreement of the mean score of the chosen operations (operation strength)."""
        if scores is None:
            return None
        rated = [(strength(scores, each.architecture), each.truth) for each in self.known]
        return self._agreement([pair for pair in rated if not math.isnan(pair[0])])

    def _by_supernet(self, probe: Probe, inside: Sequence[Known]) -> dict[str, object] | None:
        """Agreement of the supernet's accuracy, over the architectures that are still alive."""
        if len(inside) < FEWEST:
            return None
        batches = self._batches(probe)
        correct = np.zeros((len(inside), 0), dtype=bool)
        wanted = self.options.images or FIRST_IMAGES
        while some := _of_images(batches, wanted - correct.shape[1]):
            correct = np.concatenate([correct, self._correct(probe, inside, some)], axis=1)
            if self.options.images or (halves_agreement(correct) or 0.0) >= ENOUGH:
                break
            wanted = 2 * correct.shape[1]
        truth = [each.truth for each in inside]
        found = measured_agreement(correct, truth, self.options.sample_seed)
        return None if found is None else {**found.to_json(), "images": correct.shape[1]}

    def _correct(self, probe: Probe, inside: Sequence[Known], batches: Sequence[Batch]) -> Correct:
        """Which of the images each architecture's path gets right."""
        announced = probe.announced(inside, "ranking architectures")
        mixtures = (Mixture.of(each.architecture) for each in announced)
        return np.stack([probe.correct(mixture, batches).numpy() for mixture in mixtures])

    def _by_counts(self, probe: Probe) -> dict[str, dict[str, object] | None]:
        """Agreement of what can be counted without any search; the same after every epoch."""
        if self._counted is None:
            free = parameter_free(self.space.edges, probe)
            counts: dict[str, list[float]] = {CONVOLUTIONS: []}
            for each in self.known:
                links = each.architecture.links()
                counts[CONVOLUTIONS].append(float(sum(link not in free for link in links)))
                for name, value in self._metrics(self.counter, each.architecture).items():
                    counts.setdefault(name, []).append(float(value))
            self._counted = {
                name: self._agreement(
                    [(value, each.truth) for value, each in zip(values, self.known, strict=True)]
                )
                for name, values in counts.items()
                if len(values) == len(self.known)
            }
        return self._counted

    def _agreement(self, pairs: Sequence[tuple[float, float]]) -> dict[str, object] | None:
        predicted, truth = zip(*pairs, strict=True) if pairs else ((), ())
        found = agreement(predicted, truth, self.options.sample_seed)
        return None if found is None else found.to_json()

    def _batches(self, probe: Probe) -> Iterator[Batch]:
        """The held-out images in their order; where a run holds none out, those that train."""
        size = min(self.options.batch_size, self.options.images or self.options.batch_size)
        stream = probe.valid if probe.has_valid else probe.train
        return iter(stream.view("ranking", batch_size=size, augment=False).epoch(0))

    # ------------------------------------------------------------------ the sample

    def _sample(self) -> list[Known]:
        """Distinct architectures that the evaluator knows."""
        found: dict[str, Known] = {}
        for architecture in islice(self._candidates(), PATIENCE * self.options.sample):
            if architecture.id in found:
                continue
            try:
                metrics = self._metrics(self.evaluator, architecture)
            except DataError:
                continue  # the evaluator does not know this one
            found[architecture.id] = Known(architecture, self._truth(metrics))
            if len(found) == self.options.sample:
                break
        if len(found) < FEWEST:
            raise ConfigurationError(
                f"Evaluator {self.evaluator.name!r} knows {len(found)} of the architectures that "
                f"were tried, and ranking quality needs {FEWEST}. Name some that it knows with "
                "-r architectures=FILE (one a line), or leave --ranking out."
            )
        return list(found.values())

    def _metrics(
        self, evaluator: Evaluator | None, architecture: Architecture
    ) -> dict[str, float | int]:
        """What an evaluator says of an architecture without looking at the supernet."""
        if evaluator is None:
            return {}
        with blamed(f"Evaluator {evaluator.name!r}", "judging for a ranking"):
            return dict(evaluated(evaluator, architecture, None).metrics)

    def _candidates(self) -> Iterator[Architecture]:
        path = self.options.architectures
        if path is None:
            rng = generator(self.options.sample_seed, "ranking")
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

    def _truth(self, metrics: dict[str, float | int]) -> float:
        """The evaluator's metric, which the first answer names where nobody did."""
        self.metric = self.metric or next(iter(metrics))
        if self.metric not in metrics:
            raise ConfigurationError(
                f"Evaluator {self.evaluator.name!r} has no metric {self.metric!r}. "
                f"It has: {', '.join(metrics)}."
            )
        return float(metrics[self.metric])


def _of_images(batches: Iterator[Batch], images: int) -> list[Batch]:
    """The next batches until they hold so many images, or there are no more."""
    found: list[Batch] = []
    while sum(len(each.labels) for each in found) < images:
        if (batch := next(batches, None)) is None:
            break
        found.append(batch)
    return found


def summary(event: Mapping[str, Any]) -> Evaluation:
    """An event of kind `ranked` as an evaluation, whose metrics a study can tabulate."""
    metrics: dict[str, float | int] = {}
    for kind, found in event["by"].items():
        for name in ("kendall", "spearman") if found else ():
            metrics[f"{name}_by_{kind}"] = found[name]["value"]
            for end in ("low", "high"):
                metrics[f"{name}_by_{kind}_{end}"] = found[name][end]
        for k, lost in found["regret"].items() if found else ():
            metrics[f"regret_{k}_by_{kind}"] = lost
        for k, share in found.get("precision", {}).items() if found else ():
            metrics[f"precision_{k}_by_{kind}"] = share
        for name in ("best_kendall", "ndcg", "halves") if found else ():
            if (value := found.get(name)) is not None:
                metrics[f"{name}_by_{kind}"] = value
    missing = [kind for kind, found in event["by"].items() if not found]
    notes = [f"Rank correlations are with {event['metric']} of evaluator {event['evaluator']!r}."]
    notes += [
        f"There is none by {kind} after epoch {event['epoch']}: too few architectures can be told "
        "apart by it."
        for kind in missing
    ]
    # Where resamples cannot be told apart an interval may have no ends.
    known = {name: value for name, value in metrics.items() if number(value) is not None}
    return Evaluation("ranking", known, tuple(notes))


def strength(scores: Float[Tensor, "edges ops"], architecture: Architecture) -> float:
    """The mean score of the operations that an architecture chose; NaN where one is not rated.

    Xiao et al. (CVPR 2022, figure 5) correlate this with accuracy.
    """
    chosen = torch.tensor(architecture.table(), dtype=torch.bool)
    return float(scores[chosen].double().mean())


def _contains(subspace: Subspace, architecture: Architecture) -> bool:
    return subspace.contains(Subspace(architecture.table()))
