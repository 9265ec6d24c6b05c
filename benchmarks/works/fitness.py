"""A generation of EvNAS: the loss of each of its individuals on the same batch.

The mixtures are those that the updater `evnas` trains its first generation with (softmax of the
decoded architecture, so that every operation stays alive): individuals that all differ, the dearest
case. The images are in memory on both sides. The reference is timed on every `bench_stride`-th
individual, one pass each, and multiplied.
"""

from dataclasses import dataclass

from torch import nn

from benchmarks import parity
from benchmarks.ours import Ours
from benchmarks.pairing import Pair
from benchmarks.reference.measuring import losses
from benchmarks.works.setting import Measured, Setting, compared
from nastk import Mixture


@dataclass
class Generation:
    """Both sides' fitness of one population.

    Example: `Generation(pair, ours, reference, mixtures, stride=3).ours_pass(0)`
    """

    pair: Pair
    ours: Ours
    reference: nn.Module
    mixtures: list[Mixture]
    stride: int

    def timed(self, run: int) -> list[Mixture]:
        """The individuals on which the reference is timed: others in each run."""
        return self.mixtures[run % self.stride :: self.stride]

    def share(self, run: int) -> float:
        """Which part of the population that is."""
        return len(self.timed(run)) / len(self.mixtures)

    def ours_pass(self, run: int) -> list[float]:
        """Our losses of the whole population."""
        return self.ours.losses(self.mixtures, self.pair.batch(run))

    def reference_pass(self, run: int) -> list[float]:
        """The reference's losses of the timed individuals."""
        weights = [mixture.weights for mixture in self.timed(run)]
        return losses(self.reference, weights, self.pair.images(run))

    def deviation(self) -> float:
        """The largest relative difference of losses on the first batch."""
        found = self.ours_pass(0)[0 :: self.stride]
        expected = self.reference_pass(0)
        return max(
            abs(one - other) / abs(other) for one, other in zip(found, expected, strict=True)
        )


def generation(setting: Setting) -> Measured:
    """The fitness of a generation on NAS-Bench-201."""
    sizes = setting.sizes
    pair = setting.pair("nasbench201", sizes.bench_order)
    mixtures = population(pair, sizes.population)
    report = parity.measuring(pair, sizes.parity, mixtures[:4])
    ours, reference = pair.both()
    both = Generation(pair, ours, reference, mixtures, sizes.bench_stride)
    report.check("losses of the timed individuals, float32", both.deviation(), parity.SINGLE)
    measured, _ = compared(
        setting, both.reference_pass, both.ours_pass, share=both.share, warm=False
    )
    extra = {
        "individuals": len(mixtures),
        "batch": pair.batch_size,
        "reference_share": both.share(0),
        "parity": report.errors,
    }
    return Measured(measured.ratio, {**measured.extra, **extra})


def population(pair: Pair, size: int) -> list[Mixture]:
    """The mixtures of an updater's first generation, asked for as the trainer asks for them."""
    ours = pair.ours(updater="evnas", updater_options={"population": size})
    found = []
    for step in range(size):
        ours.branch.step = step
        found += ours.updater.mixtures(ours.probe)
    return found
