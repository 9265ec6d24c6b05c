"""Several mixtures in one pass of the NAS-Bench-201 supernet: the same numbers, where it pays."""

import pytest
import torch

from nastk.data.task import Task
from nastk.mixture import Mixture
from nastk.norms import Frozen
from nastk.probe import Probe
from nastk.testing import Harness
from nastk_sampling.random_path import RandomPath
from nastk_spaces_nasbench201.space import NasBench201Space
from nastk_spaces_nasbench201.stacking import POSITIONS, alike, stacked

SMALL = {"channels": 4, "cells": 1}
EXACT = {"rtol": 1e-10, "atol": 1e-12}


def make(**options):
    torch.manual_seed(0)
    space = NasBench201Space(NasBench201Space.Options(**{**SMALL, **options}))
    return space, space.supernet(Task(3, 3, 16)).double()


def some_images(number=4, size=16):
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(1)).double()


def softmaxes(space, number=5):
    rng = torch.Generator().manual_seed(2)
    shape = space.full().mask.shape
    return [
        Mixture.softmax(torch.randn(shape, generator=rng).double(), space.full())
        for _ in range(number)
    ]


def removals(space, number=6):
    whole = softmaxes(space, 1)[0]
    players = space.full().players()[1::5]
    return [whole.without_all(players[:count]) for count in range(number)]


def paths(space, number=4):
    rng = torch.Generator().manual_seed(3)
    return [Mixture.of(space.sample(space.full(), rng)) for _ in range(number)]


@pytest.mark.parametrize("mixtures", [softmaxes, removals])
@pytest.mark.parametrize("size", [16, 4], ids=["maps", "few positions"])
@pytest.mark.parametrize("frozen", [False, True], ids=["batch", "frozen"])
def test_in_one_pass_each_mixture_has_its_own_logits(mixtures, size, frozen):
    space, net = make()
    images, given = some_images(size=size), mixtures(space)
    norms = Frozen(net)

    def whole(mixture):
        if not frozen:
            return net(images, mixture)
        with norms.applied():
            return net(images, mixture)

    with torch.no_grad():
        apart = [whole(each) for each in given]
        if frozen:
            with norms.applied():
                together = net.measuring(images)(given)
        else:
            together = net.measuring(images)(given)
    for ours, theirs in zip(together, apart, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)
    assert not torch.allclose(together[0], together[-1])


def test_mixtures_go_together_where_they_compute_nearly_the_same():
    space, _ = make()
    assert alike(softmaxes(space)) == 5
    assert alike(removals(space)) == 6
    assert alike(paths(space)) == 1
    assert alike([*softmaxes(space, 2), *paths(space)]) == 2


@pytest.mark.parametrize(
    ("batch", "most"), [(4, 64), (16, 16), (64, 4), (128, 2), (129, 1), (1000, 1)]
)
def test_only_passes_of_few_positions_are_shared(batch, most):
    space, net = make()
    images = torch.empty(batch, 3, 16, 16)
    assert most == max(POSITIONS // (batch * 256), 1)
    assert net.together(images, softmaxes(space, 1) * 80) == most


def test_operations_that_are_heard_or_scaled_are_measured_one_mixture_at_a_time():
    space, net = make()
    images, given = some_images(), softmaxes(space)
    assert net.together(images, given) == 5
    next(module for _, _, module in net.operations()).register_forward_hook(lambda *_: None)
    assert net.together(images, given) == 1
    assert make(affine=True)[1].together(images, given) == 1


def test_an_operation_that_one_of_them_leaves_out_has_no_weight_there():
    space, _ = make()
    whole, less = removals(space, 2)
    ((row, column),) = (whole.active != less.active).nonzero().tolist()
    weights = dict(stacked([whole, less])[row])
    assert weights[column].tolist() == [float(whole.weights[row, column]), 0.0]


@pytest.mark.parametrize("norms", ["batch", "frozen"])
def test_a_list_is_measured_in_portions_and_an_iterator_one_by_one(norms):
    space = NasBench201Space(NasBench201Space.Options(**SMALL))
    harness = Harness(RandomPath, {}, space)
    (branch,) = harness.until("epoch")
    probe: Probe = harness.trainer.probe(branch)
    batch, given = probe.valid.at(0), removals(space)
    given = [Mixture(each.weights.float(), each.active) for each in given]
    strategies = []
    for asked in (given, iter(given)):
        before = harness.trainer.ledger.cost().total
        found = list(probe.scores(asked, [batch], of="loss", norms=norms))
        spent = harness.trainer.ledger.cost().total
        strategies.append((found, spent.images_forward - before.images_forward, spent.strategies))
    (one, images, first), (other, more, second) = strategies
    assert one == pytest.approx(other, rel=1e-5)
    assert images == more == len(given) * len(batch.labels)
    words = {"batch": "stacked", "frozen": "stacked, frozen norms"}[norms]
    alone = 1 if norms == "frozen" else 0
    assert first[words] == (len(given) - alone) * len(batch.labels)
    assert second[words] == first[words]
