"""`NasBench201Supernet` holds every operation of every edge; a `Mixture` weights them.

A cell iterates over its states, not over its edges: all operations that leave a state are computed
together (`fused_forward.py`). The results are the same; see `docs/spaces/nasbench201.md`.
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
    """The supernet of a `NasBench201Space`; its norms use batch statistics and have no buffers.

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
        """Called for every weight step and measurement: returns the logits under `mixture`."""
        terms = mixture.terms
        state = self.stem(images)
        for block in self.blocks:
            cell = isinstance(block, SearchCell)
            state = self._run(cast(SearchCell, block), state, terms) if cell else block(state)
        return self.head(state)  # type: ignore[no-any-return]

    def measuring(self, images: Float[Tensor, "batch channels height width"]) -> Measure:
        """Called to measure many mixtures on the same images: returns a function of a list."""
        return partial(self._logits, images)

    def together(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> int:
        """Called while measuring: returns how many of `mixtures` to measure in one call.

        For each thread these are as many as fit into one stacked pass (`POSITIONS`), fewer if the
        mixtures compute different operations. The result is 1 where stacking is impossible: on
        other devices than a CPU, with hooked operations, and with norms that have a scale.
        """
        most = POSITIONS // (len(images) * images.shape[2] * images.shape[3])
        if most < 2 or images.device.type != "cpu":
            return 1
        joins = all(cast(Operation, module).joins for _, _, module in self.operations())
        number = evenly(len(mixtures), most * sides())
        return alike(mixtures[:number]) if joins else 1

    def _logits(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> Sequence[Float[Tensor, "batch classes"]]:
        """Returns the logits of each mixture, from one stacked pass on each of torch's threads."""
        if sides() == 1 or len(mixtures) == 1 or images.device.type != "cpu":
            return self._stacked(images, mixtures)
        return side_by_side(partial(self._stacked, images), shares(mixtures, sides()))

    def _stacked(
        self, images: Float[Tensor, "batch channels height width"], mixtures: Sequence[Mixture]
    ) -> Sequence[Float[Tensor, "batch classes"]]:
        """Returns the logits of each mixture, all from one pass.

        The batch holds the images once per mixture, one mixture after the other; norms normalise
        the images of each mixture separately.
        """
        number = len(mixtures)
        if number == 1:
            return [self(images, mixtures[0])]
        terms = stacked(mixtures)
        # (mixtures x batch) x channels x height x width
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
        """Called by updaters that hook or inspect operations: yields (edge, operation, module)."""
        for block in self.blocks:
            if isinstance(block, SearchCell):
                yield from block.modules_of_edges()


class SearchCell(nn.Module):
    """One cell of the supernet, with every operation on each of the six edges.

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
        """Called once per cell: returns its last node.

        `terms` lists the computed operations of each edge with their weights.
        """
        table = [list(cast(Iterable[Operation], candidates)) for candidates in self.edges]
        received: list[State | None] = [state, *[None] * self.nodes]
        for source, leaving in enumerate(self.leaving):
            views, joined = Views(_or_zeros(received[source], state)), []
            for row, node in leaving:
                for column, weight in terms[row]:
                    module = table[row][column]
                    if module.joins:
                        joined.append(OutgoingOperation.of(module, node, weight))
                    else:
                        output = module(views.read(module.reads))
                        received[node] = added(received[node], output, weight)
            received = fused_forward(views.read("state"), received, joined)
        return _or_zeros(received[-1], state)

    def modules_of_edges(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by `NasBench201Supernet.operations`: yields (edge, operation, module)."""
        for row, candidates in enumerate(self.edges):
            for column, module in enumerate(cast(nn.ModuleList, candidates)):
                yield row, column, module


def _or_zeros(received: State | None, like: State) -> State:
    """Returns the sum that a node received, or zeros if no operation leads to the node."""
    return torch.zeros_like(like) if received is None else received
