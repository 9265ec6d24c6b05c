"""`NasBench201Space`: the space's edges, and who answers each of a space's questions.

Node 0 is a cell's input, node 3 its output; every later node has an edge from every node before it.
The rows of all tables are these six edges node by node, in the order of the benchmark's string.
"""

from collections.abc import Iterator
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk.architecture import Architecture
from nastk.component import Preset
from nastk.data.task import Task
from nastk.errors import DataError, PluginError
from nastk.space import SearchSpace
from nastk.subspace import Edge, Subspace
from nastk.supernet import Supernet
from nastk_spaces_nasbench201 import isomorphism
from nastk_spaces_nasbench201.network import NasBench201Network
from nastk_spaces_nasbench201.operations import OPERATIONS
from nastk_spaces_nasbench201.options import NasBench201Options
from nastk_spaces_nasbench201.size import NetworkSize, count
from nastk_spaces_nasbench201.supernet import NasBench201Supernet
from nastk_spaces_nasbench201.text import NODES, read, write


class NasBench201Space(SearchSpace):
    """The space of NAS-Bench-201 (Dong and Yang 2020, section 2.1): six edges, one operation each.

    Example:
        space = NasBench201Space(NasBench201Space.Options(channels=8, cells=1))
        logits = space.supernet(task)(images, Mixture.uniform(space.full()))
        network = space.network(space.sample(space.full(), rng), task)
    """

    name = "nasbench201"
    summary = "NAS-Bench-201: one cell of 4 nodes, 6 edges, 5 operations; 15,625 networks"
    presets = (
        Preset(
            "quick",
            "nastk: small enough to search in minutes on two CPU cores",
            space=("nasbench201",),
            space_options={"channels": 8, "cells": 1},
        ),
    )

    class Options(NasBench201Options):
        """Described in `options.py`."""

    def __init__(self, options: NasBench201Options | None = None) -> None:
        super().__init__(options)
        operations = OPERATIONS[1:] if self.options.exclude_none else OPERATIONS
        self.edges = tuple(
            Edge(f"cell:{source}->{node}", operations, "cell", source, node)
            for node in range(1, NODES)
            for source in range(node)
        )

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch, under the run's `weights` random stream."""
        return NasBench201Supernet(self.options, self.edges, task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: a `NasBench201Network`."""
        return NasBench201Network(self.options, self.check(architecture), task)

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: the best living operation of each edge, `none` too; ties: the first.

        Raises:
            PluginError: no architecture lies in `subspace`, or a living score is not a number.
        """
        self._refuse_empty(subspace)
        table = self.readable(scores, subspace).tolist()
        return self._chosen(
            max(subspace.operations(edge), key=row.__getitem__) for edge, row in enumerate(table)
        )

    def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
        """Called by updaters that draw: one of the architectures of `subspace`, all equally likely.

        Raises:
            PluginError: no architecture lies in `subspace`.
        """
        self._refuse_empty(subspace)
        alive = [subspace.operations(edge) for edge in range(len(self.edges))]
        return self._chosen(
            columns[int(torch.randint(len(columns), (), generator=rng))] for columns in alive
        )

    def check(self, architecture: Architecture) -> Architecture:
        """`architecture` itself if it is one of this space: exactly one operation on each edge.

        Raises:
            DataError: it belongs to another space or other options, or an edge has none or several.
        """
        super().check(architecture)
        for edge, chosen in zip(self.edges, architecture.choices, strict=True):
            if len(chosen) != 1:
                raise DataError(
                    f"Edge {edge.name} must have one operation (which may be 'none'), got "
                    f"{len(chosen)}{': ' if chosen else ''}{', '.join(chosen)}."
                )
        return architecture

    def to_text(self, architecture: Architecture) -> str:
        """The benchmark's string: `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...`."""
        return write(self._names(architecture))

    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`.

        Raises:
            DataError: the text is no architecture of this space; says where it stops being one.
        """
        return self.architecture((name,) for name in read(text, self.edges[0].operations))

    def architectures(self) -> Iterator[Architecture]:
        """Called to go through the whole space: every architecture, the last edge changing fastest.

        Isomorphic ones are all there: 15,625, or 4,096 without `none`.
        """
        for names in product(*(edge.operations for edge in self.edges)):
            yield self.architecture((name,) for name in names)

    def canonical(self, architecture: Architecture) -> str:
        """Called to tell duplicates: one text for all that the benchmark counts as one."""
        return isomorphism.canonical(self.check(architecture))

    def size(self, architecture: Architecture, task: Task) -> NetworkSize:
        """Called to bound or rank by size: the stand-alone network's, without building it."""
        options = self.options
        names = self._names(architecture)
        return count(names, options.network_channels, options.network_cells, task)

    def _names(self, architecture: Architecture) -> list[str]:
        """The operation on each edge."""
        return [name for (name,) in self.check(architecture).choices]

    def _chosen(self, columns: Iterator[int]) -> Architecture:
        return self.architecture(
            (edge.operations[column],) for edge, column in zip(self.edges, columns, strict=True)
        )

    def _refuse_empty(self, subspace: Subspace) -> None:
        if why := self.complaint(subspace):
            raise PluginError(f"No architecture lies in this subspace: {why}.")
