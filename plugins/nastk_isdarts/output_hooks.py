"""The measure taken on a supernet: hooks on its operations during forward passes of a probe.

Hooks read what an operation puts out, before its weight; they are gone when `measure` returns. The
value of an image is the mean over the cells that share the edge, the answer the mean over images.
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

Player = tuple[int, int]
"""(edge, column) of an operation."""

Cells = dict[Player, list[nn.Module]]
"""The modules of each operation that is computed, one for each cell that shares its edge."""

Outputs = dict[Player, list[Tensor]]
"""What a batch told of each operation: measure and log deviation of its images, cell by cell."""


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured, on the CPU in float64; NaN where nothing is alive.

    `values` are the measures, infinite where an operation puts out nothing that varies.
    `standard_errors` are those of the mean over images (NaN for one image or infinite values).
    `deviations` are geometric means of the channels' standard deviation: how loud an operation is.
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
    """Called at each shrink: how flat the output of each active operation is under `mixture`.

    In the precision of the weights, without gradients. Each image counts once, in whatever batches
    it comes; but norms see one batch, so that operations put out other numbers in other batches.

    Raises:
        ConfigurationError: an operation has a single channel.
        DivergenceError: an operation's output is not finite.
        PluginError: the supernet computes operations without calling their modules.
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
def listening(cells: Cells, hear: Callable[[Player, Tensor], None]) -> Iterator[None]:
    """Inside, every output of an operation in `cells` is told to `hear`; no hook is left behind."""

    def told(player: Player, module: nn.Module, inputs: object, output: Tensor) -> None:
        hear(player, output)

    handles = [
        module.register_forward_hook(partial(told, player))
        for player, modules in cells.items()
        for module in modules
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass
class Tally:
    """Sums over the images so far, for each operation: measure, its square, log deviation.

    Example: `tally.add(outputs, images=64)` for each batch, then `tally.measures(space.edges)`.
    """

    shape: tuple[int, ...]
    cells: Cells
    sums: dict[Player, Tensor] = field(default_factory=dict)
    images: int = 0

    def add(self, outputs: Outputs, images: int) -> None:
        """Called once a batch. What some cell did not compute put out nothing there."""
        self.images += images
        for player, modules in self.cells.items():
            if len(outputs[player]) < len(modules):
                self.sums[player] = torch.tensor([inf, inf, -inf], dtype=torch.float64)
                continue
            value, log_deviation = torch.stack(outputs[player]).mean(0).unbind(1)
            part = torch.stack([value, value.square(), log_deviation], 1).sum(0)
            self.sums[player] = self.sums[player] + part if player in self.sums else part

    def measures(self, edges: Sequence[Edge]) -> Measures:
        """Called at the end: the means, as tables.

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
        values, squares, logs = table
        variance = (squares - values.square()).clamp(min=0) / (self.images - 1 or nan)
        return Measures(values, variance.sqrt(), logs.exp(), self.images)


def _record(outputs: Outputs, name: MeasureName, player: Player, output: Tensor) -> None:
    """Write down the measure and the mean log deviation of each image (images x 2)."""
    variance = channel_variance(output)
    log_deviation = variance.log().mean(1) / 2
    found = flatness(variance, output.shape[1], name)
    outputs[player].append(torch.stack([found, log_deviation], 1))


def _cells(probe: Probe, mixture: Mixture) -> Cells:
    cells: Cells = defaultdict(list)
    for edge, column, module in probe.operations():
        if mixture.active[edge, column]:
            cells[edge, column].append(module)
    return dict(cells)


def _check_outputs(edges: Sequence[Edge], cells: Cells, outputs: Outputs) -> None:
    """Raise where silence has no reason: it is not `none`, and others that leave its node sound."""
    sounding = {(edges[row].group, edges[row].tail) for (row, _), found in outputs.items() if found}
    for row, column in cells:
        edge, operation = edges[row], edges[row].operations[column]
        if operation == "none" or outputs.get((row, column)):
            continue
        if (edge.group, edge.tail) in sounding:
            raise PluginError(
                f"isdarts listens to the modules of `Supernet.operations()`. That of {operation} "
                f"on edge {edge.name} was not called, though others that leave its node were. "
                "The space has to call the module of every active operation."
            )
