"""What a training will cost, for `nastk train --dry-run`: counts, and a time from a few steps."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import torch

from nastk.nn import multiply_adds, parameters, without_auxiliary
from nastk_training.beginning import SCRATCH, beginning
from nastk_training.seed import Plan

TIMED = 3
"""Weight steps that are timed, after one that is not."""


@dataclass(frozen=True)
class Forecast:
    """The cost of a plan for a number of seeds; `seconds` are without the measurements.

    Example: `forecast(plan, seeds=3).images_backward`
    """

    device: str
    parameters: int
    multiply_adds: int
    seeds: int
    epochs: int
    steps: int
    images_forward: int
    images_backward: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return asdict(self)


def forecast(plan: Plan, seeds: int) -> Forecast:
    """Returns the forecast after some steps of a training that is thrown away.

    Raises:
        ConfigurationError: the training could not begin, for example with the weights of `--from`.
    """
    setup, task = plan.setup, plan.setup.context.task
    training = setup.training(plan.subject.architecture)
    if plan.source != SCRATCH:
        beginning(plan.source, plan.subject, setup)(training.network)
    with torch.device("meta"):
        counted = without_auxiliary(setup.space.network(plan.subject.architecture, task))
    steps = len(setup.batches("train", setup.train)) * setup.recipe.epochs
    cost = setup.max_cost(seeds)
    return Forecast(
        str(setup.execution.device),
        parameters(counted),
        multiply_adds(counted, task.shape),
        seeds,
        setup.recipe.epochs,
        steps * seeds,
        cost.images_forward,
        cost.images_backward,
        seeds * steps * _seconds_of_a_step(training.rehearse),
    )


def _seconds_of_a_step(rehearse: Callable[[int], int]) -> float:
    """Returns the time of a weight step with its batch; the first one, which is slower, apart."""
    rehearse(1)
    began = perf_counter()
    done = rehearse(TIMED)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (perf_counter() - began) / max(done, 1)
