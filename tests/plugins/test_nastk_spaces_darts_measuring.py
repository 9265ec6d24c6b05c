"""Many mixtures on the same images, and cells computed twice: the numbers stay the same."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F

from nastk import Mixture, Task, catalogue
from nastk.nn.kernels import terms
from nastk.nn.norms import Frozen

SMALL = {"nodes": 2, "channels": 4, "cells": 3}


def make(name="darts", size=6, **options):
    space = catalogue().load("space", name)
    space = space(space.parse_options({**SMALL, **options}))
    torch.manual_seed(0)
    return space, space.supernet(Task(3, 1, size)).double()


def some_images(size=6, batch=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 1, size, size, generator=generator, dtype=torch.float64)


def removals(space, seed=2):
    """The mixtures of a removal order, with one of other weights in between."""
    generator = torch.Generator().manual_seed(seed)
    players = space.full().alive_operations()
    order = [players[i] for i in torch.randperm(len(players), generator=generator).tolist()]
    weights = torch.rand(space.full().mask.shape, generator=generator, dtype=torch.float64)
    whole = Mixture(weights, space.full().mask)
    walk = [whole.without_all(order[:count]) for count in range(len(order) + 1)]
    return [*walk[:5], Mixture(2 * weights, walk[5].active), *walk[5:12], *walk[12::9]]


@pytest.mark.parametrize(
    "name, options, frozen",
    [
        ("darts", {}, True),
        ("darts", {"partial_channels": 2, "edge_weights": True}, False),
        ("s4", {}, False),
        pytest.param("darts", {}, False, marks=pytest.mark.slow),
        pytest.param("darts", {"partial_channels": 2}, True, marks=pytest.mark.slow),
        pytest.param(
            "darts",
            {"partial_channels": 2, "pool_norm": False},
            False,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_measuring_many_mixtures_equals_a_forward_pass_each(name, options, frozen, monkeypatch):
    monkeypatch.setattr(terms, "FEWEST_POSITIONS", 1)
    space, net = make(name, **options)
    images = some_images()
    measure = net.measuring(images)
    # Each way has statistics of its own, gathered under the first mixture.
    ways = [Frozen(net), Frozen(net)]
    for mixture in removals(space):
        answers = []
        for way, ask in zip(ways, (measure, lambda each: [net(images, *each)]), strict=True):
            torch.manual_seed(7)
            with torch.no_grad(), way.applied() if frozen else nullcontext():
                answers += ask([mixture])
        torch.testing.assert_close(*answers, rtol=0, atol=1e-11)


def test_frozen_norms_give_other_numbers_than_those_of_the_batch():
    space, net = make()
    mixtures, images, frozen = removals(space), some_images(), Frozen(net)
    with torch.no_grad():
        batch = [net(images, mixture) for mixture in mixtures[:9]]
        with frozen.applied():
            kept = [net(images, mixture) for mixture in mixtures[:9]]
    torch.testing.assert_close(batch[0], kept[0])
    assert not torch.allclose(batch[8], kept[8])


def test_what_a_removal_leaves_alone_is_computed_once():
    space, net = make(cells=5)
    heard = []
    for place, cell in enumerate(net.cells):
        cell.register_forward_hook(lambda module, inputs, output, place=place: heard.append(place))
    whole = Mixture.uniform(space.full())
    measure = net.measuring(some_images())
    reduce = next(row for row, edge in enumerate(space.edges) if edge.group == "reduce")
    normal = len([edge for edge in space.edges[:reduce] if edge.head == 2])  # the second node's
    expected = {
        "first": (whole, [0, 1, 2, 3, 4]),
        "the same": (whole, [2, 3, 4]),
        "a reduction's": (whole.without(reduce, 0), [1, 2, 3, 4]),
        "a normal cell's": (whole.without_all([(reduce, 0), (normal, 0)]), [0, 1, 2, 3, 4]),
    }
    for mixture, cells in expected.values():
        heard.clear()
        with torch.no_grad():
            measure([mixture])
        assert heard == cells


@pytest.mark.parametrize("options", [{}, {"partial_channels": 2, "edge_weights": True}])
def test_cells_computed_again_on_the_way_back_give_the_same_gradients(options):
    space, kept = make(**options)
    _, again = make(**options, recompute=True)
    again.load_state_dict(kept.state_dict())
    labels, mixture = torch.tensor([0, 1, 2]), Mixture.uniform(space.full())
    other = {name: 1.1 * value.detach() + 0.01 for name, value in kept.named_parameters()}
    found = []
    for net in (kept, again):
        weights = {name: value.clone().requires_grad_() for name, value in other.items()}
        mixing = mixture.weights.double().requires_grad_()
        own = net(some_images(), Mixture(mixing, mixture.active))
        with_others = torch.func.functional_call(
            net, weights, (some_images(), Mixture(mixing, mixture.active))
        )
        loss = F.cross_entropy(own, labels) + F.cross_entropy(with_others, labels)
        inputs = [mixing, *net.parameters(), *weights.values()]
        found.append([own, with_others, *torch.autograd.grad(loss, inputs)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
