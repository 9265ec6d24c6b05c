"""Measures a supernet's operations: hooks read their outputs in forward passes of a probe.

Hooks read an operation's output before its mixing weight applies, and are removed before `measure`
returns. An operation's value is the mean over the cells that share its edge, and over the images.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf, nan

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nastk import Batch, DivergenceError, Edge, Mixture, PluginError, Probe
from nastk_isdarts.measure import MeasureName, channel_variance, flatness

Operation = tuple[int, int]
"""(edge, column) of an operation."""

Cells = dict[Operation, list[nn.Module]]
"""The modules of each active operation, one for each cell that shares its edge."""

Outputs = dict[Operation, list[Tensor]]
"""For each operation and cell, a batch's measures and log deviations (images x 2)."""


@dataclass(frozen=True, eq=False)
class Measures:
    """The measured tables, on the CPU in float64; NaN for operations that are not alive.

    `values` are the measures, infinite for an operation whose output does not vary.
    `standard_errors` are those of the mean over images (NaN for one image or infinite values).
    `deviations` are geometric means of the standard deviation over channels: the operation's scale.
    """

    values: Float[Tensor, "edges ops"]
    standard_errors: Float[Tensor, "edges ops"]
    deviations: Float[Tensor, "edges ops"]
    images: int


def measure(
    probe: Probe,
    edges: Sequence[Edge],
    mixture: Mixture,
    batches: Iterable[Batch],
    name: MeasureName = "official",
) -> Measures:
    """Called at each shrink: measures the flatness of each active operation's output.

    The supernet runs under `mixture`, in the precision of the weights, without gradients. Every
    image has the same weight whatever the batch size. But norms use the statistics of a batch, so
    other batches give other outputs.

    Raises:
        ConfigurationError: an operation has a single channel.
        DivergenceError: an operation's output is not finite.
        PluginError: the supernet computes an operation without calling its module.
    """
    cells = _cells(probe, mixture)
    tally = Tally(tuple(mixture.active.shape), cells)
    for batch in batches:
        outputs: Outputs = defaultdict(list)
        with torch.no_grad(), listening(cells, partial(_record, outputs, name)):
            probe.logits(mixture, batch.images, exact=True)
        _check_outputs(edges, cells, outputs)
        tally.add(outputs, len(batch.images))
    return tally.measures(edges)


@contextmanager
def listening(cells: Cells, record: Callable[[Operation, Tensor], None]) -> Iterator[None]:
    """A context that passes every output of an operation in `cells` to `record`, by hooks.

    The hooks are removed at its end.
    """

    def hook(operation: Operation, module: nn.Module, inputs: object, output: Tensor) -> None:
        record(operation, output)

    handles = [
        module.register_forward_hook(partial(hook, operation))
        for operation, modules in cells.items()
        for module in modules
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class Tally:
    """Sums over the images so far of each operation's measure, its square and log deviation.

    Example: `tally.add(outputs, images=64)` for each batch, then `tally.measures(space.edges)`.
    """

    shape: tuple[int, ...]
    cells: Cells
    sums: dict[Operation, Tensor] = field(default_factory=dict)
    images: int = 0

    def add(self, outputs: Outputs, images: int) -> None:
        """Called once a batch: adds its outputs.

        An operation that some cell did not compute counts as infinitely flat.
        """
        self.images += images
        for operation, modules in self.cells.items():
            if len(outputs[operation]) < len(modules):
                self.sums[operation] = torch.tensor([inf, inf, -inf], dtype=torch.float64)
                continue
            # cells x images x 2, averaged over the cells
            value, log_deviation = torch.stack(outputs[operation]).mean(0).unbind(1)
            part = torch.stack([value, value.square(), log_deviation], 1).sum(0)
            before = self.sums.get(operation)
            self.sums[operation] = part if before is None else before + part

    def measures(self, edges: Sequence[Edge]) -> Measures:
        """Called at the end: returns the means over the images, as tables.

        Raises:
            DivergenceError: a mean is not a number.
        """
        table = torch.full((3, *self.shape), nan, dtype=torch.float64)
        for (edge, column), sums in self.sums.items():
            table[:, edge, column] = sums.cpu() / self.images
            if bool(table[0, edge, column].isnan()):
                raise DivergenceError(
                    f"isdarts: the output of {edges[edge].operations[column]} on edge "
                    f"{edges[edge].name} is not finite. Lower the learning rate "
                    "(`-t learning_rate`), or set gradient_clip, and start again."
                )
        values, squares, logs = table  # each edges x operations
        variance = (squares - values.square()).clamp(min=0) / (self.images - 1 or nan)
        return Measures(values, variance.sqrt(), logs.exp(), self.images)


def _record(outputs: Outputs, name: MeasureName, operation: Operation, output: Tensor) -> None:
    """Appends the measure and the mean log deviation of each image (images x 2)."""
    variance = channel_variance(output)  # images x positions
    log_deviation = variance.log().mean(1) / 2
    measures = flatness(variance, output.shape[1], name)
    outputs[operation].append(torch.stack([measures, log_deviation], 1))


def _cells(probe: Probe, mixture: Mixture) -> Cells:
    """Returns the modules of the operations that are active in `mixture`."""
    cells: Cells = defaultdict(list)
    for edge, column, module in probe.operations():
        if mixture.active[edge, column]:
            cells[edge, column].append(module)
    return dict(cells)


def _check_outputs(edges: Sequence[Edge], cells: Cells, outputs: Outputs) -> None:
    """Raises if an operation was not called although it should have been.

    It should have been if it is not `none` and another operation that leaves the same node was
    called: then the node itself is computed.
    """
    called = {(edges[row].group, edges[row].tail) for (row, _), calls in outputs.items() if calls}
    for row, column in cells:
        edge, operation = edges[row], edges[row].operations[column]
        if operation == "none" or outputs.get((row, column)):
            continue
        if (edge.group, edge.tail) in called:
            raise PluginError(
                f"isdarts listens to the modules of `Supernet.operations()`. That of {operation} "
                f"on edge {edge.name} was not called, though others that leave its node were. "
                "The space has to call the module of every active operation."
            )
