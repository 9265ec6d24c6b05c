"""GDAS's published slope of alpha: against a forward pass that adds undrawn weights as numbers."""

from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from core_kit import ShortContract

from nastk import Batch, Mixture, PluginError, catalogue, resolve
from nastk.spaces.supernet import has_hooks
from nastk.testing import Harness, ToySpace
from nastk.testing.toy import ToySupernet
from nastk_gradient.gdas import Gdas
from nastk_gradient.undrawn import published_slope
from nastk_spaces_nasbench201.supernet import SearchCell


@pytest.mark.slow
class TestGdasAsPublished(ShortContract):
    updater = Gdas
    options: ClassVar = {"learning_rate": 0.05, "undrawn": "constant"}


def bench(**options):
    found = catalogue().load("space", "nasbench201")
    return found(found.parse_options({"channels": 4, "cells": 1, **options}))


def started(space, seed=0, heat=2.0):
    """An updater, its probe and a validation batch, all in double precision."""
    options = {
        "undrawn": "constant",
        "alpha_init": 1.0,
        "temperature_start": heat,
        "temperature_end": heat,
    }
    harness = Harness(Gdas, options, space, seed=seed)
    branch = harness.trainer.root()
    branch.supernet.double()
    probe = harness.trainer.probe(branch)
    images, labels = probe.valid.at(0)
    return branch, probe, Batch(images.double(), labels)


def numbers_added(supernet, edges, images, weights, drawn):
    """The logits where an edge adds the drawn operation's weighted output and bare numbers."""
    state = supernet.stem(images)
    for block in supernet.blocks:
        if not isinstance(block, SearchCell):
            state = block(state)
            continue
        nodes = [state, *(torch.zeros_like(state) for _ in range(3))]
        for row, edge in enumerate(edges):
            seen = nodes[edge.tail]
            views = {
                "state": seen,
                "relu": seen.relu(),
                "avg_pool": F.avg_pool2d(seen, 3, 1, 1, count_include_pad=False),
            }
            for column, module in enumerate(block.edges[row]):
                weight = weights[row, column]
                came = weight * module(views[module.reads]) if column == drawn[row] else weight
                nodes[edge.head] = nodes[edge.head] + came
        state = nodes[-1]
    return supernet.head(state)


@pytest.mark.parametrize(("seed", "recompute"), [(0, False), (1, False), (2, True)])
def test_the_slope_is_that_of_a_pass_that_adds_the_undrawn_weights_as_numbers(seed, recompute):
    space = bench(recompute=recompute)
    branch, probe, batch = started(space, seed)
    updater = branch.updater
    state = probe.rng.get_state()
    found = published_slope(probe, space.edges, updater.mixture(probe), updater.alpha, batch)
    probe.rng.set_state(state)
    mixture = updater.mixture(probe)
    logits = numbers_added(
        branch.supernet, space.edges, batch.images, mixture.weights, mixture.weights.argmax(1)
    )
    # The numbers are zeros: the pass gives what the mixture gives.
    torch.testing.assert_close(logits, probe.logits(mixture, batch.images), rtol=1e-9, atol=1e-9)
    (theirs,) = torch.autograd.grad(F.cross_entropy(logits, batch.labels), updater.alpha)
    torch.testing.assert_close(found, theirs, rtol=1e-6, atol=1e-9)


def test_it_is_far_from_the_slope_of_the_mixture_and_leaves_no_hook():
    space = bench()
    branch, probe, batch = started(space)
    alpha = branch.updater.alpha
    drawn = branch.updater.mixture(probe)
    (true,) = torch.autograd.grad(probe.loss(drawn, batch), alpha, retain_graph=True)
    found = published_slope(probe, space.edges, drawn, alpha, batch)
    assert float(F.cosine_similarity(found.flatten(), true.flatten(), 0)) < 0.95
    assert not any(has_hooks(module) for _, _, module in probe.operations())


def test_a_drawn_none_passes_on_the_slope_of_the_others():
    """Where `none` is drawn nothing else is heard of, but theirs has a slope there."""
    space = bench()
    branch, probe, batch = started(space)
    alpha = branch.updater.alpha
    soft = Mixture.softmax(alpha, probe.subspace)
    hard = torch.zeros_like(soft.weights)
    hard[:, 3] = 1.0
    hard[5] = torch.tensor([1.0, 0, 0, 0, 0])
    drawn = Mixture(hard + soft.weights - soft.weights.detach(), hard.bool())
    (true,) = torch.autograd.grad(probe.loss(drawn, batch), alpha, retain_graph=True)
    found = published_slope(probe, space.edges, drawn, alpha, batch)
    assert float(true[5].abs().max()) == 0.0 < 1e-6 < float(found[5].abs().max())


class Deaf(ToySpace):
    """The toy whose cells compute operations without calling their modules."""

    def supernet(self, task):
        made = ToySupernet(self.options.channels, task)
        for _, _, module in made.operations():
            module.__class__ = type("Deaf", (type(module),), {"__call__": type(module).forward})
        return made


def test_a_space_that_does_not_call_its_modules_is_told_so():
    harness = Harness(Gdas, {"undrawn": "constant"}, Deaf())
    message = r"on first:0->1 2 of 2 cells did not call its module. Use -u undrawn=absent"
    with pytest.raises(PluginError, match=message):
        harness.run(steps=1)


@pytest.mark.parametrize(("space", "undrawn"), [("nasbench201", "constant"), ("darts", "absent")])
def test_the_published_runs_are_replayed_where_their_code_does_it(space, undrawn):
    config = resolve({"space": space, "updater": "gdas", "data": "cifar10", "preset": "paper"})
    assert config.updater.options["undrawn"] == undrawn
    assert Gdas.parse_options({}).undrawn == "absent"
