"""A textbook supernet and ours with the same weights, mixtures and batches: `Pair`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.ours import Ours
from benchmarks.reference.darts import DartsReference
from benchmarks.reference.macro import MacroReference
from benchmarks.reference.nasbench201 import NasBench201Reference
from benchmarks.reference.training import Images
from nastk import (
    Architecture,
    Batch,
    Execution,
    Mixture,
    NastkError,
    SearchSpace,
    Subspace,
    Supernet,
    Task,
    catalogue,
)
from nastk.base.seeds import generator

BATCHES = 2
"""Batches that both sides take turns with."""


@dataclass(frozen=True)
class Pair:
    """What both sides compute with.

    `space_name` is `darts`, `nasbench201` or `nasbench-macro`, `options` the space's, `batch_size`
    images of `side` x `side` pixels, `threads` those of torch. Where `alive` is not 0, so many
    operations of each edge are alive, drawn at random.

    Example:
        pair = Pair("darts", {"channels": 4, "cells": 3}, side=8, batch_size=2)
        ours, reference = pair.ours(), pair.reference()
    """

    space_name: str
    options: Mapping[str, Any]
    side: int
    batch_size: int
    threads: int = 0
    alive: int = 0

    @cached_property
    def space(self) -> SearchSpace:
        """The space, from the catalogue of what is installed."""
        found = catalogue().load("space", self.space_name)
        return found(found.parse_options(self.options))  # type: ignore[no-any-return]

    @cached_property
    def task(self) -> Task:
        """Ten classes of colour images."""
        return Task(classes=10, channels=3, size=self.side)

    @cached_property
    def subspace(self) -> Subspace:
        """What is alive."""
        full = self.space.full()
        if not self.alive:
            return full
        rng = generator(0, "benchmarks", "alive")
        draws = torch.rand(full.mask.shape, generator=rng)
        return Subspace.of(full.mask & (draws.argsort(1).argsort(1) < self.alive))

    def alpha(self, run: int) -> Tensor:
        """Architecture logits of run `run`: another mixture for each, so that none is a repeat."""
        shape = self.subspace.mask.shape
        return torch.randn(shape, generator=generator(run, "benchmarks", "alpha")) / 2

    def mixture(self, run: int) -> Mixture:
        """The softmax of `alpha(run)` over what is alive."""
        return Mixture.softmax(self.alpha(run), self.subspace)

    def path(self, run: int) -> Architecture:
        """A random architecture for run `run`."""
        return self.space.sample(self.subspace, generator(run, "benchmarks", "path"))

    def columns(self, run: int) -> Tensor:
        """The same as the reference takes it: the number of each edge's operation."""
        return torch.tensor(self.path(run).table()).int().argmax(1)

    def order(self, run: int) -> list[tuple[int, int]]:
        """A removal order of all players, another one for each run."""
        players = self.subspace.alive_operations()
        rng = generator(run, "benchmarks", "order")
        return [players[int(place)] for place in torch.randperm(len(players), generator=rng)]

    def images(self, run: int, dtype: torch.dtype = torch.float32) -> Images:
        """The reference's batch of run `run`: normal noise in NCHW."""
        rng = generator(run % BATCHES, "benchmarks", "images")
        images = torch.randn(self.batch_size, 3, self.side, self.side, generator=rng)
        labels = torch.randint(self.task.classes, (self.batch_size,), generator=rng)
        return Images(images.to(dtype), labels)

    def batch(self, run: int, dtype: torch.dtype = torch.float32) -> Batch:
        """The same batch as a stream of nastk gives it: channels last in memory."""
        images, labels = self.images(run, dtype)
        return Batch(images.contiguous(memory_format=torch.channels_last), labels)

    def small(self, size: int) -> "Pair":
        """The same with batches of `size` images, for checks in float64."""
        return replace(self, batch_size=size)

    def ours(
        self,
        bf16: bool = False,
        updater: str | None = None,
        updater_options: Mapping[str, Any] | None = None,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        graphs: bool = False,
    ) -> Ours:
        """Our side, in its initial weights; with `graphs`, passes are replayed as CUDA graphs."""
        execution = Execution.choose(device, "bf16" if bf16 else "fp32", threads=self.threads)
        batches = [self.batch(run, dtype) for run in range(BATCHES)]
        batches = [Batch(*(tensor.to(device) for tensor in batch)) for batch in batches]
        ours = Ours(self.space, self.task, batches, execution, updater, updater_options, graphs)
        ours.branch.supernet.to(dtype)
        ours.branch.subspace = self.subspace
        return ours

    def reference(self) -> nn.Module:
        """The textbook's side, with weights of its own."""
        options = self.space.options
        if self.space_name == "nasbench201":
            return NasBench201Reference(
                self.space.edges, self.task, options.channels, options.cells
            )
        if self.space_name == "nasbench-macro":
            return MacroReference(self.task, options.channels, options.head_channels)
        return DartsReference(
            self.space.edges,
            self.task,
            options.channels,
            options.cells,
            options.partial_channels,
            options.pool_norm,
        )

    def both(
        self, bf16: bool = False, dtype: torch.dtype = torch.float32
    ) -> tuple[Ours, nn.Module]:
        """Both sides, the reference with our weights."""
        ours, reference = self.ours(bf16, dtype=dtype), self.reference().to(dtype)
        copy_weights(ours.branch.supernet, reference)
        return ours, reference


def matched(supernet: Supernet, reference: nn.Module) -> list[tuple[str, Tensor, Tensor]]:
    """Each of our weights with its name and its counterpart in the textbook.

    Operations are paired by edge, operation and cell, and the rest by its order. Names and nesting
    are free.

    Raises:
        NastkError: the two do not have the same weights.
    """
    names = {id(weight): name for name, weight in supernet.named_parameters()}
    pairs = list(zip(_weights(supernet), _weights(reference), strict=False))
    if len(_weights(supernet)) != len(_weights(reference)) or any(
        one.shape != other.shape for one, other in pairs
    ):
        raise NastkError(
            f"The supernet {type(supernet).__name__} and its textbook form have different weights. "
            "Bring benchmarks/reference/ up to date with the space."
        )
    return [(names[id(one)], one, other) for one, other in pairs]


@torch.no_grad()
def copy_weights(supernet: Supernet, reference: nn.Module) -> None:
    """Give the reference our weights."""
    for _, ours, theirs in matched(supernet, reference):
        theirs.copy_(ours)


def _weights(network: Any) -> list[Tensor]:
    """All weights: those of operations sorted by edge and operation, then the others in order."""
    table: dict[tuple[int, int], list[Tensor]] = {}
    for edge, operation, module in network.operations():
        table.setdefault((edge, operation), []).extend(module.parameters())
    inside = [weight for key in sorted(table) for weight in table[key]]
    seen = {id(weight) for weight in inside}
    return inside + [weight for weight in network.parameters() if id(weight) not in seen]
