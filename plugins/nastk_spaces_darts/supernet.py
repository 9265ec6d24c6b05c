"""Every operation of every edge at once: `DartsSupernet`, told by a `Mixture` how to mix.

A cell walks over its *states* (two inputs, then its nodes) and not over its edges, so that what all
edges leaving a state share (a ReLU, a pooling with its norm, the channels that bypass the
operations) is computed once. This changes no number: see `docs/spaces/darts.md`.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.data.task import Task
from nastk.mixture import Mixture
from nastk.subspace import Edge
from nastk.supernet import Supernet
from nastk_spaces_darts.operations import (
    BatchNorm,
    Noise,
    Operation,
    State,
    Views,
    Zero,
    operation,
)
from nastk_spaces_darts.options import DartsOptions
from nastk_spaces_darts.skeleton import CellPlan, Stem, average, plan, preprocess

Terms = Sequence[tuple[int, Tensor]]
"""The operations of one edge that are computed: (column, weight)."""


class DartsSupernet(Supernet):
    """The supernet of a `DartsSpace`; norms use the batch and keep nothing, so it has no buffers.

    Example: `logits = space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    def __init__(self, options: DartsOptions, edges: Sequence[Edge], task: Task) -> None:
        super().__init__()
        imagenet = options.is_imagenet(task)
        stem_channels = options.stem_multiplier * options.channels
        self.edge_weights = options.edge_weights
        self.stem = Stem(task.channels, stem_channels, imagenet, partial(BatchNorm, affine=True))
        plans = plan(options.cells, options.channels, stem_channels, options.nodes, imagenet)
        self.cells = nn.ModuleList(
            SearchCell(each, edges, options.partial_channels, options.pool_norm) for each in plans
        )
        self.classifier = nn.Linear(options.nodes * plans[-1].channels, task.classes)

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
        around = self._bypass_weights(mixture)
        before, previous = self.stem(images)
        for cell in self.cells:
            before, previous = previous, cell(before, previous, terms, around)
        return self.classifier(average(previous))  # type: ignore[no-any-return]

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called to hook or tell apart operations: (edge, operation, module), cell by cell."""
        for cell in self.cells:
            yield from cast(SearchCell, cell).modules_of_edges()

    def _bypass_weights(self, mixture: Mixture) -> Sequence[Tensor] | None:
        """With `edge_weights`, what scales each edge's bypass: the sum of its active weights."""
        if not self.edge_weights:
            return None
        active = mixture.active.to(mixture.weights.device, non_blocking=True)
        return (mixture.weights * active).sum(1).unbind()


class SearchCell(nn.Module):
    """One cell of the supernet: every operation on each edge of its group.

    With `parts` > 1 (PC-DARTS) the operations see the first channels/parts of a state's channels;
    the others go around them, and a shuffle at each node brings both together.
    """

    def __init__(self, plan: CellPlan, edges: Sequence[Edge], parts: int, pool_norm: bool) -> None:
        super().__init__()
        own = [(row, edge) for row, edge in enumerate(edges) if edge.group == plan.group]
        states = own[-1][1].node
        self.parts = parts
        self.pool_norm = pool_norm
        self.mixed_channels = plan.channels // parts
        self.strides = [2 if plan.reduction and source < 2 else 1 for source in range(states)]
        self.leaving = [
            [(row, edge.node - 2) for row, edge in own if edge.source == s] for s in range(states)
        ]
        self.noisy = any("noise" in edge.operations for _, edge in own)
        self.preprocess0, self.preprocess1 = preprocess(plan, BatchNorm)
        self.nothing = Zero(self.strides[0])
        self.first_row = own[0][0]
        self.edges = nn.ModuleList(
            nn.ModuleList(
                operation(name, self.mixed_channels, self.strides[edge.source], BatchNorm)
                for name in edge.operations
            )
            for _, edge in own
        )

    def forward(
        self,
        before: State,
        previous: State,
        terms: Sequence[Terms],
        around: Sequence[Tensor] | None,
    ) -> State:
        """Called once a cell: the nodes of the cell side by side.

        `terms` says for each edge of the space what to compute and with which weight. `around` are
        the weights of the bypassing channels for each edge; None leaves them as they are.
        """
        states = [self.preprocess0(before), self.preprocess1(previous)]
        # Mixtures of one step are compared: a noise must be the same whatever else is active.
        seed = int(torch.randint(2**62, (), device="cpu")) if self.noisy else 0
        mixed: list[State | None] = [None] * (len(self.leaving) - 1)
        bypass: list[State | None] = [None] * (len(self.leaving) - 1)
        flow: State | None = None
        for source, leaving in enumerate(self.leaving):
            views = Views(
                states[source][:, : self.mixed_channels], self.strides[source], self.pool_norm
            )
            rest = self._rest(states[source], self.strides[source])
            # Unscaled, every later node gets the same from this state: one running sum serves them
            # all.
            flow = rest if flow is None or rest is None else flow + rest
            for edge, node in leaving:
                for column, weight in terms[edge]:
                    module = self._operation(edge, column)
                    if isinstance(module.body, Noise):
                        module.body.seed = seed + edge
                    mixed[node] = add(mixed[node], module(views.read(module.reads)), weight)
                if rest is not None and around is not None:
                    bypass[node] = add(bypass[node], rest, around[edge])
            if source > 0:
                around_it = flow if around is None else bypass[source - 1]
                states.append(self._node(mixed[source - 1], around_it, states[0]))
        return torch.cat(states[2:], 1)

    def modules_of_edges(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by `DartsSupernet.operations`: (edge, operation, module) of this cell."""
        for row, candidates in enumerate(self.edges, self.first_row):
            for column, module in enumerate(cast(nn.ModuleList, candidates)):
                yield row, column, module

    def _operation(self, row: int, column: int) -> Operation:
        return cast(Operation, cast(nn.ModuleList, self.edges[row - self.first_row])[column])

    def _rest(self, state: State, stride: int) -> State | None:
        """The channels that go around the operations, at the size that leaves the edge."""
        if self.parts == 1:
            return None
        rest = state[:, self.mixed_channels :]
        return rest if stride == 1 else F.max_pool2d(rest, 2, 2, ceil_mode=True)

    def _node(self, mixed: State | None, bypass: State | None, like: State) -> State:
        """The sum that reached a node, shuffled once; shuffling each edge gives the same."""
        if mixed is None:
            mixed = self.nothing(like[:, : self.mixed_channels])
        return mixed if bypass is None else shuffled(mixed, bypass)


def add(total: State | None, term: State, weight: Float[Tensor, ""]) -> State:
    """`total + weight * term`, where None stands for a total of zero."""
    return term * weight if total is None else torch.addcmul(total, term, weight)


def shuffled(
    mixed: Float[Tensor, "batch part height width"],
    bypass: Float[Tensor, "batch rest height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Both side by side, their channels dealt in turn: channel j of part g becomes channel j*K + g.

    K is the number of parts, of as many channels as `mixed` each. It is PC-DARTS's channel shuffle.
    """
    part = mixed.shape[1]
    # Channels last in memory: dealing them out there keeps the layout that convolutions are fast
    # in.
    parts = [each.permute(0, 2, 3, 1) for each in (mixed, *torch.split(bypass, part, 1))]
    return torch.stack(parts, -1).flatten(-2).permute(0, 3, 1, 2)
