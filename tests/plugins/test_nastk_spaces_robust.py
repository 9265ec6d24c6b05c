"""The spaces S1 to S4: their published tables, sizes and texts, and the operation `noise`."""

from typing import ClassVar

import pytest
import torch

from nastk import ConfigurationError, DataError, Mixture, Subspace, Task, catalogue
from nastk.nn.norms import BatchNorm
from nastk.testing import Harness, SearchSpaceContract, UpdaterContract, fingerprint
from nastk_spaces_darts import search_spaces
from nastk_spaces_darts.operations import Noise, operation
from nastk_spaces_darts.robust import S1, S2, S3, S4

SPACES = {"s1": S1, "s2": S2, "s3": S3, "s4": S4}
SMALL = {"nodes": 2, "channels": 4, "cells": 3, "network_channels": 4, "network_cells": 3}
TASK = Task(classes=3, channels=1, size=8)
CIFAR = Task(classes=10, channels=3, size=32)


class TestContractOfS1(SearchSpaceContract):
    space, options = S1, SMALL


@pytest.mark.slow
class TestContractOfS2(SearchSpaceContract):
    space, options = S2, SMALL


@pytest.mark.slow
class TestContractOfS3(SearchSpaceContract):
    space, options = S3, SMALL


class TestContractOfS4(SearchSpaceContract):
    space = S4
    options: ClassVar = {**SMALL, "partial_channels": 2}


@pytest.mark.slow
class TestDartsOnS4(UpdaterContract):
    """Noise is drawn in the weight steps and in the updater's measurements: a resume repeats it."""

    updater, options = catalogue().load("updater", "darts"), {"order": 1}
    space, space_options = S4, SMALL


def make(name, **options):
    return SPACES[name](SPACES[name].parse_options(options))


def seeded(supernet, images, mixture, seed=0):
    torch.manual_seed(seed)
    return supernet(images, mixture)


def some_images(batch=3):
    return torch.randn(batch, 1, 8, 8, generator=torch.Generator().manual_seed(1))


# ---------------------------------------------------------------- what an edge may choose


def test_the_offers_are_the_spaces():
    offers = {offer.name: offer for offer in search_spaces()}
    assert list(offers) == ["darts", *SPACES]
    for name, space in SPACES.items():
        assert space.name == name and space.summary == offers[name].summary
        assert offers[name].load == f"nastk_spaces_darts.robust:{space.__name__}"
        (preset,) = space.presets
        assert preset.fits(name, "digits") and len(make(name, **preset.space_options).edges) == 28


@pytest.mark.parametrize(
    ("name", "options", "players", "operations"),
    [
        ("s2", {}, 56, ("skip_connect", "sep_conv_3x3")),
        ("s3", {}, 84, ("none", "skip_connect", "sep_conv_3x3")),
        ("s3", {"include_none": False}, 56, ("skip_connect", "sep_conv_3x3")),
        ("s4", {}, 56, ("noise", "sep_conv_3x3")),
        ("s4", {"include_none": True}, 84, ("none", "noise", "sep_conv_3x3")),
    ],
)
def test_s2_to_s4_have_the_same_on_every_edge(name, options, players, operations):
    space = make(name, **options)
    assert len(space.edges) == 28 and len(space.full().alive_operations()) == players
    assert {edge.operations for edge in space.edges} == {operations}


@pytest.mark.parametrize(
    ("edge", "operations"),
    [
        # From the authors' `spaces.py`: the first and last edges of each cell, and its odd ones.
        ("normal:0->2", ("skip_connect", "dil_conv_3x3")),
        ("normal:1->2", ("skip_connect", "dil_conv_5x5")),
        ("normal:1->3", ("skip_connect", "sep_conv_3x3")),
        ("normal:0->4", ("max_pool_3x3", "skip_connect")),
        ("normal:1->5", ("max_pool_3x3", "skip_connect")),
        ("normal:3->5", ("dil_conv_3x3", "dil_conv_5x5")),
        ("normal:4->5", ("dil_conv_3x3", "dil_conv_5x5")),
        ("reduce:0->2", ("max_pool_3x3", "avg_pool_3x3")),
        ("reduce:1->2", ("max_pool_3x3", "dil_conv_3x3")),
        ("reduce:2->3", ("skip_connect", "dil_conv_5x5")),
        ("reduce:1->4", ("max_pool_3x3", "sep_conv_3x3")),
        ("reduce:2->4", ("skip_connect", "dil_conv_3x3")),
        ("reduce:4->5", ("skip_connect", "dil_conv_5x5")),
    ],
)
def test_s1_is_the_published_table(edge, operations):
    assert {each.name: each.operations for each in S1().edges}[edge] == operations


def test_s1_has_each_pair_as_often_as_published():
    counts = {}
    for edge in S1().edges:
        counts.setdefault(edge.group, {}).setdefault("/".join(edge.operations), []).append(edge)
    assert {group: sorted(map(len, pairs.values())) for group, pairs in counts.items()} == {
        "normal": [2, 2, 2, 4, 4],
        "reduce": [1, 1, 1, 5, 6],
    }


def test_fewer_nodes_of_s1_are_the_beginning_of_its_table():
    two = [(edge.name, edge.operations) for edge in make("s1", nodes=2).edges]
    whole = [(edge.name, edge.operations) for edge in S1().edges]
    assert two == whole[:5] + whole[14:19]
    with pytest.raises(ConfigurationError, match="nodes must be at most 4"):
        make("s1", nodes=5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    # Printed in the logs that the authors published: 0.405146 and 0.665466 million.
    [("s1", 405_146), ("s3", 665_466)],
)
def test_the_supernet_has_the_published_size(name, parameters):
    with torch.device("meta"):
        supernet = make(name).supernet(CIFAR)
    assert sum(weight.numel() for weight in supernet.parameters()) == parameters


# ---------------------------------------------------------------- architectures and their texts

PUBLISHED = {
    # The first cells of the authors' `results_arch.yaml` on CIFAR-10 (S1) and on SVHN (S3).
    "s1": (
        "Genotype(normal=[('skip_connect', 1), ('dil_conv_3x3', 0), ('skip_connect', 2), "
        "('skip_connect', 0), ('skip_connect', 0), ('skip_connect', 2), ('skip_connect', 2), "
        "('skip_connect', 1)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 1), "
        "('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 0), ('max_pool_3x3', 0), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
    ),
    "s3": (
        "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), "
        "('skip_connect', 1), ('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), "
        "('skip_connect', 1)], normal_concat=range(2, 6), reduce=[('skip_connect', 1), "
        "('sep_conv_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 2), "
        "('sep_conv_3x3', 1), ('skip_connect', 2), ('skip_connect', 1)], "
        "reduce_concat=range(2, 6))"
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cells_are_read_and_built(name):
    space = make(name, network_channels=4, network_cells=3)
    architecture = space.from_text(PUBLISHED[name])
    assert space.from_text(space.to_text(architecture)) == architecture
    network = space.network(architecture, TASK).eval()
    assert network(some_images()).shape == (3, 3)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "s1",
            "('dil_conv_3x3', 0)",
            "('sep_conv_3x3', 0)",
            "Edge normal:0->2 of space 's1' has no operation 'sep_conv_3x3'. "
            "It has: skip_connect, dil_conv_3x3",
        ),
        (
            "s1",
            "('dil_conv_3x3', 0)",
            "('sep_conv_5x5', 0)",
            "no operation is named 'sep_conv_5x5'",
        ),
        ("s3", "('sep_conv_3x3', 2)", "('none', 2)", r"reduce\[4\] is 'none', which no cell"),
    ],
)
def test_an_operation_that_the_edge_does_not_offer_is_refused(name, old, new, message):
    text = PUBLISHED[name].replace(old, new)
    assert text != PUBLISHED[name]
    with pytest.raises(DataError, match=message):
        make(name).from_text(text)


def test_decisions_and_samples_keep_two_inputs_and_never_none():
    space, rng = make("s3"), torch.Generator().manual_seed(0)
    scores = torch.zeros(28, 3)
    scores[:, 0] = 9.0
    for architecture in (space.decide(scores, space.full()), space.sample(space.full(), rng)):
        names = [name for _, name in architecture.links()]
        assert len(names) == 16 and "none" not in names


# ---------------------------------------------------------------- noise


def test_noise_is_standard_normal_and_knows_nothing_of_its_input():
    torch.manual_seed(0)
    first = Noise(1)(torch.full((8, 4, 16, 16), 7.0, requires_grad=True))
    assert not first.requires_grad
    assert float(first.mean()) == pytest.approx(0.0, abs=0.05)
    assert float(first.std()) == pytest.approx(1.0, abs=0.05)
    torch.manual_seed(0)
    assert torch.equal(first, Noise(1)(torch.zeros(8, 4, 16, 16)))
    assert not torch.equal(first, Noise(1)(torch.zeros(8, 4, 16, 16)))


@pytest.mark.parametrize(("stride", "size", "left"), [(1, 8, 8), (2, 8, 4), (2, 5, 3)])
def test_noise_has_the_size_of_the_other_operations(stride, size, left):
    state = torch.randn(2, 4, size, size)
    for name in ("noise", "sep_conv_3x3"):
        assert operation(name, 4, stride, BatchNorm)(state).shape == (2, 4, left, left)


def test_noise_is_drawn_anew_in_each_edge_and_each_cell():
    space, drawn = make("s4", **SMALL), []
    supernet = space.supernet(TASK)
    for _, column, module in supernet.operations():
        if column == 0:
            module.register_forward_hook(lambda module, given, output: drawn.append(output))
    seeded(supernet, some_images(), Mixture.uniform(space.full()))
    assert len(drawn) == 15  # five edges in each of three cells
    assert len({float(each[0, 0, 0, 0]) for each in drawn}) == 15


def test_a_supernet_of_noise_may_have_shapes_only():
    space = make("s4", **SMALL)
    mixture = Mixture.uniform(space.full()).to("meta")
    with torch.device("meta"):
        logits = space.supernet(TASK)(torch.empty(2, 1, 8, 8), mixture)
    assert logits.shape == (2, 3)


@pytest.mark.parametrize("dropped", [0, 3, 9])
def test_what_is_left_draws_the_same_numbers_when_a_noise_is_gone(dropped):
    space = make("s4", **SMALL)
    supernet, heard = space.supernet(TASK), {}
    for number, (edge, column, module) in enumerate(supernet.operations()):
        if column == 0:
            module.register_forward_hook(
                lambda module, given, output, key=(number, edge): heard.__setitem__(key, output)
            )
    full = Mixture.uniform(space.full())
    seeded(supernet, some_images(), full)
    before = dict(heard)
    heard.clear()
    seeded(supernet, some_images(), full.without(dropped, 0))
    assert set(before) - set(heard) == {key for key in before if key[1] == dropped}
    assert all(torch.equal(before[key], output) for key, output in heard.items())


def test_a_network_of_noise_learns_and_differs_with_the_seed():
    space = make("s4", **SMALL)
    architecture = space.decide(torch.tensor([[1.0, 0.0]]).expand(10, 2), space.full())
    assert {name for _, name in architecture.links()} == {"noise"}
    network = space.network(architecture, TASK)
    network.train()(some_images()).sum().backward()
    assert network.classifier.weight.grad.any()
    answers = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        answers.append(network.eval()(some_images()))
    assert torch.equal(answers[0], answers[1]) and not torch.equal(answers[0], answers[2])
    # Nothing of the image reaches a cell's nodes: only its noise does.
    torch.manual_seed(0)
    assert torch.equal(answers[0], network(torch.zeros(3, 1, 8, 8)))


# ---------------------------------------------------------------- updaters on ragged rows


def quick(updater):
    return {
        name: value
        for preset in updater.presets
        if preset.name == "quick" and preset.fits("toy", "toy")
        for name, value in preset.updater_options.items()
    }


def trained(name, updater):
    """The only branch after a short search, and what it decided."""
    found = catalogue().load("updater", updater)
    space = make(name, **SMALL)
    harness = Harness(found, quick(found), space, trainer_options={"epochs": 2, "batch_size": 24})
    (branch,) = harness.run()
    architecture = branch.updater.architecture(harness.trainer.probe(branch))
    assert space.check(architecture) == architecture
    assert branch.subspace.contains(Subspace(architecture.table()))
    return branch, architecture


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("name", ["s1", "s3", "s4"])
@pytest.mark.parametrize("updater", ["darts", "shapley", "evnas", "isdarts", "random"])
def test_updaters_search(name, updater):
    branch, architecture = trained(name, updater)
    assert "none" not in {operation for _, operation in architecture.links()}
    assert all(torch.isfinite(weight).all() for weight in branch.supernet.parameters())


@pytest.mark.parametrize("updater", ["shapley", "isdarts"])
def test_updaters_that_measure_noise_repeat_themselves(updater):
    (first, decided), (second, again) = trained("s4", updater), trained("s4", updater)
    assert decided == again
    assert fingerprint(first.state_dict()) == fingerprint(second.state_dict())
