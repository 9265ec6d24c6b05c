"""DARTS_V2 trained for 20 steps equals a reference written here from the description of the paper.

Liu et al. 2019, sections 2.1 and 3.1, appendix A: the cells, and the final training on CIFAR-10
(SGD with momentum, a cosine to zero, decay, clipped gradients, an auxiliary head of weight 0.4,
drop path that rises linearly, cutout). The reference uses torch alone. It takes the same initial
weights and the same batches, and draws the dropped paths from the same random stream in the same
order. Both networks compute in double precision: the steps of a network with batch norms amplify
what two correct programs round differently.

The images are of CIFAR-10's form, and CIFAR-10's own where the folder that the environment variable
NASTK_SHARED names has cifar10/train/CLASS/*.jpg.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nastk import EvaluationContext, Split, Splits, Task, catalogue
from nastk.base.seeds import seed_of
from nastk.testing import ToyData
from nastk_spaces_darts.space import DartsSpace
from nastk_training.recipe import Recipe
from nastk_training.setup import TrainingSetup

CIFAR10 = Path(os.environ.get("NASTK_SHARED", "nowhere"), "cifar10").absolute()
STEPS = 20
NORMAL = [
    [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
    [("sep_conv_3x3", 0), ("sep_conv_3x3", 1)],
    [("skip_connect", 0), ("sep_conv_3x3", 1)],
    [("skip_connect", 0), ("dil_conv_3x3", 2)],
]
REDUCE = [
    [("max_pool_3x3", 0), ("max_pool_3x3", 1)],
    [("max_pool_3x3", 1), ("skip_connect", 2)],
    [("max_pool_3x3", 0), ("skip_connect", 2)],
    [("max_pool_3x3", 1), ("skip_connect", 2)],
]
"""The two inputs of each of the four nodes, in the order of their numbers (figures 4 and 5)."""


def relu_conv_norm(channels_in, channels):
    return nn.Sequential(
        nn.ReLU(), nn.Conv2d(channels_in, channels, 1, bias=False), nn.BatchNorm2d(channels)
    )


class Halved(nn.Module):
    """The factorised reduction: two 1x1 convolutions of stride 2, one shifted by a pixel."""

    def __init__(self, channels_in, channels):
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels // 2, 1, stride=2, bias=False)
        self.second = nn.Conv2d(channels_in, channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        x = F.relu(x)
        return self.norm(torch.cat([self.first(x), self.second(x[:, :, 1:, 1:])], 1))


def depthwise_separable(channels, size, stride, dilation):
    padding = dilation * (size - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, size, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    ]


def operation(name, channels, stride):
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride, padding=1)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halved(channels, channels)
    if name == "dil_conv_3x3":
        return nn.Sequential(*depthwise_separable(channels, 3, stride, 2))
    first = depthwise_separable(channels, 3, stride, 1)
    return nn.Sequential(*first, *depthwise_separable(channels, 3, 1, 1))


class Cell(nn.Module):
    """Four nodes, each the sum of two operations; the output is all four, concatenated."""

    def __init__(self, before, previous, channels, reduces, after_reduction):
        super().__init__()
        adapt = Halved if after_reduction else relu_conv_norm
        self.adapt = nn.ModuleList([adapt(before, channels), relu_conv_norm(previous, channels)])
        self.nodes = REDUCE if reduces else NORMAL
        self.operations = nn.ModuleList(
            operation(name, channels, 2 if reduces and source < 2 else 1)
            for node in self.nodes
            for name, source in node
        )

    def forward(self, before, previous, drop):
        states = [self.adapt[0](before), self.adapt[1](previous)]
        operations = iter(self.operations)
        for node in self.nodes:
            terms = []
            for _, source in node:
                module = next(operations)
                term = module(states[source])
                if drop and not isinstance(module, nn.Identity):
                    kept = (torch.rand(len(term), 1, 1, 1) < 1 - drop).float()
                    term = term * kept / (1 - drop)
                terms.append(term)
            states.append(terms[0] + terms[1])
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    """The network of the final training, with its auxiliary head after the second reduction."""

    def __init__(self, channels, cells):
        super().__init__()
        wide, self.second = 3 * channels, 2 * cells // 3
        self.stem = nn.Sequential(
            nn.Conv2d(3, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide)
        )
        self.cells = nn.ModuleList()
        before = previous = wide
        reduced = False
        for number in range(cells):
            reduces = number in (cells // 3, self.second)
            channels *= 2 if reduces else 1
            self.cells.append(Cell(before, previous, channels, reduces, reduced))
            before, previous, reduced = previous, 4 * channels, reduces
        self.classifier = nn.Linear(previous, 10)
        self.auxiliary = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3, padding=0, count_include_pad=False),
            nn.Conv2d(previous, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, 10),
        )

    def forward(self, images, drop):
        before = previous = self.stem(images)
        for number, cell in enumerate(self.cells):
            before, previous = previous, cell(before, previous, drop)
            if number == self.second:
                auxiliary = self.auxiliary(previous)
        return self.classifier(previous.mean((2, 3))), auxiliary


class DoubleSpace(DartsSpace):
    """DARTS's space with networks in double precision."""

    def network(self, architecture, task):
        network = super().network(architecture, task)
        if next(network.parameters()).is_meta:
            return network
        network.register_forward_pre_hook(lambda module, inputs: (inputs[0].double(),))
        return network.double()


def images_of_the_same_form(images):
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (images, 3, 32, 32), generator=rng).to(torch.uint8)
    treat = replace(ToyData().splits(0).train.augmentation, crop_padding=4, flip=True)
    part = Split(pixels, torch.arange(len(pixels)) % 10, treat)
    few = part.select(range(4))
    return Task(10, 3, 32), Splits(part, few, few)


def cifar10(images):
    source = catalogue().load("data", "folder")
    data = source(source.parse_options({"path": str(CIFAR10), "size": 32, "limit": 4 * images}))
    splits = data.splits(0)
    assert data.task.classes == 10
    return data.task, replace(splits, train=splits.train.select(range(images)))


@pytest.mark.parametrize(
    ("images", "channels", "cells", "batch"),
    [
        (images_of_the_same_form, 2, 3, 4),
        pytest.param(
            cifar10,
            4,
            6,
            8,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(
                    not (CIFAR10 / "train").is_dir(),
                    reason="NASTK_SHARED names no folder with cifar10/train/CLASS/*.jpg",
                ),
            ],
        ),
    ],
)
def test_twenty_steps_of_darts_v2_are_those_of_the_paper(images, channels, cells, batch):
    # Four epochs of five steps: rate and drop path change between them.
    task, splits = images(STEPS // 4 * batch)
    options = {"network_channels": channels, "network_cells": cells, "auxiliary": True}
    space = DoubleSpace(DoubleSpace.parse_options(options))
    recipe = Recipe(epochs=4, batch_size=batch, drop_path=0.2, cutout=16, auxiliary_weight=0.4)
    setup = TrainingSetup(EvaluationContext(space, task, splits), recipe)
    training = setup.training(space.from_text("DARTS_V2"))
    reference = Network(channels, cells).double()
    pairs = list(zip(reference.parameters(), training.network.parameters(), strict=True))
    with torch.no_grad():
        for theirs, ours in pairs:
            assert theirs.shape == ours.shape
            theirs.copy_(ours)
    training.until(4)
    optimizer = torch.optim.SGD(reference.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)
    batches, losses = setup.batches("train", setup.train), []
    for epoch in range(4):
        rate = 0.025 * (1 + torch.tensor(torch.pi * epoch / 4).cos().item()) / 2
        optimizer.param_groups[0]["lr"] = rate
        for step, (pixels, labels) in enumerate(batches.epoch(epoch), 5 * epoch):
            torch.manual_seed(seed_of(0, "retrain", "noise", step))
            outputs = reference(pixels.double(), 0.2 * epoch / 4)
            logits, auxiliary = (each.float() for each in outputs)
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            (loss + 0.4 * F.cross_entropy(auxiliary, labels)).backward()
            nn.utils.clip_grad_norm_(reference.parameters(), 5.0)
            optimizer.step()
            losses.append(loss.item())
    expected = [sum(losses[5 * epoch : 5 * epoch + 5]) / 5 for epoch in range(4)]
    found = [record.loss for record in training.records]
    assert found == pytest.approx(expected, abs=1e-4)
    assert max(losses) - min(losses) > 0.05  # it learns, so that the losses tell steps apart
