"""Weight steps and updaters minimise one objective; what is reported of them is cross-entropy."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from core_kit import Still, events, small, started

from nastk import Batch, Mixture
from nastk.base.events import EpochDone
from nastk.testing import ToyData, fingerprint

OPTIONS = {"label_smoothing": 0.2, "class_weights": [1.0, 2.0, 5.0]}


def data(**options):
    return ToyData(ToyData.parse_options(options))


class Recording(Still):
    """Keeps the batch of every step, and what the probe says of it before and after."""

    def setup(self, rng):
        self.seen = []

    def before_step(self, probe, batch):
        mixture = self.mixtures(probe)[0]
        weights = {name: weight.clone() for name, weight in probe.weights.items()}
        self.seen.append((weights, probe.lookahead(mixture, batch), batch))


def trained(**options):
    harness = small(Recording, data=data(**options), trainer_options={"gradient_clip": None})
    (branch,) = harness.run()
    return harness, branch


def objective_of(logits, labels, weights):
    losses = F.cross_entropy(logits, labels, label_smoothing=0.2, reduction="none")
    return (losses * weights[labels]).mean()


WEIGHTS = torch.tensor([1.0, 2.0, 5.0]) * 3 / 8  # the toy's classes are equal: mean 1


def test_a_weight_step_is_one_of_sgd_on_the_objective():
    harness, branch = trained(**OPTIONS)
    assert branch.objective.class_weights == pytest.approx(WEIGHTS.tolist())
    (first, _, batch), (second, _, _) = branch.updater.seen[:2]
    supernet = harness.trainer.root().supernet
    assert set(first) == {name for name, _ in supernet.named_parameters()}
    supernet.load_state_dict(first, strict=False)
    mixture = Mixture.uniform(branch.subspace)
    loss = objective_of(supernet(batch.images, mixture), batch.labels, WEIGHTS)
    names, held = zip(*supernet.named_parameters(), strict=True)
    rate, decay = branch.schedule.rate(0), harness.trainer.options.weight_decay
    for name, weight, slope in zip(names, held, torch.autograd.grad(loss, held), strict=True):
        stepped = weight - rate * (slope + decay * weight)
        torch.testing.assert_close(second[name], stepped.detach(), rtol=1e-5, atol=1e-7)


def test_a_step_not_taken_is_the_step_that_is_taken():
    """The look-ahead of an updater is on the loss of the weight step, momentum included."""
    _, branch = trained(**OPTIONS)
    steps = branch.updater.seen
    for (_, ahead, _), (after, _, _) in pairwise(steps):
        torch.testing.assert_close(ahead, after, rtol=1e-5, atol=1e-7)


def test_a_probes_loss_and_gradients_are_on_the_objective_and_its_scores_are_not():
    _, branch, probe = started(data=data(**OPTIONS))
    mixture, batch = Mixture.uniform(branch.subspace), probe.valid.at(0)
    logits = probe.logits(mixture, batch.images)
    expected = objective_of(logits, batch.labels, WEIGHTS)
    torch.testing.assert_close(probe.loss(mixture, batch), expected, rtol=1e-6, atol=1e-7)
    named = dict(branch.supernet.named_parameters())
    slopes = torch.autograd.grad(expected, list(named.values()), allow_unused=True)
    found = probe.gradients(mixture, batch)
    for name, slope in zip(named, slopes, strict=True):
        torch.testing.assert_close(found[name], slope, rtol=1e-5, atol=1e-7)
    plain = F.cross_entropy(logits, batch.labels).detach()
    (score,) = probe.scores([mixture], [batch], of="loss")
    assert score == pytest.approx(float(plain), rel=1e-6)
    assert abs(float(plain) - float(expected.detach())) > 1e-3
    (accuracy,) = probe.scores([mixture], [batch])
    right = logits.argmax(1) == batch.labels
    assert accuracy == pytest.approx(float(right.float().mean()))
    assert torch.equal(probe.correct(mixture, [batch]), right)
    assert probe.accuracies([mixture], [batch]) == [pytest.approx(accuracy)]


def test_an_epochs_loss_is_cross_entropy_whatever_is_minimised():
    """With equal weights from the start, the first step's report does not depend on the options."""
    reports = []
    for options in ({}, OPTIONS):
        harness, branch = trained(**options)
        (done,) = events(harness, EpochDone)
        weights, _, batch = branch.updater.seen[0]
        probe = harness.trainer.probe(branch)
        logits = probe.logits(Mixture.uniform(branch.subspace), batch.images, weights)
        reports.append(float(F.cross_entropy(logits, batch.labels).detach()))
        total = 0.0
        for weights, _, batch in branch.updater.seen:
            logits = probe.logits(Mixture.uniform(branch.subspace), batch.images, weights)
            total += float(F.cross_entropy(logits, batch.labels).detach()) * len(batch.labels)
        assert done.loss == pytest.approx(total / len(harness.splits.train), rel=1e-5)
    assert reports[0] == reports[1]


@pytest.mark.parametrize("options", [{"class_weights": [3, 3, 3]}, {"class_weights": "balanced"}])
def test_equal_weights_give_the_bits_of_none(options):
    _, plain = trained()
    _, same = trained(**options)
    assert fingerprint(same.state_dict()) == fingerprint(plain.state_dict())


def test_double_precision_stays_double():
    _, branch, probe = started(data=data(**OPTIONS))
    batch = probe.train.at(0)
    wide = {name: weight.double() for name, weight in probe.weights.items()}
    loss = probe.loss(Mixture.uniform(branch.subspace), Batch(*batch), wide)
    assert loss.dtype == torch.float64
