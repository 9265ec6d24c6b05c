"""A removal order of Shapley-NAS: the loss after each removal, until no operation is left.

Ours measures the whole order, asked for one coalition after the other. What the textbook takes does
not depend on how much is removed, so it is timed on every `stride`-th coalition and multiplied.
The losses of both are compared at those coalitions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from benchmarks import parity
from benchmarks.ours import Ours
from benchmarks.pairing import Pair
from benchmarks.reference.measuring import freeze, losses
from benchmarks.works.setting import Measured, Setting, compared
from nastk import Mixture


@dataclass
class Walks:
    """Both sides' walks along the orders of one game, and how far their losses are apart.

    Example: `Walks(pair, ours, reference, stride=28, frozen=False).ours_walk(0)`
    """

    pair: Pair
    ours: Ours
    reference: nn.Module
    stride: int
    frozen: bool
    found: dict[int, list[float]] = field(default_factory=dict)
    expected: dict[int, list[float]] = field(default_factory=dict)

    def coalitions(self, run: int) -> list[Mixture]:
        """All players, then one fewer at a time: a list, as `shapley` asks without truncation."""
        order, mixture = self.pair.order(run), self.pair.mixture(run)
        return [mixture.without_all(order[:count]) for count in range(len(order) + 1)]

    def places(self, run: int) -> range:
        """The coalitions at which the reference is timed: others in each run."""
        return range(run % self.stride, len(self.pair.order(run)) + 1, self.stride)

    def ours_walk(self, run: int) -> None:
        """Our losses of the whole order."""
        self.found[run] = self.ours.losses(self.coalitions(run), self.pair.batch(run), self.frozen)

    def reference_walk(self, run: int) -> None:
        """The reference's losses at the timed coalitions (frozen: and one pass that freezes)."""
        mixings = [mixture.weights for mixture in self.coalitions(run)]
        images = self.pair.images(run)
        if self.frozen:
            freeze(self.reference, mixings[0], images)
        timed = [mixings[place] for place in self.places(run)]
        self.expected[run] = losses(self.reference, timed, images)

    def share(self, run: int) -> float:
        """Which part of the order's forward passes the reference takes."""
        return (len(self.places(run)) + self.frozen) / (len(self.pair.order(run)) + 1)

    def deviation(self) -> float:
        """The largest relative difference of losses over all runs of both."""
        return max(
            abs(self.found[run][place] - loss) / abs(loss)
            for run in self.expected
            for place, loss in zip(self.places(run), self.expected[run], strict=True)
        )


def removal_order(
    space: str,
    options: Mapping[str, Any],
    setting: Setting,
    frozen: bool = False,
    bf16: bool = False,
) -> Measured:
    """A whole removal order in `space`, with frozen statistics or under bf16 where asked for."""
    sizes, bench = setting.sizes, space == "nasbench201"
    pair = setting.pair(space, sizes.bench_order if bench else sizes.order, options)
    report = parity.measuring(pair, sizes.parity, _some(pair), frozen)
    ours, reference = pair.both(bf16)
    stride = sizes.bench_stride if bench else sizes.stride
    walks = Walks(pair, ours, reference, stride, frozen)
    measured, _ = compared(
        setting, walks.reference_walk, walks.ours_walk, share=walks.share, warm=False
    )
    if bf16:
        report.note("losses of the timed orders, bf16", walks.deviation())
    else:
        report.check("losses of the timed orders, float32", walks.deviation(), parity.SINGLE)
    extra = {
        "players": len(pair.order(0)),
        "batch": pair.batch_size,
        "reference_share": walks.share(0),
        "parity": report.errors,
    }
    return Measured(measured.ratio, {**measured.extra, **extra})


def _some(pair: Pair) -> list[Mixture]:
    """Coalitions from the beginning, the middle and the end of an order, each within the last."""
    order, mixture = pair.order(0), pair.mixture(0)
    last = len(order)
    counts = sorted({0, 1, 2, last // 2, last // 2 + 1, last - 2, last - 1, last})
    return [mixture.without_all(order[:count]) for count in counts]
