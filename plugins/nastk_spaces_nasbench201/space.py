"""`NasBench201Space`: the edges of the space and the methods of a search space.

Node 0 is a cell's input, node 3 its output; every node has an edge from every earlier node.
The rows of all tables are these six edges node by node, in the order of the benchmark's string.
"""

import re

import torch
from torch import nn

from nastk import (
    Architecture,
    Edge,
    Inheritance,
    Preset,
    SingleChoiceSpace,
    Subspace,
    Supernet,
    Task,
)
from nastk.base import study_preset
from nastk_spaces_nasbench201 import isomorphism
from nastk_spaces_nasbench201.network import NasBench201Network
from nastk_spaces_nasbench201.operations import OPERATIONS
from nastk_spaces_nasbench201.options import NasBench201Options
from nastk_spaces_nasbench201.size import NetworkSize, count
from nastk_spaces_nasbench201.supernet import NasBench201Supernet
from nastk_spaces_nasbench201.text import NODES, read, write

IN_CELL = re.compile(r"(?P<cell>blocks\.\d+)\.operations\.(?P<edge>\d+)\.(?P<rest>.+)")
"""Matches a network's name of a weight in a cell."""


class NasBench201Space(SingleChoiceSpace):
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
            evaluators=("supernet", "size", "retrain,preset=quick,baseline=1"),
        ),
        study_preset("nasbench201", channels=8, cells=1),
    )

    class Options(NasBench201Options):
        """The options of the space; `options.py` describes them."""

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

    def inheritance(self, architecture: Architecture) -> Inheritance:
        """Called to train a network on from its supernet: cells have one operation an edge."""
        columns = [edge.operations.index(name) for edge, name in self.check(architecture).links()]

        def name_of(name: str) -> str:
            found = IN_CELL.fullmatch(name)
            if found is None:
                return name
            row = int(found["edge"])
            return f"{found['cell']}.edges.{row}.{columns[row]}.{found['rest']}"

        options = self.options
        size = {"network_channels": options.channels, "network_cells": options.cells}
        return Inheritance(name_of, size)

    def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
        """Called by updaters that sample: draws an architecture of `subspace` uniformly.

        Raises:
            PluginError: no architecture lies in `subspace`.
        """
        self.refuse_empty(subspace)
        alive = [subspace.operations(edge) for edge in range(len(self.edges))]
        return self.chosen(
            columns[int(torch.randint(len(columns), (), generator=rng))] for columns in alive
        )

    def to_text(self, architecture: Architecture) -> str:
        """Returns the benchmark's string: `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...`."""
        return write(self._names(architecture))

    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`; also reads other programs' spellings, and nastk's own JSON.

        Raises:
            DataError: the text is no architecture of this space; the message says where it departs
                from the expected form.
        """
        if (architecture := self.own(text)) is not None:
            return architecture
        return self.architecture((name,) for name in read(text, self.edges[0].operations))

    def canonical(self, architecture: Architecture) -> str:
        """Called to recognise duplicates: equal texts are one architecture to the benchmark."""
        return isomorphism.canonical(self.check(architecture))

    def size(self, architecture: Architecture, task: Task) -> NetworkSize:
        """Called to bound or rank by size: returns the size of the stand-alone network."""
        options = self.options
        names = self._names(architecture)
        return count(names, options.network_channels, options.network_cells, task)

    def _names(self, architecture: Architecture) -> list[str]:
        """Returns the operation on each edge."""
        return [name for (name,) in self.check(architecture).choices]
