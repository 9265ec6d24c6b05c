"""Distinct architectures, ranked by how well the supernet's weights serve each of them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from nastk import Architecture, Batch, Mixture, Probe
from nastk_sampling.paths import Sampler

PATIENCE = 100


@dataclass(frozen=True)
class Ranked:
    """An architecture and the accuracy (0..1) of its path on validation images."""

    architecture: Architecture
    accuracy: float


class CandidateScorer:
    """Ranks architectures by supernet accuracy on validation images, the same ones for all.

    The images are not augmented. `total` is how many will be judged at most, for the progress bar.

    Example: `CandidateScorer(probe, batch_size=250, batches=0, total=100)(architectures)`
    """

    def __init__(self, probe: Probe, batch_size: int, batches: int, total: int) -> None:
        self.probe = probe
        self.images = scoring_batches(probe, batch_size, batches)
        self.total = total
        self.done = 0

    def __call__(self, architectures: Sequence[Architecture]) -> list[Ranked]:
        """The architectures, best first; ties keep their order."""
        mixtures = (Mixture.of(architecture) for architecture in architectures)
        scores = self.probe.scores(mixtures, self.images)
        announced = self.probe.announced(scores, "scoring candidates", self.total, self.done)
        ranked = [
            Ranked(architecture, accuracy)
            for accuracy, architecture in zip(announced, architectures, strict=True)
        ]
        self.done += len(ranked)
        return best_first(ranked)


def best_first(ranked: Sequence[Ranked]) -> list[Ranked]:
    """By accuracy, the best first; ties keep their order."""
    return sorted(ranked, key=lambda each: each.accuracy, reverse=True)


def sample_distinct(sampler: Sampler, rng: torch.Generator, wanted: int) -> list[Architecture]:
    """Up to `wanted` architectures with different ids, in the order they were drawn.

    Fewer where the subspace seems to hold no more: after 100 draws in a row that bring nothing new.
    """
    return unseen(lambda: sampler.draw(rng), wanted, (), sampler)


def unseen(
    make: Callable[[], Architecture], wanted: int, seen: Collection[str], sampler: Sampler
) -> list[Architecture]:
    """Up to `wanted` architectures from `make` that `sampler` admits, with ids not in `seen`.

    Fewer where 100 in a row bring nothing new.
    """
    found: dict[str, Architecture] = {}
    idle = 0
    while len(found) < wanted and idle < PATIENCE:
        architecture = make()
        known = architecture.id in found or architecture.id in seen
        if known or not sampler.admits(architecture):
            idle += 1
            continue
        idle = 0
        found[architecture.id] = architecture
    return list(found.values())


def scoring_batches(probe: Probe, batch_size: int, batches: int) -> list[Batch]:
    """The validation images that judge: a whole shuffled pass, or the first `batches` of it.

    Shuffled, because images are often stored class by class, and norms see one batch at a time.
    """
    stream = probe.valid.view("candidates", batch_size=batch_size, augment=False)
    return list(islice(stream.epoch(0), batches or None))
