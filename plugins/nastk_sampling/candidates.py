"""Samples of distinct architectures, and their ranking by accuracy in the supernet."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Bool
from torch import Tensor

from nastk import Architecture, Batch, Mixture, Probe
from nastk.train import doubling, race
from nastk_sampling.paths import Sampler

PATIENCE = 100
"""Draws in a row without a new architecture, after which a sample ends."""


@dataclass(frozen=True)
class Ranked:
    """An architecture and the accuracy (0..1) of its path on validation images.

    `images` is the number of images in a race, which differs between candidates; else None.
    """

    architecture: Architecture
    accuracy: float
    images: int | None = None


class CandidateScorer:
    """Ranks architectures by supernet accuracy on validation images, the same ones for all.

    The images are not augmented. `total` is the most architectures that will be scored, for the
    progress bar.

    Example: `CandidateScorer(probe, batch_size=250, batches=0, total=100)(architectures)`
    """

    def __init__(self, probe: Probe, batch_size: int, batches: int, total: int) -> None:
        self.probe = probe
        self.images = scoring_batches(probe, batch_size, batches)
        self.total = total
        self.done = 0

    def __call__(self, architectures: Sequence[Architecture]) -> list[Ranked]:
        """Returns the architectures, best first; ties keep their order."""
        mixtures = (Mixture.of(architecture) for architecture in architectures)
        scores = self.probe.scores(mixtures, self.images)
        announced = self.probe.announced(scores, "scoring candidates", self.total, self.done)
        ranked = [
            Ranked(architecture, accuracy)
            for accuracy, architecture in zip(announced, architectures, strict=True)
        ]
        self.done += len(ranked)
        return best_first(ranked)


class RacingScorer:
    """Ranks architectures on a first portion of the images; `finish` adds images for the leaders.

    Portions are whole batches: the first has `images` or more, and every further one as many as all
    portions before it. `error` bounds the probability that the best is put out
    (`nastk.train.race`).

    Example: `scorer = RacingScorer(probe, 250, 0, 1000, 0.05); scorer(architectures)`, then
    `scorer.finish()`
    """

    def __init__(
        self, probe: Probe, batch_size: int, batches: int, images: int, error: float
    ) -> None:
        self.probe = probe
        self.error = error
        self.batches = scoring_batches(probe, batch_size, batches)
        self.sizes = doubling(len(self.batches), max(-(-images // batch_size), 1))
        self.known: list[Architecture] = []
        self.first: list[Bool[Tensor, "images"]] = []

    def __call__(self, architectures: Sequence[Architecture]) -> list[Ranked]:
        """Returns the architectures by the first portion, best first; ties keep their order."""
        hits = self._hits(architectures, 0, "scoring candidates")
        self.known += architectures
        self.first += hits.unbind()
        return best_first(
            [
                Ranked(architecture, float(row.double().mean()))
                for architecture, row in zip(architectures, hits, strict=True)
            ]
        )

    def finish(self) -> list[Ranked]:
        """Measures the leaders on more images until one wins; returns all candidates, best first.

        An architecture that was put out later stands before one that was put out earlier.
        """

        def hits(numbers: Sequence[int], portion: int) -> Bool[Tensor, "contestants images"]:
            if portion == 0:
                return torch.stack([self.first[number] for number in numbers])
            contestants = [self.known[number] for number in numbers]
            return self._hits(contestants, portion, "racing candidates")

        standings = race(len(self.known), len(self.sizes), hits, self.error)
        return [
            Ranked(self.known[standing.number], standing.accuracy, standing.images)
            for standing in standings
        ]

    def _hits(
        self, architectures: Sequence[Architecture], portion: int, message: str
    ) -> Bool[Tensor, "contestants images"]:
        """Returns which images of a portion each architecture classifies correctly."""
        mixtures = [Mixture.of(architecture) for architecture in architectures]
        begin = sum(self.sizes[:portion])
        batches = self.batches[begin : begin + self.sizes[portion]]
        announced = self.probe.announced(batches, message)
        rows = [self.probe.hits(mixtures, batch) for batch in announced]
        return torch.cat(rows, 1)


def best_first(ranked: Sequence[Ranked]) -> list[Ranked]:
    """Returns the candidates by accuracy, best first; ties keep their order."""
    return sorted(ranked, key=lambda candidate: candidate.accuracy, reverse=True)


def sample_distinct(sampler: Sampler, rng: torch.Generator, wanted: int) -> list[Architecture]:
    """Returns up to `wanted` architectures with different ids, in the order of the draws.

    It returns fewer if 100 draws in a row bring no new one.
    """
    return unseen(lambda: sampler.draw(rng), wanted, (), sampler)


def unseen(
    make: Callable[[], Architecture], wanted: int, seen: Collection[str], sampler: Sampler
) -> list[Architecture]:
    """Returns up to `wanted` architectures from `make` that `sampler` admits and are not `seen`.

    `seen` holds ids. It returns fewer if 100 architectures in a row bring no new one.
    """
    new: dict[str, Architecture] = {}
    idle = 0
    while len(new) < wanted and idle < PATIENCE:
        architecture = make()
        known = architecture.id in new or architecture.id in seen
        if known or not sampler.admits(architecture):
            idle += 1
            continue
        idle = 0
        new[architecture.id] = architecture
    return list(new.values())


def scoring_batches(probe: Probe, batch_size: int, batches: int) -> list[Batch]:
    """Returns the validation images for scoring: a shuffled pass, or its first `batches`.

    It is shuffled because images are often stored class by class, and norms see one batch at a
    time.
    """
    stream = probe.valid.view("candidates", batch_size=batch_size, augment=False)
    return list(islice(stream.epoch(0), batches or None))
