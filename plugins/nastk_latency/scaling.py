"""One architecture at several sizes: `sizes` counts and times its networks over widths and depths.

Networks are counted on the device `meta`, which computes nothing; only those within the limits on
counts are made and timed.
"""

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from torch import nn

from nastk import Architecture, ConfigurationError, Execution, SearchSpace, Task
from nastk.nn import multiply_adds, parameters, without_auxiliary
from nastk_latency.timing import WARM_UP, clock_of

CHANNELS = ("network_channels", "channels")
"""The options that set the width of a space's networks; the first that the space has."""
CELLS = ("network_cells", "cells")
"""The options that set the depth of a space's networks; the first that the space has."""
TIMES = ("latency", "onnx_latency")
"""The metrics that are measured; all others are counted."""

Clocked = Callable[[nn.Module, Task], float]
"""A function that returns the seconds of a forward pass of a network for images of a task."""


@dataclass(frozen=True)
class Size:
    """An architecture's network at one size: the options that were set, the images, and metrics.

    `metrics` are `parameters` and `multiply_adds` and, where they were measured, `latency` and
    `onnx_latency` (seconds of one forward pass).
    """

    options: Mapping[str, Any]
    task: Task
    metrics: Mapping[str, float | int]

    def within(self, limits: Mapping[str, float]) -> bool:
        """True if no metric that is known exceeds its limit."""
        return all(self.metrics.get(name, 0) <= most for name, most in limits.items())

    def to_json(self) -> dict[str, Any]:
        """Returns the size as a JSON object."""
        size = [self.task.height, self.task.width]
        return {"options": dict(self.options), "image": size, **self.metrics}


def option_of(space: SearchSpace, names: Sequence[str], flag: str) -> str:
    """Returns the first of these options that the space has.

    Raises:
        ConfigurationError: it has none of them. `flag` is the flag that asked for it.
    """
    known = type(space.options).model_fields
    for name in names:
        if name in known:
            return name
    raise ConfigurationError(
        f"Space {space.name!r} has no option {' or '.join(names)}, which {flag} sets. Name what "
        f"makes its networks larger with --over NAME=VALUES; it has: {', '.join(known)}."
    )


def grid(
    over: Mapping[str, Sequence[Any]], images: Sequence[Any], task: Task
) -> list[tuple[dict[str, Any], Task]]:
    """Returns every combination of option values and image sizes; without sizes, the task's own."""
    tasks = [replace(task, size=size) for size in images] or [task]
    choices = [[(name, value) for value in values] for name, values in over.items()]
    return [(dict(chosen), each) for each in tasks for chosen in itertools.product(*choices)]


def sizes(
    architecture: Architecture,
    space: SearchSpace,
    wanted: Sequence[tuple[Mapping[str, Any], Task]],
    limits: Mapping[str, float],
    clocks: Mapping[str, Clocked],
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> list[Size]:
    """Returns the sizes within `limits`, from the fewest multiply-adds to the most.

    `clocks` measure the metrics that they are named by. `tick` is called with (done, total).

    Raises:
        ConfigurationError: the space does not take an option's value, or a network not its images.
    """
    counted = [counts(architecture, space, options, task) for options, task in wanted]
    counted = [size for size in counted if size.within(limits)]
    counted.sort(key=lambda size: (size.metrics["multiply_adds"], size.metrics["parameters"]))
    found = []
    for done, size in enumerate(counted):
        tick(done, len(counted))
        if clocks:
            size = _timed(architecture, space, size, clocks)
        if size.within(limits):
            found.append(size)
    tick(len(counted), len(counted))
    return found


def counts(
    architecture: Architecture, space: SearchSpace, options: Mapping[str, Any], task: Task
) -> Size:
    """Returns the parameters and the multiply-adds of an architecture's network of one size."""
    with torch.device("meta"):
        network = without_auxiliary(_network(architecture, space, options, task))
    try:
        madds = multiply_adds(network, task.shape)
    except (RuntimeError, ValueError) as error:
        words = ", ".join(f"{name}={value}" for name, value in options.items())
        raise ConfigurationError(
            f"A network of space {space.name!r} with {words or 'its options'} cannot take images "
            f"of {task.form}: {error}"
        ) from error
    return Size(options, task, {"parameters": parameters(network), "multiply_adds": madds})


def _timed(
    architecture: Architecture, space: SearchSpace, size: Size, clocks: Mapping[str, Clocked]
) -> Size:
    """Returns the size with its measured metrics."""
    with torch.random.fork_rng(devices=[]):
        network = _network(architecture, space, size.options, size.task)
        without_auxiliary(network).eval()
        measured = {name: clock(network, size.task) for name, clock in clocks.items()}
    return replace(size, metrics={**size.metrics, **measured})


def _network(
    architecture: Architecture, space: SearchSpace, options: Mapping[str, Any], task: Task
) -> nn.Module:
    """Returns the stand-alone network of an architecture at one size."""
    return space.with_options(options).network(architecture, task)


@dataclass(frozen=True)
class Torch:
    """Seconds of a forward pass in torch, the median of `repeats` passes of `batch` images.

    Example: `Torch(Execution.choose("cpu", "fp32"), batch=1, repeats=11)(network, task)`
    """

    execution: Execution
    batch: int
    repeats: int

    def __call__(self, network: nn.Module, task: Task) -> float:
        """See `Clocked`."""
        device = self.execution.device
        images = torch.randn(self.batch, *task.shape)
        images = images.to(device, memory_format=torch.channels_last)
        # Placing may change layers, and other clocks measure the network as it was made.
        placed = self.execution.place(copy.deepcopy(network))

        def forward() -> None:
            with torch.inference_mode():
                placed(images)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)

        return median_seconds(forward, self.repeats, clock_of(device, torch.get_num_threads()))


def median_seconds(work: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    """Returns the median seconds of `repeats` calls of `work`, after some that are not timed."""
    for _ in range(WARM_UP):
        work()
    taken = []
    for _ in range(repeats):
        begun = clock()
        work()
        taken.append(clock() - begun)
    return median(taken)
