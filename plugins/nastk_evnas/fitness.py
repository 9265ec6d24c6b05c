"""The fitness of a population: accuracy on the valid split, one pass over the images for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from nastk import Mixture, Probe


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
        stream = probe.valid.view("fitness", self.batch_size, self.augment)
        total = min(self.batches or len(stream), len(stream))
        batches = islice(stream.epoch(probe.epoch), total)
        return probe.accuracies(mixtures, batches, "measuring fitness", total)

    def images(self, valid: int) -> int:
        """How many images of a valid split of so many a pass shows to each mixture."""
        size = min(self.batch_size, valid)
        # A last batch of a single image is dropped by every stream: norms need two.
        whole = valid - (valid > size and valid % size == 1)
        return min(self.batches * size or whole, whole)
