"""The sizes of NAS-Bench-201's networks: counted in closed form, and counted on what is built."""

from itertools import islice

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nastk import Task
from nastk_spaces_nasbench201.space import NasBench201Space

CIFAR = Task(classes=10, channels=3, size=32)


def make(**options):
    return NasBench201Space(NasBench201Space.parse_options(options))


def built(space, architecture, task):
    """(parameters, multiply-adds with the classifier's bias) of the network itself."""
    with torch.device("meta"):
        network = space.network(architecture, task).eval()
        images = torch.empty(1, *task.shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return parameters, counter.get_total_flops() // 2 + task.classes


def counted(space, architecture, task):
    size = space.size(architecture, task)
    return size.parameters, size.multiply_adds


GOLDEN = {
    "none none none none none none": (73_306, 7_783_050),
    "avg_pool_3x3 nor_conv_1x1 skip_connect nor_conv_1x1 skip_connect skip_connect": (
        129_306,
        15_647_370,
    ),
    "nor_conv_3x3 nor_conv_3x3 nor_conv_3x3 skip_connect nor_conv_3x3 nor_conv_1x1": (
        1_073_466,
        153_272_970,
    ),
    " ".join(6 * ["nor_conv_3x3"]): (1_531_546, 220_119_690),
}


@pytest.mark.parametrize("choices, sizes", GOLDEN.items())
def test_built_and_counted_sizes_are_the_benchmarks(choices, sizes):
    space = make()
    architecture = space.architecture([name] for name in choices.split())
    assert counted(space, architecture, CIFAR) == built(space, architecture, CIFAR) == sizes


@pytest.mark.parametrize(
    "options, task",
    [
        ({"network_channels": 6, "network_cells": 1}, Task(100, 3, 32)),
        ({"network_channels": 4, "network_cells": 3, "exclude_none": True}, Task(7, 1, 28)),
        ({"network_channels": 4, "network_cells": 1}, Task(3, 2, 9)),
        ({"network_channels": 4, "network_cells": 2}, Task(3, 13, (9, 30))),
        ({"network_channels": 4, "network_cells": 2}, Task(3, 1, (40, 17))),
    ],
)
def test_counted_sizes_are_those_of_the_built_network(options, task):
    space, rng = make(**options), torch.Generator().manual_seed(0)
    for _ in range(4):
        architecture = space.sample(space.full(), rng)
        assert counted(space, architecture, task) == built(space, architecture, task)


@pytest.mark.slow
def test_built_sizes_of_hundreds_of_architectures_are_the_counted_ones():
    space = make()
    for architecture in islice(space.architectures(), 7, None, 61):
        assert counted(space, architecture, CIFAR) == built(space, architecture, CIFAR)
