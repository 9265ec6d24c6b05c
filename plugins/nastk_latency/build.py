"""`build` times a space on this device and returns a latency table.

Operations are not timed one by one, because they share work that belongs to no single operation,
such as a ReLU or a pooling that several of them read. Instead, whole random networks are timed,
with every operation in several of them, and a sum over operations is fitted to their times.
"""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from nastk import Architecture, ConfigurationError, Execution, SearchSpace, Task
from nastk.base import generator
from nastk.limits import GROUPINGS, Additive, Structure, features, fit, keys_of, with_operation
from nastk_latency.table import Check, LatencyTable, Reference, Row, Shape
from nastk_latency.timing import Stopwatch, clock_of

CHECKED = 10
"""The number of architectures that are timed only to check the predictions, not for the fit."""

Tick = Callable[[int, int], None]
"""A function that is called with (networks timed, networks in all)."""


@dataclass(frozen=True)
class Effort:
    """The effort of timing a space.

    A pass has `batch` images; every network is timed in `repeats` passes, and every operation is in
    at least `samples` networks.

    Example: `build(space, task, Execution.choose("cpu", threads=1), Effort(repeats=21))`
    """

    batch: int = 1
    repeats: int = 11
    samples: int = 2


def build(
    space: SearchSpace,
    task: Task,
    execution: Execution,
    effort: Effort,
    tick: Tick = lambda done, total: None,
) -> LatencyTable:
    """Times networks of `space` on images of `task`, and fits the seconds that operations add.

    Raises:
        ConfigurationError: a network cannot take such images.
    """
    structure = Structure.of(space)
    fitted, checked = chosen(space, structure, effort.samples)
    with execution.settings(), torch.random.fork_rng(devices=[]):
        seconds = timed(space, task, execution, effort, [*fitted, *checked], tick)
    model = tied(space, structure, fitted, seconds[: len(fitted)])
    rows = [
        Row(name=edge.name, operations=edge.operations, seconds=tuple(row[: len(edge.operations)]))
        for edge, row in zip(space.edges, model.costs.tolist(), strict=True)
    ]
    return LatencyTable(
        format=1,
        space=space.name,
        space_options=space.options.model_dump(mode="json"),
        task=Shape(classes=task.classes, channels=task.channels, size=task.size),
        rest=model.rest,
        edges=tuple(rows),
        reference=reference(space, task, fitted[0]),
        device=name_of(execution.device),
        threads=torch.get_num_threads() if not execution.threads else execution.threads,
        batch=effort.batch,
        repeats=effort.repeats,
        networks=len(fitted),
        date=datetime.now(UTC).date().isoformat(),
        torch=torch.__version__,
        check=compared(model, checked, seconds[len(fitted) :]),
    )


def chosen(
    space: SearchSpace, structure: Structure, samples: int
) -> tuple[list[Architecture], list[Architecture]]:
    """Returns the architectures for the fit and those for the check.

    The former include every operation at least `samples` times; the latter are random.
    """
    rng, full = generator(0, "latency"), space.full()
    operations = structure.choosable.nonzero().tolist() * samples
    fitted = [with_operation(space, row, column, rng) for row, column in operations]
    return fitted, [space.sample(full, rng) for _ in range(CHECKED)]


def timed(
    space: SearchSpace,
    task: Task,
    execution: Execution,
    effort: Effort,
    architectures: Sequence[Architecture],
    tick: Tick,
) -> list[float]:
    """Returns the seconds of a forward pass of each network; the first is the reference of all."""

    def network(architecture: Architecture) -> nn.Module:
        return execution.place(space.network(architecture, task))

    images = torch.randn(effort.batch, *task.shape)
    images = images.to(execution.device, memory_format=torch.channels_last)
    clock = clock_of(execution.device, torch.get_num_threads())
    watch = Stopwatch(network(architectures[0]), images, effort.repeats, clock)
    multiples = []
    for done, architecture in enumerate(architectures, 1):
        try:
            multiples.append(watch.relative(network(architecture)))
        except (RuntimeError, ValueError) as error:
            raise ConfigurationError(
                f"A network of space {space.name!r} cannot take {effort.batch} images of "
                f"{task.form}: {error}"
            ) from error
        tick(done, len(architectures))
    return [multiple * watch.seconds for multiple in multiples]


def tied(
    space: SearchSpace,
    structure: Structure,
    architectures: Sequence[Architecture],
    seconds: Sequence[float],
) -> Additive:
    """Returns the fit with the least leave-one-out error, over several groupings of operations.

    If an operation takes the same time on many edges, one value for all these edges is less noisy.
    """
    best, least = None, torch.inf
    for grouping in GROUPINGS:
        keys = keys_of(space.edges, grouping)
        error = left_out(features(architectures, keys), seconds)
        if best is None or error < least:
            best, least = fit(architectures, seconds, structure, keys), error
    assert best is not None
    return best


def left_out(rows: Float64[Tensor, "networks features"], seconds: Sequence[float]) -> float:
    """Returns the leave-one-out mean absolute error of a least squares fit, in seconds.

    It is infinite if a coefficient depends on a single row.
    """
    truth = torch.tensor(seconds, dtype=torch.float64)
    # The leave-one-out error of row i needs no second fit: it is the residual divided by 1 - h_ii,
    # with h_ii (the leverage) the diagonal of the hat matrix X X+.
    hat = rows @ torch.linalg.pinv(rows)  # networks x networks
    free = 1 - hat.diagonal()
    return (
        float("inf")
        if float(free.min()) < 1e-9
        else float(((truth - hat @ truth) / free).abs().mean())
    )


def compared(model: Additive, checked: Sequence[Architecture], seconds: Sequence[float]) -> Check:
    """Returns predicted and measured seconds of networks that are not part of the fit."""
    foretold = torch.tensor(
        [model.of(architecture) for architecture in checked], dtype=torch.float64
    )
    true = torch.tensor(seconds, dtype=torch.float64)
    together = torch.stack([foretold, true])
    varied = bool((together.std(1) > 0).all())
    return Check(
        correlation=float(torch.corrcoef(together)[0, 1]) if varied else None,
        mean_relative_error=float(((foretold - true).abs() / true).mean()),
        foretold=tuple(foretold.tolist()),
        measured=tuple(true.tolist()),
    )


def reference(space: SearchSpace, task: Task, architecture: Architecture) -> Reference:
    """Returns a network with its number of parameters, by which a table recognises its networks."""
    return Reference(
        text=space.to_text(architecture), parameters=parameters(space, task, architecture)
    )


def parameters(space: SearchSpace, task: Task, architecture: Architecture) -> int:
    """Returns the number of parameters of the stand-alone network, without allocating them."""
    with torch.device("meta"):
        network = space.network(architecture, task)
    return sum(weight.numel() for weight in network.parameters())


def name_of(device: torch.device) -> str:
    """Returns the name of the GPU's or the CPU's model."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    description = Path("/proc/cpuinfo")
    lines = description.read_text(encoding="utf-8").splitlines() if description.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), "") or platform.processor() or platform.machine() or "cpu"
