"""How many mixtures a probe measures in one call, by which statistics; and inner clocks."""

import pytest
import torch
import torch.nn.functional as F
from core_kit import started
from torch import nn

import nastk
from nastk import Mixture
from nastk.nn.norms import BatchNorm
from nastk.testing import ToyData, ToySpace
from nastk.train.probe import MOST_AT_ONCE, Probe


class Together(nastk.Supernet):
    """Measures all mixtures that it is given in one call, and remembers how many those were."""

    def __init__(self):
        super().__init__()
        self.scale, self.norm = nn.Parameter(torch.ones(())), BatchNorm(3)
        self.prepared, self.calls = 0, []

    def features(self, images, mixture):
        share = mixture.weights[0, 1]
        return self.scale * (share * images + (1 - share) * images.square())

    def forward(self, images, mixture):
        return self.norm(self.features(images, mixture)).mean((2, 3))

    def measuring(self, images):
        measure, self.prepared = super().measuring(images), self.prepared + 1
        return lambda mixtures: (self.calls.append(len(mixtures)), measure(mixtures))[1]

    def together(self, images, mixtures):
        return len(mixtures)

    def operations(self):
        return iter(())


class TogetherSpace(ToySpace):
    """The toy's edges over `Together`."""

    def supernet(self, task):
        return Together()


def measured(count):
    harness, branch, probe = started(space=TogetherSpace())
    uniform = Mixture.uniform(probe.subspace)
    shares = torch.linspace(0, 1, count)
    mixtures = [Mixture(uniform.weights * 4 * share, uniform.active) for share in shares]
    return harness, branch, probe, mixtures


def losses(network, mixtures, batches, first=None):
    """Closed form: norms by the statistics of each batch under the mixture itself, or `first`."""
    found = []
    for mixture in mixtures:
        total = 0.0
        for batch in batches:
            features = network.features(batch.images, mixture)
            seen = network.features(batch.images, first or mixture)
            mean = seen.mean((0, 2, 3), keepdim=True)
            deviation = (seen.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
            logits = ((features - mean) / deviation).mean((2, 3))
            total += float(F.cross_entropy(logits, batch.labels, reduction="sum").detach())
        found.append(total / sum(len(batch.labels) for batch in batches))
    return found


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("norms", ["batch", "frozen"])
def test_frozen_norms_keep_each_batchs_statistics_of_the_first_mixture(norms, batches):
    _, branch, probe, mixtures = measured(5)
    stream = [probe.valid.at(number) for number in range(batches)]
    found = list(probe.scores(mixtures, stream, of="loss", norms=norms))
    first = mixtures[0] if norms == "frozen" else None
    assert found == pytest.approx(losses(branch.supernet, mixtures, stream, first), rel=1e-4)


@pytest.mark.parametrize(
    ("count", "norms", "calls"),
    [
        (5, "batch", [5]),
        (5, "frozen", [1, 4]),
        (1, "batch", [1]),
        (MOST_AT_ONCE, "batch", [MOST_AT_ONCE]),
        (2 * MOST_AT_ONCE + 3, "batch", [MOST_AT_ONCE, MOST_AT_ONCE, 3]),
    ],
)
def test_a_supernet_is_given_as_many_as_it_takes_at_once(count, norms, calls):
    harness, branch, probe, mixtures = measured(count)
    with harness.trainer.ledger.phase("updater"):
        assert len(list(probe.scores(mixtures, [probe.valid.at(0)], norms=norms))) == count
    assert (branch.supernet.prepared, branch.supernet.calls) == (1, calls)
    cost = harness.trainer.ledger.cost().phases["updater"]
    stacked = 16 * sum(number for number in calls if number > 1)
    together = sum(n for name, n in cost.strategies.items() if "stacked" in name.split(", "))
    assert (cost.images_forward, together) == (16 * count, stacked)


def test_over_no_images_every_score_is_zero():
    _, _, probe, mixtures = measured(3)
    assert list(probe.scores(mixtures, [])) == [0.0] * 3
    assert probe.accuracies(mixtures, []) == [0.0] * 3


@pytest.mark.parametrize(("norms", "asked"), [("batch", 1), ("frozen", 0)])
def test_frozen_norms_are_not_measured_by_what_captures_passes(norms, asked):
    harness, branch, plain, mixtures = measured(3)
    seen = []

    def capturing(images):
        seen.append(images)
        return branch.measuring(images)

    probe = Probe(branch, plain.train, plain.valid, 1, harness.trainer.context, capturing)
    list(probe.scores(mixtures, [probe.valid.at(0)], norms=norms))
    assert len(seen) == asked


def test_an_inner_clock_counts_from_its_own_first_epoch():
    _, _, probe = started(steps=7, trainer_options={"epochs": 4})  # three steps an epoch
    assert (probe.epoch, probe.step, probe.epochs) == (2, 7, 4)
    inner = probe.with_clock(begin=1, epochs=3, ahead=2)
    assert (inner.epoch, inner.step, inner.epochs, inner.progress) == (1, 6, 3, 6 / 9)
    assert probe.with_clock(begin=1, epochs=3).step == 4
    within = inner.with_clock(begin=1, epochs=2, ahead=3)
    assert (within.epoch, within.step, within.epochs) == (0, 6, 2)
    assert (probe.epoch, probe.step, probe.epochs) == (2, 7, 4)


@pytest.mark.parametrize(("fraction", "has_valid"), [(0.5, True), (1.0, False)])
def test_it_says_whether_there_is_a_valid_split(fraction, has_valid):
    _, _, probe = started(data=ToyData(ToyData.parse_options({"train_fraction": fraction})))
    assert probe.has_valid is has_valid
