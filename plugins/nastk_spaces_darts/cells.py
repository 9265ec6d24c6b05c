"""`CellSpace`: the base class of all spaces of DARTS cells, which differ in the edges' operations.

Nodes 0 and 1 of a cell are its two inputs. Every later node has an edge from every node before it;
the rows of all tables are the normal cell's edges and then the reduction cell's, node by node.
`space.py` and `robust.py` define the spaces.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk import (
    Architecture,
    ConfigurationError,
    DataError,
    Edge,
    Inheritance,
    PluginError,
    SearchSpace,
    Subspace,
    Supernet,
    Task,
)
from nastk.base import near_miss
from nastk_spaces_darts import choice
from nastk_spaces_darts.genotype import GROUPS, Cell, nodes_of, read, write
from nastk_spaces_darts.network import DartsNetwork
from nastk_spaces_darts.options import DartsOptions
from nastk_spaces_darts.published import PUBLISHED
from nastk_spaces_darts.skeleton import reductions
from nastk_spaces_darts.spelling import FORMS
from nastk_spaces_darts.supernet import DartsSupernet

IN_CELL = re.compile(r"cells\.(?P<cell>\d+)\.operations\.(?P<link>\d+)\.(?P<rest>.+)")
"""Matches a network's name of a weight of a chosen operation."""


class CellSpace(SearchSpace, ABC):
    """A space of DARTS cells (Liu et al. 2019): two cell types, each node keeps two operations.

    A subclass sets `name` and `summary` and implements `candidates`.

    Example: `class Tiny(CellSpace)` with `name`, `summary` and

        def candidates(self, group, number):
            return ("skip_connect", "sep_conv_3x3")
    """

    def __init__(self, options: DartsOptions | None = None) -> None:
        super().__init__(options)
        none = ("none",) if self.options.include_none else ()
        pairs = [
            (source, node) for node in range(2, 2 + self.options.nodes) for source in range(node)
        ]
        self.edges = tuple(
            Edge(
                f"{group}:{source}->{node}",
                (*none, *self.candidates(group, number)),
                group,
                source,
                node,
            )
            for group in GROUPS
            for number, (source, node) in enumerate(pairs)
        )

    @abstractmethod
    def candidates(self, group: str, number: int) -> tuple[str, ...]:
        """Called once for each edge: returns the operations of edge `number`, besides `none`.

        `group` is the cell type. Edges are numbered from 0 node by node, those of a node by their
        source.
        """

    def supernet(self, task: Task) -> Supernet:
        """Called once for every fresh branch, under the run's `weights` random stream."""
        return DartsSupernet(self.options, self.edges, task)

    def network(self, architecture: Architecture, task: Task) -> nn.Module:
        """Called to train, count or export an architecture: a `DartsNetwork`.

        Raises:
            ConfigurationError: the auxiliary head does not fit the images.
        """
        return DartsNetwork(self.options, self.check(architecture), task)

    def inheritance(self, architecture: Architecture) -> Inheritance:
        """Called to train a network on from its supernet: cells have the chosen operations.

        Poolings have a norm in the supernet and none in the network, so the two differ there.

        Raises:
            ConfigurationError: the supernet's operations work on a part of the channels.
        """
        options = self.options
        if options.partial_channels > 1:
            raise ConfigurationError(
                f"A supernet with partial_channels={options.partial_channels} has operations on a "
                "part of the channels, whose weights fit no network. Search with "
                "-s partial_channels=1, or train from scratch."
            )
        chosen: dict[str, list[str]] = {group: [] for group in GROUPS}
        rows = {
            edge.name: row
            for group in GROUPS
            for row, edge in enumerate(edge for edge in self.edges if edge.group == group)
        }
        for edge, name in self.check(architecture).links():
            chosen[edge.group].append(f"edges.{rows[edge.name]}.{edge.operations.index(name)}")

        def name_of(name: str) -> str:
            found = IN_CELL.fullmatch(name)
            if found is None:
                return name
            cell = int(found["cell"])
            group = "reduce" if cell in reductions(options.cells) else "normal"
            return f"cells.{cell}.{chosen[group][int(found['link'])]}.{found['rest']}"

        size = {"network_channels": options.channels, "network_cells": options.cells}
        return Inheritance(name_of, size)

    def decide(self, scores: Float[Tensor, "edges ops"], subspace: Subspace) -> Architecture:
        """Called by updaters: each node keeps its two best operations by score, never `none`.

        With the option `distinct_inputs` they come from two different inputs.

        Raises:
            PluginError: no cell lies in `subspace`, or the score of an alive operation is not a
                number.
        """
        self._refuse_empty(subspace)
        table = self.readable(scores, subspace).tolist()
        return self._chosen(
            choice.decide(self.edges, subspace, table, self.options.distinct_inputs)
        )

    def sample(self, subspace: Subspace, rng: torch.Generator) -> Architecture:
        """Called by updaters that sample: draws an architecture of `subspace` uniformly.

        Raises:
            PluginError: no cell lies in `subspace`.
        """
        self._refuse_empty(subspace)
        return self._chosen(choice.draw(self.edges, subspace, self.options.distinct_inputs, rng))

    def why_empty(self, subspace: Subspace) -> str | None:
        """Called for every subspace of an updater: returns which node has too few operations left.

        The result is None if the subspace holds a cell.
        """
        return choice.why_empty(self.edges, subspace, self.options.distinct_inputs)

    def check(self, architecture: Architecture) -> Architecture:
        """Returns `architecture` if its nodes keep two operations of this space, never `none`.

        Two operations of one input are accepted whatever the option `distinct_inputs` says: it
        limits what is decided, not what can be built.

        Raises:
            DataError: it belongs to another space, or a node keeps other or fewer operations.
        """
        super().check(architecture)
        for group, cell in self._cells(architecture).items():
            for number, links in enumerate(cell, start=2):
                if len(links) != choice.KEPT or any(name == "none" for name, _ in links):
                    raise DataError(
                        f"Node {number} of the {group} cell must keep {choice.KEPT} operations, "
                        f"none of them 'none', got {links}."
                    )
        return architecture

    def to_text(self, architecture: Architecture) -> str:
        """Returns the genotype, `Genotype(normal=[('sep_conv_3x3', 0), ...], ...)`."""
        cells = self._cells(self.check(architecture))
        return write(cells["normal"], cells["reduce"])

    def from_text(self, text: str) -> Architecture:
        """The inverse of `to_text`; also reads a published cell by its name, such as `DARTS_V2`.

        It reads all spellings of other programs (`spelling.py`), and nastk's own JSON.

        Raises:
            DataError: the text is no architecture of this space; the message says where it departs
                from the expected form.
        """
        if (architecture := self.own(text)) is not None:
            return architecture
        if text.strip().isidentifier():
            text = _published(text.strip(), self.options.nodes)
        cells = read(text, self._operations(), self.options.nodes)
        self._refuse_strangers(cells)
        wanted = {
            (group, number, source, operation)
            for group, cell in cells.items()
            for number, links in enumerate(cell, start=2)
            for operation, source in links
        }
        return self.architecture(
            [name for name in edge.operations if (edge.group, edge.head, edge.tail, name) in wanted]
            for edge in self.edges
        )

    @classmethod
    def options_for(cls, text: str) -> dict[str, Any]:
        """Called for a text without options: returns `nodes` unless it is the default number.

        See `SearchSpace.options_for`.
        """
        nodes = nodes_of(text)
        usual = cls.Options.model_fields["nodes"].default
        return {} if nodes in (None, usual) else {"nodes": nodes}

    def _chosen(self, candidates: Iterable[choice.Candidate]) -> Architecture:
        """Returns the architecture that keeps these (edge, column) candidates."""
        kept = set(candidates)
        return self.architecture(
            [name for column, name in enumerate(edge.operations) if (index, column) in kept]
            for index, edge in enumerate(self.edges)
        )

    def _cells(self, architecture: Architecture) -> dict[str, Cell]:
        """Returns the chosen (operation, source) of each node by group, in the order of edges."""
        cells: dict[str, Cell] = {
            group: [[] for _ in range(self.options.nodes)] for group in GROUPS
        }
        for edge, operation in architecture.links():
            cells[edge.group][edge.head - 2].append((operation, edge.tail))
        return cells

    def _operations(self) -> tuple[str, ...]:
        """Returns the operations of all edges without repetition."""
        return tuple(dict.fromkeys(name for edge in self.edges for name in edge.operations))

    def _refuse_strangers(self, cells: dict[str, Cell]) -> None:
        """Raises a DataError if a cell has an operation that its edge does not offer."""
        offered = {(edge.group, edge.tail, edge.head): edge.operations for edge in self.edges}
        for group, cell in cells.items():
            for number, links in enumerate(cell, start=2):
                for name, source in links:
                    known = offered[group, source, number]
                    if name not in known:
                        raise DataError(
                            f"Edge {group}:{source}->{number} of space {self.name!r} has no "
                            f"operation {name!r}. It has: {', '.join(known)}."
                        )

    def _refuse_empty(self, subspace: Subspace) -> None:
        if why := self.why_empty(subspace):
            raise PluginError(f"No architecture lies in this subspace: {why}.")


def _published(name: str, nodes: int) -> str:
    """Returns the text of a published cell, for a space of `nodes` nodes."""
    if name.upper() not in PUBLISHED:
        near = near_miss(name.upper(), PUBLISHED)
        raise DataError(
            f"No published cell is named {name!r}.{near} Known: {', '.join(PUBLISHED)}. "
            f"Otherwise expected {FORMS}."
        )
    text = PUBLISHED[name.upper()]
    if (has := nodes_of(text)) != nodes:
        raise DataError(
            f"The cells of {name.upper()} have {has} nodes, those of this space {nodes}. "
            f"Use `-s nodes={has}`."
        )
    return text
