"""What leaves a state of NAS-Bench-201, computed together: the same as one after the other."""

import pytest
import torch
import torch.nn.functional as F

from nastk import Mixture, Task
from nastk.nn.kernels import terms
from nastk.nn.norms import BatchNorm, Frozen
from nastk_spaces_nasbench201 import fused_forward, supernet
from nastk_spaces_nasbench201.node_state import OutgoingOperation, pooled
from nastk_spaces_nasbench201.reference import plain
from nastk_spaces_nasbench201.space import NasBench201Space

TASK = Task(classes=3, channels=1, size=8)


def make(**options):
    torch.manual_seed(0)
    space = NasBench201Space(NasBench201Space.parse_options({"channels": 4, "cells": 1} | options))
    return space, space.supernet(TASK).double()


def images_of(batch=3):
    rng = torch.Generator().manual_seed(1)
    return torch.randn(batch, 1, 8, 8, generator=rng).double()


def mixture_of(space, seed, empty=()):
    rng = torch.Generator().manual_seed(seed)
    shape = space.full().mask.shape
    active = torch.rand(shape, generator=rng) > 0.3
    active[list(empty)] = False
    return Mixture(torch.rand(shape, generator=rng).double().requires_grad_(), active)


@pytest.fixture(params=[1, 100, terms.FEWEST_POSITIONS])
def fewest(request, monkeypatch):
    """From how many positions on 1x1 convolutions are matrices: all, some, hardly any stage."""
    monkeypatch.setattr(terms, "FEWEST_POSITIONS", request.param)


@pytest.mark.quick_cases(12)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("seed, empty", [(0, ()), (1, (0,)), (2, (3, 4, 5)), (3, (1, 2, 5))])
def test_logits_and_all_gradients_are_those_of_the_plain_form(
    fewest, monkeypatch, affine, seed, empty
):
    space, network = make(affine=affine)
    mixture, images = mixture_of(space, seed, empty), images_of()
    wanted = [mixture.weights, *network.parameters()]

    def found():
        logits = network(images, mixture)
        loss = F.cross_entropy(logits, torch.tensor([0, 1, 2]))
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
        return [logits.detach(), *gradients]

    ours = found()
    monkeypatch.setattr(supernet, "fused_forward", plain)
    for one, other in zip(ours, found(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_with_none_alone_its_weights_still_have_a_gradient_of_zero():
    space, network = make()
    mixture = Mixture.of(next(space.architectures()))
    weights = mixture.weights.double().requires_grad_()
    logits = network(images_of(), Mixture(weights, mixture.active))
    (gradient,) = torch.autograd.grad(logits.sum(), weights)
    assert not gradient.any()


def ways_of(kernels, norm):
    weights = torch.linspace(0.2, 0.9, 6).double().requires_grad_().unbind()
    reads = ("state", "relu", "avg_pool", "relu", "relu", "avg_pool")
    own = (None, kernels[0], None, kernels[1], kernels[2], None)
    return [
        OutgoingOperation(node, weight, view, kernel, None if kernel is None else norm)
        for node, weight, view, kernel in zip((1, 1, 2, 2, 2, 2), weights, reads, own, strict=True)
    ]


def test_gradients_are_true_and_can_be_differentiated_again(fewest):
    state = torch.randn(2, 3, 3, 4).double().requires_grad_()
    before = torch.randn(2, 3, 3, 4).double().requires_grad_()
    kernels = [torch.randn(3, 3, size, size).double().requires_grad_() for size in (1, 3, 1)]

    def sums(state, before, *kernels):
        _, first, second = fused_forward.fused_forward(
            state, [None, None, before], ways_of(kernels, BatchNorm(3))
        )
        return first * 1.5, second

    assert torch.autograd.gradcheck(sums, (state, before, *kernels), fast_mode=True)
    assert torch.autograd.gradgradcheck(sums, (state, before, *kernels), fast_mode=True)


def test_a_sum_that_it_is_given_stays_as_it_is():
    state, before = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    kept = before.clone()
    weight = torch.tensor(0.5)
    for operation in (
        OutgoingOperation(1, weight, "state"),
        OutgoingOperation(1, weight, "avg_pool"),
    ):
        nothing, after = fused_forward.fused_forward(state, [None, before], [operation])
        assert nothing is None and after is not None and not torch.equal(after, before)
        assert torch.equal(before, kept)
    assert fused_forward.fused_forward(state, [None, before], [])[1] is before


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
def test_pooling_is_the_mean_of_what_lies_inside(size):
    x = torch.randn(2, 3, *size).double()
    expected = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(pooled(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("hooked", [0, 2, 3, 4])
def test_a_hook_on_one_operation_changes_nothing_but_hears_it(hooked):
    space, network = make()
    mixture, images, heard = Mixture.uniform(space.full()), images_of(), []
    expected = network(images, mixture)
    for _, column, module in network.operations():
        if column == hooked:
            module.register_forward_hook(lambda m, i, output: heard.append(output))
    torch.testing.assert_close(network(images, mixture), expected, rtol=1e-10, atol=1e-10)
    assert len(heard) == 18


def test_frozen_statistics_are_kept_and_used_as_by_the_plain_form(fewest, monkeypatch):
    space, network = make()
    images, whole = images_of(), Mixture.uniform(space.full())
    mixtures = [
        whole.without(0, 0),
        whole.without(1, 3),
        whole.without_all([(1, 3), (0, 2)]),
        whole,
    ]

    def answers():
        frozen = Frozen(network)
        with torch.no_grad(), frozen.applied():
            return torch.stack([network(images, mixture) for mixture in mixtures])

    ours = answers()
    monkeypatch.setattr(supernet, "fused_forward", plain)
    torch.testing.assert_close(ours, answers(), rtol=1e-10, atol=1e-10)


def test_recomputed_cells_give_the_same_gradients_with_other_weights_too():
    space, network = make()
    _, again = make(recompute=True)
    others = {name: weight.detach() * 1.3 for name, weight in network.named_parameters()}
    mixture, images = mixture_of(space, 0), images_of()
    found = []
    for each in (network, again):
        at = {name: weight.clone().requires_grad_() for name, weight in others.items()}
        logits = torch.func.functional_call(each, at, (images, mixture))
        wanted = [mixture.weights, *at.values()]
        found.append(
            torch.autograd.grad(
                logits.square().sum(), wanted, materialize_grads=True, allow_unused=True
            )
        )
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_recomputing_keeps_less_for_the_way_back():
    kept = []
    for recompute in (False, True):
        space, network = make(recompute=recompute)
        sizes = []

        def note(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            network(images_of(), mixture_of(space, 0))
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 2


def test_under_bf16_sums_keep_single_precision():
    state = torch.randn(4, 8, 8, 8).bfloat16()
    kernel = torch.randn(8, 8, 3, 3) / 8
    weight = torch.tensor(1e-4)
    outgoing = [
        OutgoingOperation(1, torch.tensor(1.0), "state"),
        OutgoingOperation(1, weight, "relu", kernel, BatchNorm(8)),
    ]
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        _, total = fused_forward.fused_forward(state, [None, None], outgoing)
    assert total is not None and total.dtype == torch.float32
    added = (total - state.float()) / 1e-4  # what bf16 would have rounded away
    exact = BatchNorm(8)(F.conv2d(state.float().relu(), kernel, padding=1))
    torch.testing.assert_close(added, exact, rtol=0.0, atol=0.05)
