"""1x1 convolutions with a stride: pixels first, and the gradients that plain layout gives."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from nastk import Execution
from nastk.nn.strided import ChoosingConv2d, choose_first, chosen_pixels, slices

CPU = Execution(torch.device("cpu"))
OFFSETS = [(0, 0), (1, 1), (0, 0)]


def drawn(*shape, last=True, seed=0):
    x = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    layout = torch.channels_last if last else torch.contiguous_format
    return x.contiguous(memory_format=layout).requires_grad_()


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("stride", [(2, 2), (3, 2), (1, 2)])
def test_chosen_pixels_are_slices_with_the_gradients_of_slices(stride, last):
    x = drawn(2, 3, 7, 8, last=last)
    found = chosen_pixels(x, stride, OFFSETS)
    expected = slices(x, stride, OFFSETS)
    answers = [drawn(*each.shape, seed=seed).detach() for seed, each in enumerate(expected)]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))
    (ours,) = torch.autograd.grad(found, x, answers)
    (theirs,) = torch.autograd.grad(expected, x, answers)
    assert torch.equal(ours, theirs) and ours.stride() == x.stride()


def test_a_choice_of_pixels_may_go_unused_and_have_gradients_of_gradients():
    x = drawn(2, 2, 5, 6)
    corners, _ = chosen_pixels(x, (2, 2), [(0, 0), (1, 1)])
    corners.sum().backward()
    assert x.grad.sum() == corners.numel()
    assert torch.autograd.gradgradcheck(
        lambda x: [each.square() for each in chosen_pixels(x, (2, 2), OFFSETS)], (x,)
    )


def test_pixels_are_views_where_no_gradient_is_wanted():
    x = drawn(2, 2, 6, 6)
    with torch.no_grad():
        (corners,) = chosen_pixels(x, (2, 2), [(0, 0)])
    assert corners.data_ptr() == x.data_ptr()


NETWORK = {
    "strided": nn.Conv2d(8, 16, 1, stride=2),
    "grouped": nn.Conv2d(32, 8, 1, stride=(2, 1), groups=4, bias=False),
    "wide": nn.Conv2d(16, 8, 1, stride=2),
    "whole": nn.Conv2d(8, 8, 1),
    "large": nn.Conv2d(8, 8, 3, stride=2, padding=1),
    "padded": nn.Conv2d(8, 8, 1, stride=2, padding=1),
}


def test_of_a_users_network_the_convolutions_at_risk_choose_first():
    network = CPU.place(nn.ModuleDict(copy.deepcopy(NETWORK)))
    changed = {name for name, each in network.items() if isinstance(each, ChoosingConv2d)}
    assert changed == {"strided", "grouped"}
    for name, before in NETWORK.items():
        x = torch.randn(4, before.in_channels, 7, 8).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(network[name](x), before(x))
        torch.testing.assert_close(network[name](x[0]), before(x[0]))
        assert set(network[name].state_dict()) == set(before.state_dict())


def test_a_class_of_the_users_own_stays():
    class Own(nn.Conv2d):
        pass

    own = Own(4, 4, 1, stride=2)
    choose_first(own)
    assert type(own) is Own


CHECK = """
import sys
import torch
import torch.nn.functional as F
from torch import nn
from nastk.nn.execution import Execution
from nastk_spaces_darts.operations import Halve

def halve(channels):
    ours = Halve(channels, 8, lambda width: nn.Identity())
    def textbook(x, first, second):
        pair = (x, first), (x[..., 1:, 1:], second)
        return torch.cat([F.conv2d(*each, stride=2) for each in pair], 1)
    return ours, textbook

def single(channels):
    return nn.Conv2d(channels, 8, 1, stride=2, bias=False), lambda x, w: F.conv2d(x, w, stride=2)

def gradients(network, x, weights):
    answer = network(x)
    return torch.autograd.grad(answer.square().sum(), [x, *weights])

place = Execution(torch.device("cpu")).place
for size in map(int, sys.argv[1].split(",")):
    for channels in (4, 6, 8, 12, 16):
        for make in (halve, single):
            torch.manual_seed(size)
            ours, textbook = make(channels)
            ours = place(ours)
            x = torch.randn(32 if size <= 32 else 4, channels, size, size, requires_grad=True)
            weights = list(ours.parameters())
            # Of 1x1 kernels `contiguous()` would keep the layout.
            plain = [torch.empty(each.shape).copy_(each.detach()) for each in weights]
            plain = [each.requires_grad_() for each in plain]
            expected = gradients(lambda x: textbook(x, *plain), x, plain)
            last = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
            for threads in (1, 2, 1):
                torch.set_num_threads(threads)
                found = gradients(ours, last, weights)
                for ours_, theirs in zip(found, expected):
                    error = (ours_ - theirs).norm() / theirs.norm()
                    assert error < 1e-4, (size, channels, make.__name__, threads, float(error))
print("all equal")
"""


@pytest.mark.parametrize("sizes", ["8,16,32,48", "56,64,96,128"])
def test_gradients_from_few_channels_are_right_at_every_size_of_map(sizes):
    # In a process of its own: torch's strided convolution ends it, or never ends, on some machines.
    done = subprocess.run(
        [sys.executable, "-c", CHECK, sizes],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.stdout == "all equal\n", (done.returncode, done.stderr)
