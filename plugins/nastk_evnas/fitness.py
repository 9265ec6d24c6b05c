"""The fitness of a population: its accuracies on the valid split, in one pass over the images."""

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
    """Measures fitness on a shuffled pass over the valid split, the same for a whole generation.

    Every generation has its own pass. `batches` is the number of batches in it; 0 takes the whole
    split. With `augment` the images are augmented as in training.

    Example: `FitnessScorer(1024).accuracies(probe, mixtures)`
    """

    batch_size: int
    batches: int = 0
    augment: bool = False

    def accuracies(self, probe: Probe, mixtures: Sequence[Mixture]) -> list[float]:
        """Returns the accuracy (0..1) of each mixture; all of them share the same batches."""
        batches, total = self._pass(probe)
        return probe.accuracies(mixtures, batches, "measuring fitness", total)

    def raced(
        self, probe: Probe, mixtures: Sequence[Mixture], images: int, error: float
    ) -> list[Standing]:
        """Returns the standings of the mixtures in a race, best first (see `nastk.train.race`).

        All are measured on the first `images`, in whole batches, and the leaders on more, until the
        probability that the best has been put out would exceed `error`. The images are those of
        `accuracies`; one batch is in memory at a time.
        """
        batches, total = self._pass(probe)
        sizes = doubling(total, max(-(-images // self.batch_size), 1))

        def hits(numbers: Sequence[int], portion: int) -> Bool[Tensor, "contestants images"]:
            contestants = [mixtures[number] for number in numbers]
            count, done = sizes[portion], sum(sizes[:portion])
            # The race takes the portions in order, so the shared iterator stands at this portion.
            announced = probe.announced(islice(batches, count), "racing genomes", total, done)
            return torch.cat([probe.hits(contestants, batch) for batch in announced], 1)

        return race(len(mixtures), len(sizes), hits, error)

    def _pass(self, probe: Probe) -> tuple[Iterator[Batch], int]:
        """Returns the batches of this generation, and their number."""
        stream = probe.valid.view("fitness", self.batch_size, self.augment)
        total = min(self.batches or len(stream), len(stream))
        return islice(stream.epoch(probe.epoch), total), total

    def images(self, valid: int) -> int:
        """Returns the number of images in a pass over a valid split of `valid` images."""
        size = min(self.batch_size, valid)
        # Streams drop a last batch of a single image, because norms need two.
        whole = valid - (valid > size and valid % size == 1)
        return min(self.batches * size or whole, whole)
