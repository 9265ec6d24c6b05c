"""A table of times for a space on this device: `build`.

Operations are not timed one by one: what they share (a ReLU that all convolutions of a state read,
a pooling computed once) belongs to no module of its own. Whole random networks are timed instead,
each operation in several of them, and the sum over operations that fits their times best is kept.
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
"""Architectures that are timed to be foretold, and enter no fit."""

Tick = Callable[[int, int], None]
"""Hears how many networks of how many are timed."""


@dataclass(frozen=True)
class Effort:
    """How a space is timed.

    `batch` images in a pass, `repeats` timed passes of each network, and at least `samples`
    networks with each operation.

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
    """Time networks of `space` for images of `task`, and fit what each operation adds.

    Raises:
        ConfigurationError: a network does not answer for such images.
    """
    structure = Structure.of(space)
    fitted, checked = chosen(space, structure, effort.samples)
    with execution.settings(), torch.random.fork_rng(devices=[]):
        seconds = timed(space, task, execution, effort, [*fitted, *checked], tick)
    found = tied(space, structure, fitted, seconds[: len(fitted)])
    rows = [
        Row(name=edge.name, operations=edge.operations, seconds=tuple(row[: len(edge.operations)]))
        for edge, row in zip(space.edges, found.costs.tolist(), strict=True)
    ]
    return LatencyTable(
        format=1,
        space=space.name,
        space_options=space.options.model_dump(mode="json"),
        task=Shape(classes=task.classes, channels=task.channels, size=task.size),
        rest=found.rest,
        edges=tuple(rows),
        reference=reference(space, task, fitted[0]),
        device=name_of(execution.device),
        threads=torch.get_num_threads() if not execution.threads else execution.threads,
        batch=effort.batch,
        repeats=effort.repeats,
        networks=len(fitted),
        date=datetime.now(UTC).date().isoformat(),
        torch=torch.__version__,
        check=compared(found, checked, seconds[len(fitted) :]),
    )


def chosen(
    space: SearchSpace, structure: Structure, samples: int
) -> tuple[list[Architecture], list[Architecture]]:
    """(those that are fitted: `samples` with each operation; those that are checked: random)."""
    rng, full = generator(0, "latency"), space.full()
    players = structure.choosable.nonzero().tolist() * samples
    fitted = [with_operation(space, row, column, rng) for row, column in players]
    return fitted, [space.sample(full, rng) for _ in range(CHECKED)]


def timed(
    space: SearchSpace,
    task: Task,
    execution: Execution,
    effort: Effort,
    architectures: Sequence[Architecture],
    tick: Tick,
) -> list[float]:
    """Seconds of a forward pass of each network, the first being the reference of all."""

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
    """The fit that foretells each network best from the others, of several tyings of operations.

    Where an operation takes the same on many edges, timing it on all of them at once is less noisy.
    """
    best, least = None, torch.inf
    for tying in GROUPINGS:
        keys = keys_of(space.edges, tying)
        error = left_out(features(architectures, keys), seconds)
        if best is None or error < least:
            best, least = fit(architectures, seconds, structure, keys), error
    assert best is not None
    return best


def left_out(rows: Float64[Tensor, "networks features"], seconds: Sequence[float]) -> float:
    """Mean error of a least squares fit for each row, had it been fitted without that row.

    In closed form: residual / (1 - leverage). Infinite where a row alone decides something.
    """
    truth = torch.tensor(seconds, dtype=torch.float64)
    hat = rows @ torch.linalg.pinv(rows)
    free = 1 - hat.diagonal()
    return (
        float("inf")
        if float(free.min()) < 1e-9
        else float(((truth - hat @ truth) / free).abs().mean())
    )


def compared(found: Additive, checked: Sequence[Architecture], seconds: Sequence[float]) -> Check:
    """What the sum foretells for networks that it was not fitted to, beside their times."""
    foretold = torch.tensor([found.of(each) for each in checked], dtype=torch.float64)
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
    """By what the table knows its networks again: one of them and its number of parameters."""
    return Reference(
        text=space.to_text(architecture), parameters=parameters(space, task, architecture)
    )


def parameters(space: SearchSpace, task: Task, architecture: Architecture) -> int:
    """How many numbers the stand-alone network has; counted without making them."""
    with torch.device("meta"):
        network = space.network(architecture, task)
    return sum(weight.numel() for weight in network.parameters())


def name_of(device: torch.device) -> str:
    """What people call the device: the GPU's or the CPU's model."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(models), "") or platform.processor() or platform.machine() or "cpu"
