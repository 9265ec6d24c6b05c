"""A sample of distinct architectures, ranked by how well the supernet's weights serve each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from nastk.architecture import Architecture
from nastk.data.stream import Batch
from nastk.mixture import Mixture
from nastk.probe import Probe
from nastk.space import SearchSpace
from nastk.subspace import Subspace

PATIENCE = 100


@dataclass(frozen=True)
class Ranked:
    """An architecture and the accuracy (0..1) of its path on validation images."""

    architecture: Architecture
    accuracy: float


def sample_distinct(
    space: SearchSpace, subspace: Subspace, rng: torch.Generator, wanted: int
) -> list[Architecture]:
    """Up to `wanted` architectures of `subspace` with different ids, in the order they were drawn.

    Fewer where the subspace seems to hold no more: after 100 draws in a row that bring nothing new.
    """
    found: dict[str, Architecture] = {}
    idle = 0
    while len(found) < wanted and idle < PATIENCE:
        architecture = space.sample(subspace, rng)
        idle = idle + 1 if architecture.id in found else 0
        found.setdefault(architecture.id, architecture)
    return list(found.values())


def rank(
    architectures: Sequence[Architecture], probe: Probe, batch_size: int, batches: int
) -> list[Ranked]:
    """The architectures by supernet accuracy on validation images, best first; ties stay in order.

    All are scored on the same images without augmentation: the whole split, or `batches` of it.
    """
    images = scoring_batches(probe, batch_size, batches)
    scores = probe.scores((Mixture.of(architecture) for architecture in architectures), images)
    ranked = []
    for done, (architecture, accuracy) in enumerate(
        zip(architectures, scores, strict=True), start=1
    ):
        ranked.append(Ranked(architecture, accuracy))
        probe.working("scoring candidates", done, len(architectures))
    return sorted(ranked, key=lambda each: each.accuracy, reverse=True)


def scoring_batches(probe: Probe, batch_size: int, batches: int) -> list[Batch]:
    """The validation images that judge: a whole shuffled pass, or the first `batches` of it.

    Shuffled, because images are often stored class by class, and norms see one batch at a time.
    """
    stream = probe.valid.view("candidates", batch_size=batch_size, augment=False)
    return list(islice(stream.epoch(0), batches or None))
