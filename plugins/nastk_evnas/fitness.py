"""The fitness of a population: accuracy on the valid split, one pass over the images for all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Bool
from torch import Tensor

from nastk import Batch, Mixture, Probe
from nastk.train import Standing, doubling, race


@dataclass(frozen=True)
class FitnessScorer:
    """On which images fitness is measured: a fresh shuffled pass each generation, the same for all.

    `batches` ends the pass early; 0 takes the whole split. With `augment` the images are treated as
    for training.

    Example: `FitnessScorer(1024).accuracies(probe, mixtures)`
    """

    batch_size: int
    batches: int = 0
    augment: bool = False

    def accuracies(self, probe: Probe, mixtures: Sequence[Mixture]) -> list[float]:
        """The accuracy (0..1) of each mixture; a batch is made once and shown to all of them."""
        batches, total = self._pass(probe)
        return probe.accuracies(mixtures, batches, "measuring fitness", total)

    def raced(
        self, probe: Probe, mixtures: Sequence[Mixture], images: int, error: float
    ) -> list[Standing]:
        """The mixtures, best first, the leaders on more than the first `images` (`race`).

        The images are those of `accuracies`, in whole batches, one in memory at a time.
        """
        batches, total = self._pass(probe)
        sizes = doubling(total, max(-(-images // self.batch_size), 1))

        def hits(numbers: Sequence[int], portion: int) -> Bool[Tensor, "contestants images"]:
            some = [mixtures[number] for number in numbers]
            wanted, done = sizes[portion], sum(sizes[:portion])
            portions = islice(batches, wanted)  # one after the other: the race asks in order
            told = probe.announced(portions, "racing genomes", total, done)
            return torch.cat([probe.hits(some, batch) for batch in told], 1)

        return race(len(mixtures), len(sizes), hits, error)

    def _pass(self, probe: Probe) -> tuple[Iterator[Batch], int]:
        """The batches of this generation, and how many they are."""
        stream = probe.valid.view("fitness", self.batch_size, self.augment)
        total = min(self.batches or len(stream), len(stream))
        return islice(stream.epoch(probe.epoch), total), total

    def images(self, valid: int) -> int:
        """How many images of a valid split of so many a pass shows to each mixture."""
        size = min(self.batch_size, valid)
        # A last batch of a single image is dropped by every stream: norms need two.
        whole = valid - (valid > size and valid % size == 1)
        return min(self.batches * size or whole, whole)
