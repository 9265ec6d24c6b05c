"""Every operation of every edge at once: `NasBench201Supernet`, told by a `Mixture` how to mix.

A cell walks over its states and not over its edges: all that leaves a state is computed together
(`fused_forward.py`). This changes no number: see `docs/spaces/nasbench201.md`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk import Edge, Mixture, Supernet, Task
from nastk.nn import BatchNorm, added
from nastk.spaces import Measure, Terms, recomputed
from nastk_spaces_nasbench201.fused_forward import fused_forward
from nastk_spaces_nasbench201.node_state import OutgoingOperation
from nastk_spaces_nasbench201.operations import Norm, Operation, State, Views, operation
from nastk_spaces_nasbench201.options import NasBench201Options
from nastk_spaces_nasbench201.skeleton import Head, stages, stem
from nastk_spaces_nasbench201.stacking import (
    POSITIONS,
    alike,
    evenly,
    shares,
    side_by_side,
    sides,
    stacked,
)


class NasBench201Supernet(Supernet):
    """The supernet of a `NasBench201Space`; its norms use the batch and keep nothing.

    Example: `logits = space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    def __init__(self, options: NasBench201Options, edges: Sequence[Edge], task: Task) -> None:
        super().__init__()
        outer, inner = partial(BatchNorm, affine=True), partial(BatchNorm, affine=options.affine)
        cell = partial(SearchCell, edges, norm=inner)
        self.recompute = options.recompute
        self.stem = stem(task.channels, options.channels, outer)
        self.blocks = stages(options.channels, options.cells, cell, outer)
        self.head = Head(4 * options.channels, task.classes, outer)

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """Called for every weight step and every measurement: the logits under `mixture`."""
        terms = mixture.terms
        state = self.stem(images)
        for block in self.blocks:
            cell = isinstance(block, SearchCell)
            state = self._run(cast(SearchCell, block), state, terms) if cell else block(state)
        return self.head(state)  # type: ignore[no-any-return]

    def measuring(self, images: Float[Tensor, "batch channels height width"]) -> Measure:
        """Called to measure many mixtures on the same images: several at once, if asked so."""
        return partial(self._answers, images)

    def together(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> int:
        """Called while measuring: for each thread as many as keep a pass's share of calls small.

        Fewer where they do not agree in what they compute; one where this is not possible: only on
        a CPU, where nobody listens to an operation and no norm has a scale of its own.
        """
        most = POSITIONS // (len(images) * images.shape[2] * images.shape[3])
        if most < 2 or images.device.type != "cpu":
            return 1
        joins = all(cast(Operation, module).joins for _, _, module in self.operations())
        number = evenly(len(mixtures), most * sides())
        return alike(mixtures[:number]) if joins else 1

    def _answers(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> Sequence[Float[Tensor, "batch classes"]]:
        """A pass on each of torch's threads, of as many mixtures each."""
        if sides() == 1 or len(mixtures) == 1 or images.device.type != "cpu":
            return self._stacked(images, mixtures)
        return side_by_side(partial(self._stacked, images), shares(mixtures, sides()))

    def _stacked(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> Sequence[Float[Tensor, "batch classes"]]:
        """One pass for all: the images of each mixture one after the other, norms apart."""
        number = len(mixtures)
        if number == 1:
            return [self(images, mixtures[0])]
        terms = stacked(mixtures)
        state = self.stem(images).repeat(number, 1, 1, 1)
        for block in self.blocks:
            if isinstance(block, SearchCell):
                state = block(state, terms)
            else:
                state = torch.cat([block(part) for part in state.chunk(number)])
        return [self.head(part) for part in state.chunk(number)]

    def _run(self, cell: "SearchCell", state: State, terms: Terms) -> State:
        if self.recompute and torch.is_grad_enabled():
            return recomputed(cell, state, terms)  # type: ignore[no-any-return]
        return cell(state, terms)  # type: ignore[no-any-return]

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
        self.nodes = edges[-1].head
        self.leaving = [
            [(row, edge.head) for row, edge in enumerate(edges) if edge.tail == source]
            for source in range(self.nodes)
        ]
        self.edges = nn.ModuleList(
            nn.ModuleList(operation(name, channels, norm) for name in edge.operations)
            for edge in edges
        )

    def forward(self, state: State, terms: Terms) -> State:
        """Called once a cell: its last node; `terms` says what each edge computes and weights."""
        table = [list(cast(Iterable[Operation], candidates)) for candidates in self.edges]
        received: list[State | None] = [state, *[None] * self.nodes]
        for source, leaving in enumerate(self.leaving):
            views, together = Views(_or_zeros(received[source], state)), []
            for row, node in leaving:
                for column, weight in terms[row]:
                    module = table[row][column]
                    if module.joins:
                        together.append(OutgoingOperation.of(module, node, weight))
                    else:
                        output = module(views.read(module.reads))
                        received[node] = added(received[node], output, weight)
            received = fused_forward(views.read("state"), received, together)
        return _or_zeros(received[-1], state)

    def modules_of_edges(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by `NasBench201Supernet.operations`: (edge, operation, module) of this cell."""
        for row, candidates in enumerate(self.edges):
            for column, module in enumerate(cast(nn.ModuleList, candidates)):
                yield row, column, module


def _or_zeros(received: State | None, like: State) -> State:
    """What a node received; zeros where no operation leads to it."""
    return torch.zeros_like(like) if received is None else received
