"""The gradient of a weight step, in one pass or in several: micro-batches change norms alone."""

import pytest
import torch
import torch.nn.functional as F
from core_kit import Still, events, small, started
from torch import nn

from nastk import Batch, ConfigurationError, Mixture, Trainer
from nastk.base.cost import Ledger
from nastk.base.events import EpochDone
from nastk.testing import ToyData, ToySpace, fingerprint
from nastk.train.passes import mean_gradient, pieces


class NormFree(ToySpace):
    """The toy without norms: every image is on its own."""

    def supernet(self, task):
        network = super().supernet(task)
        for module in network.modules():
            if isinstance(module, nn.Sequential):
                module[2] = nn.Identity()
        return network


class Learning(Still):
    """Two mixtures through one alpha, whose gradient it keeps."""

    def setup(self, rng):
        self.alpha = torch.randn(5, 4, generator=rng, requires_grad=True)

    def mixtures(self, probe):
        shared = self.alpha.exp()
        return [Mixture.softmax(scale * shared, probe.subspace) for scale in (1.0, 2.0)]

    def after_step(self, probe):
        self.seen = self.alpha.grad.clone()


def batch_of(count):
    return Batch(torch.zeros(count, 3, 8, 8), torch.arange(count))


@pytest.mark.parametrize(
    ("count", "micro_batch", "sizes"),
    [
        (64, None, [64]),
        (64, 64, [64]),
        (64, 100, [64]),
        (64, 32, [32, 32]),
        (64, 30, [22, 21, 21]),
        (17, 16, [9, 8]),
        (5, 2, [3, 2]),
        (3, 2, [3]),
        (2, 2, [2]),
        (7, 3, [3, 2, 2]),
    ],
)
def test_pieces_are_even_and_none_has_a_single_image(count, micro_batch, sizes):
    found = pieces(batch_of(count), micro_batch)
    assert [len(piece.labels) for piece in found] == sizes
    assert torch.cat([piece.labels for piece in found]).tolist() == list(range(count))
    assert [len(piece.images) for piece in found] == sizes


def test_no_piece_is_single_or_larger_than_asked_but_for_an_odd_batch_in_twos():
    for count in range(2, 60):
        for micro_batch in range(2, 60):
            sizes = [len(piece.labels) for piece in pieces(batch_of(count), micro_batch)]
            assert sum(sizes) == count and min(sizes) >= 2
            assert max(sizes) - min(sizes) <= 1
            assert max(sizes) <= micro_batch or (micro_batch == 2 and max(sizes) == 3)


def gradients(space, micro_batch, run=None, **changes):
    """(loss, hits, gradients by name and of alpha) of two mixtures on 16 images, in float64."""
    harness, branch, probe = started(Learning, space=space, **changes)
    branch.supernet.double()
    alpha = branch.updater.alpha.detach().double().requires_grad_()
    mixtures = [Mixture.softmax(scale * alpha, probe.subspace) for scale in (1.0, 2.0)]
    batch = harness.trainer.train.at(0)
    batch = Batch(batch.images[:13].double(), batch.labels[:13])
    ledger = Ledger()
    more = {} if run is None else {"run": run}
    loss, hits = mean_gradient(branch, mixtures, batch, ledger, micro_batch, **more)
    spent = ledger.cost().total
    assert (spent.images_forward, spent.images_backward) == (26, 26)
    found = {name: weight.grad for name, weight in branch.supernet.named_parameters()}
    return loss, hits, {**found, "alpha": alpha.grad}


@pytest.mark.parametrize("micro_batch", [2, 3, 5, 8, 12])
def test_without_norms_micro_batches_have_the_gradient_of_the_whole_batch(micro_batch):
    loss, hits, whole = gradients(NormFree(), None)
    again, hit_again, cut = gradients(NormFree(), micro_batch)
    torch.testing.assert_close(cut, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(again, loss, rtol=1e-12, atol=1e-12)
    assert float(hit_again) == pytest.approx(float(hits))
    assert float(whole["stem.weight"].norm()) > 1e-3 and float(whole["alpha"].norm()) > 1e-3


@pytest.mark.parametrize("micro_batch", [3, 8])
def test_micro_batches_add_up_with_class_weights_and_smoothing(micro_batch):
    options = {"class_weights": [1, 2, 5], "label_smoothing": 0.2}
    data = ToyData(ToyData.parse_options(options))
    loss, hits, whole = gradients(NormFree(), None, data=data)
    again, hit_again, cut = gradients(NormFree(), micro_batch, data=data)
    torch.testing.assert_close(cut, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(again, loss, rtol=1e-12, atol=1e-12)
    assert float(hit_again) == pytest.approx(float(hits))
    plain_loss, _, plain = gradients(NormFree(), None)
    assert float((plain["alpha"] - whole["alpha"]).norm()) > 1e-4
    torch.testing.assert_close(loss, plain_loss)  # what is reported is cross-entropy


def test_with_norms_the_gradient_is_the_mean_of_the_pieces_by_their_images():
    """Closed form: what norms see is a piece, so each piece is a batch of its own."""
    _, _, cut = gradients(ToySpace(), 8)
    _, _, whole = gradients(ToySpace(), None)
    assert float((cut["stem.weight"] - whole["stem.weight"]).norm()) > 1e-6
    harness, branch, probe = started(Learning)
    branch.supernet.double()
    alpha = branch.updater.alpha.detach().double().requires_grad_()
    batch = harness.trainer.train.at(0)
    loss = 0.0
    for images, labels in ((slice(0, 7), 7), (slice(7, 13), 6)):
        for scale in (1.0, 2.0):
            mixture = Mixture.softmax(scale * alpha, probe.subspace)
            logits = branch.supernet(batch.images[images].double(), mixture)
            loss = loss + labels / 26 * F.cross_entropy(logits, batch.labels[images])
    names, weights = zip(*branch.supernet.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, [*weights, alpha])
    torch.testing.assert_close(cut, dict(zip([*names, "alpha"], found, strict=True)))


@pytest.mark.parametrize("micro_batch", [None, 5])
def test_a_run_in_micro_batches_charges_the_same_and_resumes_to_the_same_bits(micro_batch):
    options = {"epochs": 2, "micro_batch": micro_batch}
    straight = small(Learning, trainer_options=options)
    (branch,) = straight.run()
    done = events(straight, EpochDone)
    assert [(each.images_forward, each.images_backward) for each in done] == [(96, 96), (192, 192)]
    again = small(Learning, trainer_options=options)
    (resumed,) = again.run(again.resumed(again.run(steps=2)))
    assert fingerprint(resumed.state_dict()) == fingerprint(branch.state_dict())


def test_the_first_step_hands_alpha_the_same_gradient():
    seen = []
    for micro_batch in (None, 4):
        harness = small(Learning, space=NormFree(), trainer_options={"micro_batch": micro_batch})
        (branch,) = harness.run(steps=1)
        seen.append(branch.updater.seen)
    torch.testing.assert_close(*seen, rtol=1e-5, atol=1e-7)


def test_graphs_on_a_cpu_are_refused():
    harness = small()
    options = harness.trainer.options.model_copy(update={"cuda_graphs": "on"})
    with pytest.raises(ConfigurationError, match=r"cuda_graphs=on needs a CUDA device.*on cpu"):
        Trainer(
            harness.space,
            harness.data.task,
            harness.trainer.make_updater,
            harness.trainer.train,
            None,
            options,
            harness.trainer.execution,
        )
