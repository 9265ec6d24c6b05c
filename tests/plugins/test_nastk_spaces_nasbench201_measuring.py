"""Several mixtures in one pass of the NAS-Bench-201 supernet: the same numbers, where it pays."""

import pytest
import torch

from nastk import Mixture, Probe, Task
from nastk.nn.norms import Frozen
from nastk.testing import Harness
from nastk_sampling.random_path import RandomPath
from nastk_spaces_nasbench201.space import NasBench201Space
from nastk_spaces_nasbench201.stacking import (
    POSITIONS,
    SIDES,
    alike,
    evenly,
    shares,
    side_by_side,
    stacked,
)

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
    players = space.full().alive_operations()[1::5]
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


@pytest.fixture(params=[1, 3, 9])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("batch", "most"), [(4, 96), (16, 24), (64, 6), (192, 2), (193, 1), (1000, 1)]
)
def test_only_passes_of_few_positions_are_shared(threads, batch, most):
    space, net = make()
    images = torch.empty(batch, 3, 16, 16)
    assert most == max(POSITIONS // (batch * 256), 1)
    number = 1 if most == 1 else most * min(threads, SIDES)
    assert net.together(images, softmaxes(space, 1) * number) == number
    assert net.together(images, softmaxes(space, 1) * (number + 1)) == (number // 2 + 1)


@pytest.mark.parametrize("length, most, expected", [(1, 8, 1), (8, 8, 8), (9, 8, 5), (50, 12, 10)])
def test_portions_are_of_nearly_one_length(length, most, expected):
    assert evenly(length, most) == expected


@pytest.mark.parametrize("number, lengths", [(1, [5]), (2, [3, 2]), (4, [2, 2, 1]), (9, [1] * 5)])
def test_mixtures_are_shared_out_in_their_order(number, lengths):
    given = softmaxes(make()[0])
    parts = shares(given, number)
    assert [len(part) for part in parts] == lengths
    assert [each for part in parts for each in part] == given


@pytest.mark.parametrize("reduced", [False, True])
def test_threads_side_by_side_know_what_their_maker_knew(threads, reduced):
    given, known = softmaxes(make()[0]), []

    def work(part):
        known.append((torch.get_num_threads(), torch.is_autocast_enabled("cpu")))
        assert not torch.is_grad_enabled()
        return [each.weights for each in part]

    with torch.autocast("cpu", enabled=reduced):
        found = side_by_side(work, shares(given, 2))
    assert all(one is each.weights for one, each in zip(found, given, strict=True))
    assert known == [(1, reduced)] * 2
    assert torch.get_num_threads() == threads


def test_what_goes_wrong_on_one_thread_is_told(threads):
    def work(part):
        raise ValueError("no logits")

    with pytest.raises(ValueError, match="no logits"):
        side_by_side(work, [softmaxes(make()[0])])
    assert torch.get_num_threads() == threads


def test_one_thread_or_several_measure_the_same(threads):
    space, net = make()
    images, given = some_images(), softmaxes(space)
    with torch.no_grad():
        apart = [net(images, each) for each in given]
        together = net.measuring(images)(given)
    for ours, theirs in zip(together, apart, strict=True):
        torch.testing.assert_close(ours, theirs, **EXACT)


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
