"""`MobileNetSupernet` holds every candidate of every layer; a `Mixture` weights them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from nastk import Architecture, Edge, Mixture, Supernet, Task
from nastk.nn import BatchNorm, added
from nastk_spaces_mobilenet.operations import LayerPlan, State, operation
from nastk_spaces_mobilenet.options import MobileNetOptions
from nastk_spaces_mobilenet.skeleton import Head, Stem, plan

Terms = Sequence[tuple[int, Tensor]]
"""The active operations of one layer: (column, weight)."""


class ChainSupernet(Supernet):
    """A supernet whose layers form a chain: `stem`, `layers` (of class `MixedLayer`), `head`.

    Example: `class Mine(ChainSupernet)` with an `__init__` that sets these three attributes
    """

    stem: nn.Module
    layers: nn.ModuleList
    head: nn.Module

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """Called for every weight step and measurement: returns the logits under `mixture`."""
        state = self.stem(images)
        for layer, terms in zip(self.layers, mixture.terms, strict=True):
            state = layer(state, terms)
        return self.head(state)  # type: ignore[no-any-return]

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by updaters that hook or inspect operations: yields (edge, operation, module)."""
        for row, layer in enumerate(self.layers):
            for column, module in enumerate(cast(MixedLayer, layer).candidates):
                yield row, column, module


def chain_names(architecture: Architecture) -> Callable[[str], str]:
    """Returns the function from a network's name of a weight to its name in a `ChainSupernet`."""
    columns = [edge.operations.index(name) for edge, name in architecture.links()]

    def name_of(name: str) -> str:
        part, dot, rest = name.partition(".")
        number, inner, last = rest.partition(".")
        if part != "layers":
            return name
        return f"{part}{dot}{number}{inner}candidates.{columns[int(number)]}.{last}"

    return name_of


class MobileNetSupernet(ChainSupernet):
    """The supernet of a `MobileNetSpace`; its norms use batch statistics and have no buffers.

    Example: `logits = space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    def __init__(self, options: MobileNetOptions, edges: Sequence[Edge], task: Task) -> None:
        super().__init__()
        layout, small = options.described(), options.is_small(task)
        multiplier = options.supernet_multiplier or options.width_multiplier
        norm = partial(BatchNorm, affine=options.affine, epsilon=options.norm_epsilon)
        self.stem = Stem(layout, multiplier, task.channels, small, norm)
        self.layers = nn.ModuleList(
            MixedLayer(layer, [operation(name, layer, norm) for name in edge.operations])
            for layer, edge in zip(plan(layout, multiplier, small), edges, strict=True)
        )
        self.head = Head(layout, multiplier, task.classes, norm)


class MixedLayer(nn.Module):
    """One layer of the supernet with all its candidates; only the active ones are computed.

    Example: `MixedLayer(plan, [block, nn.Identity()])(state, [(0, torch.tensor(1.0))])`
    """

    def __init__(self, plan: LayerPlan, candidates: Sequence[nn.Module]) -> None:
        super().__init__()
        self.channels, self.stride = plan.channels, plan.stride
        self.candidates = nn.ModuleList(candidates)

    def forward(self, state: State, terms: Terms) -> State:
        """Called once per forward pass: returns the weighted sum of the active candidates."""
        total: State | None = None
        for column, weight in terms:
            total = added(total, self.candidates[column](state), weight)
        return self._nothing(state) if total is None else total

    def _nothing(self, state: State) -> State:
        """Returns zeros in the output size of the candidates."""
        height, width = (-(-side // self.stride) for side in state.shape[2:])
        return state.new_zeros(len(state), self.channels, height, width)
