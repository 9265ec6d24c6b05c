"""A network begins with its supernet's weights: same logits, or an error that says what fits."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import nastk
from nastk import ConfigurationError, Inheritance, Mixture, Task, catalogue
from nastk.testing import ToySpace

TASK = Task(3, 3, 16)
SIZES = {
    "darts": {"channels": 4, "cells": 4, "network_channels": 4, "network_cells": 4, "nodes": 3},
    "nasbench201": {"channels": 4, "cells": 2, "network_channels": 4, "network_cells": 2},
    "nasbench-macro": {
        "channels": 4, "head_channels": 8, "network_channels": 4, "network_head_channels": 8,
    },
    "mobilenet": {"width_multiplier": 0.25, "layout": "mobilenetv2"},
}  # fmt: skip


def space_called(name, **changes):
    space_class = catalogue().load("space", name)
    return space_class(space_class.parse_options({**SIZES[name], **changes}))


class Net(nn.Module):
    """Two choices, one of them shared by two places, around a norm."""

    def __init__(self, task):
        super().__init__()
        self.stem = nn.Conv2d(task.channels, 4, 3, padding=1)
        self.first, self.second = (self.layer("first") for _ in range(2))
        self.norm = nn.BatchNorm2d(4)
        self.last = self.layer("last")
        self.head = nn.Linear(4, task.classes)

    def layer(self, name):
        return nastk.Choice(
            {"conv": lambda: nn.Conv2d(4, 4, 3, padding=1), "skip": nn.Identity}, name=name
        )

    def forward(self, images):
        state = self.norm(self.second(self.first(self.stem(images))))
        return self.head(self.last(state).mean((2, 3)))


def modular():
    return nastk.space_of(Net)()


def same_logits(space, without=()):
    """Whether a network with the supernet's weights answers as the supernet does on its path.

    Norms of the network are put to use the batch's statistics, as a supernet's do.
    """
    torch.manual_seed(0)
    scores = torch.rand(len(space.edges), max(len(edge.operations) for edge in space.edges))
    for row, edge in enumerate(space.edges):
        for column, name in enumerate(edge.operations):
            scores[row, column] -= 10 * any(word in name for word in without)
    architecture = space.decide(scores, space.full())
    supernet, network = space.supernet(TASK), space.network(architecture, TASK)
    inheritance = space.inheritance(architecture)
    inheritance.check(space.options.model_dump())
    assert inheritance.apply(network, supernet) > 100
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    images = torch.randn(4, *TASK.shape)
    with torch.no_grad():
        ours = network.eval()(images)
        theirs = supernet.eval()(images, Mixture.of(architecture))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["nasbench201", "nasbench-macro", "mobilenet"])
def test_a_network_with_inherited_weights_answers_as_its_path_does(name):
    same_logits(space_called(name))


def test_cells_of_darts_do_so_without_poolings():
    same_logits(space_called("darts"), without=["pool"])  # whose norms the network lacks


def test_so_does_a_network_with_choices():
    same_logits(modular())


@pytest.mark.parametrize("name", ["s1", "s3"])
def test_the_spaces_of_cells_have_it_too(name):
    space_class = catalogue().load("space", name)
    space = space_class(space_class.parse_options({**SIZES["darts"], "nodes": 4}))
    architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
    network = space.network(architecture, TASK)
    assert space.inheritance(architecture).apply(network, space.supernet(TASK)) > 100


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("darts", {"network_cells": None}, r'network_cells is its default\)\. Set network=\{"netw'),
        ("nasbench201", {"network_channels": 8}, r"network_channels is 8\)\. Set network="),
        ("mobilenet", {"supernet_multiplier": 0.5}, "width_multiplier is 0.25"),
    ],
)
def test_another_size_is_refused_and_what_fits_is_said(name, changes, message):
    space = space_called(name, **changes)
    architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
    with pytest.raises(ConfigurationError, match=message):
        space.inheritance(architecture).check(space.options.model_dump())


def test_a_weight_of_another_shape_or_none_is_named_and_nothing_changes():
    supernet, network = nn.Linear(3, 2), nn.Linear(3, 4)
    before = network.weight.clone()
    with pytest.raises(ConfigurationError, match="weight is 4x3, and in the supernet it is 2x3"):
        Inheritance(str, {"width": 2}).apply(network, supernet)
    with pytest.raises(ConfigurationError, match="in the supernet it is not there"):
        Inheritance(lambda name: "x" + name).apply(network, supernet)
    assert torch.equal(network.weight, before)


def test_partial_channels_and_silent_spaces_are_refused():
    space = space_called("darts", partial_channels=2)
    architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
    with pytest.raises(ConfigurationError, match="partial_channels=2 has operations on a part"):
        space.inheritance(architecture)
    toy = ToySpace()
    with pytest.raises(ConfigurationError, match="Networks of space 'toy' cannot begin"):
        toy.inheritance(toy.sample(toy.full(), torch.Generator().manual_seed(0)))
