"""`DartsSupernet` holds every operation of every edge; a `Mixture` weights them.

Three things save work, and none of them changes a result (see `docs/spaces/darts.md`):

* `NodeState` computes once what all edges leaving a state share: a ReLU, a pooling with its norm,
  the channels that bypass the operations;
* `mix` does norm, weight and sum of all operations entering a node in one pass over memory;
* `PrefixCache` keeps what mixtures that are measured one after the other have in common.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk import Edge, Mixture, Supernet, Task
from nastk.nn import BatchNorm
from nastk.spaces import Measure, Terms, recomputed
from nastk_spaces_darts.mixing import mix
from nastk_spaces_darts.official_names import own_name
from nastk_spaces_darts.operations import POOLS, Operation, State, Views, Zero, operation
from nastk_spaces_darts.options import DartsOptions
from nastk_spaces_darts.prefix_cache import NoPrefixCache, PrefixCache
from nastk_spaces_darts.skeleton import CellPlan, Stem, average, plan, preprocess
from nastk_spaces_darts.terms import Term

Row = tuple[tuple[int, float], ...]
"""The active operations of an edge as plain numbers: (column, weight)."""


@dataclass(frozen=True, eq=False)
class EdgeTerms:
    """A mixture in the form in which the cells read it, edge by edge.

    `terms` are the active operations of each edge, (column, weight); `rows` are the same as plain
    numbers, which `PrefixCache` compares (empty if nothing is cached). `around` has a factor per
    edge for the channels that bypass the operations; None leaves these channels unscaled.
    """

    terms: Terms
    around: Sequence[Tensor] | None
    rows: Sequence[Row]


class DartsSupernet(Supernet):
    """The supernet of a `DartsSpace`; its norms use batch statistics, so it has no buffers.

    Example: `logits = space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    strategy: ClassVar[str] = "prefix cache"

    def __init__(self, options: DartsOptions, edges: Sequence[Edge], task: Task) -> None:
        super().__init__()
        imagenet = options.is_imagenet(task)
        stem_channels = options.stem_multiplier * options.channels
        self.edge_weights = options.edge_weights
        self.recompute = options.recompute
        self.stem = Stem(task.channels, stem_channels, imagenet, partial(BatchNorm, affine=True))
        plans = plan(options.cells, options.channels, stem_channels, options.nodes, imagenet)
        self.cells = nn.ModuleList(
            SearchCell(cell, edges, options.partial_channels, options.pool_norm) for cell in plans
        )
        groups = [cell.group for cell in plans]
        self.firsts = frozenset(groups.index(group) for group in set(groups))
        self.classifier = nn.Linear(options.nodes * plans[-1].channels, task.classes)

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """Called for every weight step and measurement: returns the logits under `mixture`."""
        return self._logits(NoPrefixCache(), images, mixture)

    def measuring(self, images: Float[Tensor, "batch channels height width"]) -> Measure:
        """Called to measure many mixtures on the same images: returns a function of a list.

        What consecutive mixtures have in common is kept from one to the next.
        """
        cache = PrefixCache()
        return lambda mixtures: [self._logits(cache, images, mixture) for mixture in mixtures]

    def own_name(self, name: str) -> str:
        """Called for each tensor of a file of weights: also reads names of the authors' code."""
        return own_name(name, self._pool_norm_name)

    def _pool_norm_name(self, cell: int, edge: int, column: int) -> str:
        """Returns the name of a pooling's norm, which belongs to the state that the pooling reads.

        The authors' norms belong to edges; those of one state see the same maps and have equal
        statistics.
        """
        module = cast(SearchCell, self.cells[cell])
        sources = [source for entering in module.entering for _, source in entering]
        pool = cast(Operation, self.get_submodule(f"cells.{cell}.edges.{edge}.{column}"))
        return f"cells.{cell}.pool_norms.{sources[edge]}.{pool.reads}"

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called to hook or inspect operations: yields (edge, operation, module), cell by cell."""
        for cell in self.cells:
            yield from cast(SearchCell, cell).modules_of_edges()

    def _logits(
        self,
        cache: PrefixCache,
        images: Float[Tensor, "batch channels height width"],
        mixture: Mixture,
    ) -> Float[Tensor, "batch classes"]:
        terms = self._edge_terms(mixture, cache.keeps)
        before, previous = cache.get_or_compute("stem", (images,), partial(self.stem, images))
        for index, module in enumerate(self.cells):
            cell = cast(SearchCell, module)
            # After the first cell of each type, two different mixtures agree on no map any more.
            outside = cache if index <= max(self.firsts) else NoPrefixCache()
            inside = cache if index in self.firsts else NoPrefixCache()
            seed = cell.draw()
            rows = tuple(terms.rows[cell.rows]) if cache.keeps else ()
            output = outside.get_or_compute(
                index,
                (before, previous, rows, seed),
                partial(self._run, cell, before, previous, terms, seed, inside),
            )
            before, previous = previous, output
        return self.classifier(average(previous))  # type: ignore[no-any-return]

    def _run(
        self,
        cell: "SearchCell",
        before: State,
        previous: State,
        terms: EdgeTerms,
        seed: int,
        cache: PrefixCache,
    ) -> State:
        if self.recompute and torch.is_grad_enabled():
            return recomputed(cell, before, previous, terms, seed, cache)  # type: ignore[no-any-return]
        return cell(before, previous, terms, seed, cache)  # type: ignore[no-any-return]

    def _edge_terms(self, mixture: Mixture, numbers: bool) -> EdgeTerms:
        terms = mixture.terms
        table = mixture.weights.tolist() if numbers else []
        rows = [
            tuple((column, row[column]) for column, _ in active)
            for active, row in zip(terms, table, strict=False)
        ]
        return EdgeTerms(terms, self._bypass_weights(mixture), rows)

    def _bypass_weights(self, mixture: Mixture) -> Sequence[Tensor] | None:
        """Returns each edge's factor for its bypass, the sum of its active weights.

        Without the option `edge_weights` there are no factors: None.
        """
        if not self.edge_weights:
            return None
        active = mixture.active.to(mixture.weights.device, non_blocking=True)
        return (mixture.weights * active).sum(1).unbind()


@dataclass(frozen=True, eq=False)
class NodeState:
    """A state of a cell with everything that its outgoing edges share.

    `views` are the state as the operations read it. `rest` holds the channels that bypass the
    operations, in the edges' output size, and `flow` the sum of `rest` over this and all earlier
    states; both are None without partial channels.
    """

    state: State
    views: Views
    rest: State | None = None
    flow: State | None = None


class SearchCell(nn.Module):
    """One cell of the supernet, with every operation on each edge of its group.

    With `parts` > 1 (PC-DARTS) the operations read the first channels/parts of a state's channels;
    the other channels bypass them, and a channel shuffle at each node interleaves both.
    """

    def __init__(self, plan: CellPlan, edges: Sequence[Edge], parts: int, pool_norm: bool) -> None:
        super().__init__()
        rows = [(row, edge) for row, edge in enumerate(edges) if edge.group == plan.group]
        nodes = range(2, rows[-1][1].head + 1)
        self.parts = parts
        self.mixed_channels = plan.channels // parts
        self.strides = [2 if plan.reduction and source < 2 else 1 for source in range(nodes.stop)]
        self.entering = [
            [(row, edge.tail) for row, edge in rows if edge.head == node] for node in nodes
        ]
        self.rows = slice(rows[0][0], rows[-1][0] + 1)
        self.is_noisy = any("noise" in edge.operations for _, edge in rows)
        self.preprocess0, self.preprocess1 = preprocess(plan, BatchNorm)
        self.pool_norms = nn.ModuleList(
            nn.ModuleDict({name: BatchNorm(self.mixed_channels) for name in POOLS * pool_norm})
            for _ in self.strides
        )
        self.nothing = Zero(self.strides[0])
        self.edges = nn.ModuleList(
            nn.ModuleList(
                operation(name, self.mixed_channels, self.strides[edge.tail], BatchNorm)
                for name in edge.operations
            )
            for _, edge in rows
        )

    def draw(self) -> int:
        """Called once per forward pass: returns the seed of this cell's noise, 0 without noise."""
        # Mixtures measured in one step are compared, so an edge's noise must not depend on which
        # other operations are active.
        return int(torch.randint(2**62, (), device="cpu")) if self.is_noisy else 0

    def forward(
        self, before: State, previous: State, terms: EdgeTerms, seed: int, cache: PrefixCache
    ) -> State:
        """Called once per cell: returns its nodes concatenated along the channels."""
        start = partial(self._inputs, before, previous)
        sources = cache.get_or_compute((self, "inputs"), (before, previous), start)
        for node, entering in enumerate(self.entering):
            rows = tuple(terms.rows[row] for row, _ in entering) if cache.keeps else ()
            make = partial(self._node, entering, sources, terms, seed)
            sources = [*sources, cache.get_or_compute((self, node), (*sources, rows, seed), make)]
        return torch.cat([source.state for source in sources[2:]], 1)

    def modules_of_edges(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by `DartsSupernet.operations`: yields (edge, operation, module) of this cell."""
        for row, candidates in enumerate(self.edges, self.rows.start):
            for column, module in enumerate(cast(nn.ModuleList, candidates)):
                yield row, column, module

    def _inputs(self, before: State, previous: State) -> list[NodeState]:
        first = self._node_state(self.preprocess0(before), [])
        return [first, self._node_state(self.preprocess1(previous), [first])]

    def _node_state(self, state: State, earlier: Sequence[NodeState]) -> NodeState:
        """Returns the `NodeState` of `state`, which comes after the `earlier` ones of the cell."""
        stride = self.strides[len(earlier)]
        norms = dict(cast(nn.ModuleDict, self.pool_norms[len(earlier)]).items())
        views = Views(state[:, : self.mixed_channels] if self.parts > 1 else state, stride, norms)
        if self.parts == 1:
            return NodeState(state, views)
        rest = state[:, self.mixed_channels :]
        rest = rest if stride == 1 else F.max_pool2d(rest, 2, 2, ceil_mode=True)
        # Without edge weights every later node receives `rest` unscaled, so that one running sum
        # over the states serves all nodes.
        flow = earlier[-1].flow if earlier else None
        return NodeState(state, views, rest, rest if flow is None else flow + rest)

    def _node(
        self,
        entering: Sequence[tuple[int, int]],
        sources: Sequence[NodeState],
        terms: EdgeTerms,
        seed: int,
    ) -> NodeState:
        """Returns the node that the edges `entering` lead to.

        The channel shuffle is a permutation, so shuffling the sum equals summing shuffled edges.
        """
        mixed = mix(self._terms(entering, sources, terms, seed))
        if mixed is None:
            mixed = self.nothing(sources[0].views.state)
        around = self._around(entering, sources, terms)
        return self._node_state(mixed if around is None else shuffled(mixed, around), sources)

    def _terms(
        self,
        entering: Sequence[tuple[int, int]],
        sources: Sequence[NodeState],
        terms: EdgeTerms,
        seed: int,
    ) -> Iterator[tuple[Tensor, Term]]:
        """Yields weight and output of each active operation that enters a node."""
        for row, source in entering:
            for column, weight in terms.terms[row]:
                module = self._operation(row, column)
                if self.is_noisy and module.noise is not None:
                    module.noise.seed = seed + row
                yield weight, module.term(sources[source].views.read(module.reads))

    def _around(
        self, entering: Sequence[tuple[int, int]], sources: Sequence[NodeState], terms: EdgeTerms
    ) -> State | None:
        """Returns the sum of the channels that reach a node around the operations."""
        if self.parts == 1 or terms.around is None:
            return sources[-1].flow
        rests = [(terms.around[row], sources[source].rest) for row, source in entering]
        return mix((weight, Term(rest)) for weight, rest in rests if rest is not None)

    def _operation(self, row: int, column: int) -> Operation:
        return cast(Operation, cast(nn.ModuleList, self.edges[row - self.rows.start])[column])


def shuffled(
    mixed: Float[Tensor, "batch part height width"],
    bypass: Float[Tensor, "batch rest height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Returns both inputs concatenated, under PC-DARTS's channel shuffle.

    The channels are K parts of as many channels as `mixed`, the first of which is `mixed`; channel
    j of part g becomes channel j*K + g.
    """
    part = mixed.shape[1]
    # Stacking in the layout batch x height x width x channels keeps the result channels-last, the
    # layout in which convolutions are fast.
    parts = [x.permute(0, 2, 3, 1) for x in (mixed, *torch.split(bypass, part, 1))]
    return torch.stack(parts, -1).flatten(-2).permute(0, 3, 1, 2)
