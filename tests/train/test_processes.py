"""One search in several processes: what they share adds up to what one process computes."""

import pytest
import torch
from core_kit import answering
from processes_kit import together

from nastk import Mixture, catalogue
from nastk.base.cost import Ledger
from nastk.base.errors import NastkError
from nastk.base.processes import ALONE, Processes
from nastk.nn.sharing import NOT_SHARED, Sharing
from nastk.testing import Harness, fingerprint
from nastk.train.passes import mean_gradient

STEPS = 4


def load(name):
    return catalogue().load("updater", name)


def quick(updater):
    """The options of an updater's preset `quick`, with which it learns within a few epochs."""
    return {
        name: value
        for preset in updater.presets
        if preset.name == "quick" and preset.fits("toy", "toy")
        for name, value in preset.updater_options.items()
    }


def space(name):
    found = catalogue().load("space", name)
    return found(found.parse_options(SMALL.get(name, {})))


SMALL = {
    "darts": {"channels": 4, "cells": 3, "nodes": 2},
    "nasbench201": {"channels": 4, "cells": 1},
}


def harness(processes, updater="random", space_name="toy", **options):
    updater = load(updater) if isinstance(updater, str) else updater
    given = {"synchronised_norms": True, "batch_size": 15, **options}
    return Harness(
        updater, quick(updater), space(space_name), trainer_options=given, processes=processes
    )


def gradients(processes, space_name, images):
    """Losses and gradients of a batch, measured in every way that updaters and trainer have."""
    made = harness(processes, space_name=space_name, batch_size=images, micro_batch=None)
    branch = made.trainer.root()
    probe, batch = made.trainer.probe(branch), made.trainer.train.at(0)
    uniform = Mixture.uniform(branch.subspace)
    table = uniform.weights.clone().requires_grad_()
    mixture = Mixture(table, uniform.active)
    exact = {name: value.double().requires_grad_() for name, value in probe.weights.items()}
    loss = probe.loss(Mixture(table.double(), uniform.active), batch, exact)
    wanted = [table, *exact.values()]
    first = torch.autograd.grad(loss, wanted, materialize_grads=True)
    step_loss, hits = mean_gradient(branch, [mixture], batch, Ledger())
    own = [torch.zeros_like(p) if p.grad is None else p.grad for p in branch.supernet.parameters()]
    return {
        "exact": [loss.detach(), *first[1:]],
        "of the mixture": [first[0], table.grad],
        "of a step": [step_loss, *own],
        "hits": [hits, *probe.hits([mixture, mixture], batch)],
        "of the probe": list(probe.gradients(mixture, batch).values()),
        "ahead": list(probe.lookahead(mixture, batch).values()),
        "scores": [torch.tensor(list(probe.scores([mixture] * 2, [batch], "loss")))],
        "frozen": [
            torch.tensor(list(probe.scores([mixture] * 2, [batch], "loss", norms="frozen")))
        ],
    }


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("images", [15, 3], ids=["shared", "too few to share"])
@pytest.mark.parametrize("space_name", ["toy", "nasbench201", "darts"])
def test_gradients_of_two_processes_are_those_of_one(space_name, images):
    alone = gradients(ALONE, space_name, images)
    both = together(lambda processes: gradients(processes, space_name, images))
    for name, values in alone.items():
        # In double precision there is nothing left but rounding.
        tolerance = 1e-12 if name == "exact" else 2e-4
        for one, first, second in zip(values, *(answer[name] for answer in both), strict=True):
            assert torch.equal(first, second), name
            torch.testing.assert_close(first, one, rtol=tolerance, atol=tolerance, msg=name)


def searched(processes, name, **options):
    """Decision, weights and everything else of a search of two epochs."""
    made = harness(processes, name, epochs=3, **options)
    branches = made.run()
    texts = [
        made.space.to_text(branch.updater.architecture(made.trainer.probe(branch)))
        for branch in branches
    ]
    cost = made.trainer.ledger.cost().total
    states = [branch.state_dict() for branch in branches]
    return {
        "texts": texts,
        "images": (cost.images_forward, cost.images_backward),
        "print": fingerprint(states),
        "reports": len(made.events),
    }


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", catalogue().names("updater"))
def test_every_updater_searches_in_two_processes(name):
    alone = searched(ALONE, name)
    first, second = together(lambda processes: searched(processes, name))
    assert first == second  # to the bit: decision, weights, the updater's state
    assert first["images"] == alone["images"]
    assert first["reports"] == alone["reports"]


def test_a_share_is_an_even_part_and_a_small_batch_is_not_divided():
    shares = [Processes(rank, 3).rows(10) for rank in range(3)]
    assert [list(range(10))[rows] for rows in shares] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert Sharing(Processes(0, 3), 6).divided
    assert not Sharing(Processes(0, 3), 5).divided
    assert not NOT_SHARED.divided


def test_processes_that_disagree_are_told_so():
    def mixtures(probe):
        return [Mixture.uniform(probe.subspace).without(0, 1 + Processes.started().rank)]

    def disagreeing(processes):
        with pytest.raises(NastkError) as error:
            harness(processes, answering(mixtures)).run(steps=1)
        return str(error.value)

    first, second = together(disagreeing)
    assert first == second
    assert "do not agree on the operations of step 0 in branch 0: process 0 has " in first
