"""Every operation of every edge at once: `NasBench201Supernet`, told by a `Mixture` how to mix.

A cell walks over its states and not over its edges, so that what all edges leaving a state share
(the ReLU, the pooling) is computed once. This changes no number: see `docs/spaces/nasbench201.md`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk.data.task import Task
from nastk.mixture import Mixture
from nastk.subspace import Edge
from nastk.supernet import Supernet
from nastk_spaces_nasbench201.operations import (
    BatchNorm,
    Norm,
    Operation,
    State,
    Views,
    add,
    operation,
)
from nastk_spaces_nasbench201.options import NasBench201Options
from nastk_spaces_nasbench201.skeleton import Head, stages, stem

Terms = Sequence[tuple[int, Tensor]]
"""The operations of one edge that are computed: (column, weight)."""


class NasBench201Supernet(Supernet):
    """The supernet of a `NasBench201Space`; its norms use the batch and keep nothing.

    Example: `logits = space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    def __init__(self, options: NasBench201Options, edges: Sequence[Edge], task: Task) -> None:
        super().__init__()
        outer, inner = partial(BatchNorm, affine=True), partial(BatchNorm, affine=options.affine)
        cell = partial(SearchCell, edges, norm=inner)
        self.stem = stem(task.channels, options.channels, outer)
        self.blocks = stages(options.channels, options.cells, cell, outer)
        self.head = Head(4 * options.channels, task.classes, outer)

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """Called for every weight step and every measurement: the logits under `mixture`."""
        # Unbound once: all cells read the same scalars, and no weight ever travels to the host.
        weights = [row.unbind() for row in mixture.weights.unbind()]
        terms = [
            [(column, row[column]) for column, active in enumerate(switches) if active]
            for row, switches in zip(weights, mixture.active.tolist(), strict=True)
        ]
        state = self.stem(images)
        for block in self.blocks:
            state = block(state, terms) if isinstance(block, SearchCell) else block(state)
        return self.head(state)  # type: ignore[no-any-return]

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by updaters that hook operations or tell them apart: (edge, operation, module)."""
        for block in self.blocks:
            if isinstance(block, SearchCell):
                yield from block.modules_of_edges()


class SearchCell(nn.Module):
    """One cell of the supernet: every operation on each of the six edges.

    Example: `SearchCell(space.edges, 16, norm=partial(BatchNorm, affine=False))(state, terms)`
    """

    def __init__(self, edges: Sequence[Edge], channels: int, norm: Norm) -> None:
        super().__init__()
        self.nodes = edges[-1].node
        self.leaving = [
            [(row, edge.node) for row, edge in enumerate(edges) if edge.source == source]
            for source in range(self.nodes)
        ]
        self.edges = nn.ModuleList(
            nn.ModuleList(operation(name, channels, norm) for name in edge.operations)
            for edge in edges
        )

    def forward(self, state: State, terms: Sequence[Terms]) -> State:
        """Called once a cell: its last node; `terms` says what each edge computes and weights."""
        received: list[State | None] = [state, *[None] * self.nodes]
        for source, leaving in enumerate(self.leaving):
            views = Views(_or_zeros(received[source], state))
            for row, node in leaving:
                for column, weight in terms[row]:
                    module = self._operation(row, column)
                    received[node] = add(received[node], module(views.read(module.reads)), weight)
        return _or_zeros(received[-1], state)

    def modules_of_edges(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by `NasBench201Supernet.operations`: (edge, operation, module) of this cell."""
        for row, candidates in enumerate(self.edges):
            for column, module in enumerate(cast(nn.ModuleList, candidates)):
                yield row, column, module

    def _operation(self, row: int, column: int) -> Operation:
        return cast(Operation, cast(nn.ModuleList, self.edges[row])[column])


def _or_zeros(received: State | None, like: State) -> State:
    """What a node received; zeros where no operation leads to it."""
    return torch.zeros_like(like) if received is None else received
