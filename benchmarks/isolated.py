"""One action in a process of its own: its peak memory and its CPU seconds.

`python -m benchmarks.isolated '{"action": "train", ...}'` measures here and prints JSON;
`measured(job)` starts such a process and reads its answer. The action is run once on two images
before it is measured, so that kernels are chosen and the optimiser has its state.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchmarks.memory import PROMPT, peak_of
from benchmarks.ours import Ours
from benchmarks.pairing import Pair
from benchmarks.reference.training import optimizer_of, training_step
from benchmarks.timing import spent
from nastk import NastkError

ActionName = Literal["train", "reference", "order", "population"]


@dataclass(frozen=True)
class Job:
    """What to measure: a weight step of ours or of the reference, an order, or a population.

    `count` is how many orders, or how many mixtures; `alive` as in `Pair`; `mixing` asks a weight
    step for the gradient of the mixing weights as well.

    Example: `measured(Job("train", "darts", {"channels": 8}, batch=8))`
    """

    action: ActionName
    space: str
    options: dict[str, Any] = field(default_factory=dict)
    side: int = 32
    batch: int = 8
    alive: int = 0
    count: int = 1
    mixing: bool = True
    threads: int = 0


def measured(job: Job) -> dict[str, float]:
    """`peak` (bytes) and `cpu` (seconds) of a job, in a fresh process.

    Raises:
        NastkError: the process failed; says its last line.
    """
    environment = os.environ | PROMPT | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "benchmarks.isolated", json.dumps(asdict(job))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise NastkError(f"The process that measures memory failed: {lines[-1]}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def here(job: Job) -> dict[str, float]:
    """`peak` and `cpu` of a job in this process; frees nothing that others hold."""
    action = _action(job)
    peak = 0

    def watched() -> None:
        nonlocal peak
        peak = peak_of(action)

    cpu = spent(watched).cpu
    return {"peak": float(peak), "cpu": cpu}


def _action(job: Job) -> Callable[[], Any]:
    """The job as something to call, warmed up on two images."""
    small = Pair(job.space, job.options, job.side, 2, job.threads, job.alive)
    pair = small.small(job.batch)
    if job.action == "reference":
        return _reference(job, small, pair)
    ours = small.ours()
    if job.action == "train":
        ours.updater.alpha = pair.alpha(0).requires_grad_(job.mixing)
        ours.step()
        ours.show([pair.batch(0)])
        return ours.step
    ours.losses([pair.mixture(0)], small.batch(0))
    if job.action == "population":
        mixtures = [pair.mixture(number) for number in range(job.count)]
        return lambda: ours.losses(mixtures, pair.batch(0))
    return lambda: [_order(ours, pair, number) for number in range(job.count)]


def _order(ours: Ours, pair: Pair, number: int) -> list[float]:
    order, mixture = pair.order(number), pair.mixture(number)
    coalitions = (mixture.without_all(order[:count]) for count in range(len(order) + 1))
    return ours.losses(coalitions, pair.batch(number))


def _reference(job: Job, small: Pair, pair: Pair) -> Callable[[], Any]:
    network = small.reference()
    optimizer, alpha = optimizer_of(network), pair.alpha(0).requires_grad_(job.mixing)
    training_step(network, optimizer, alpha, small.images(0))
    images = pair.images(0)
    return lambda: training_step(network, optimizer, alpha, images)


if __name__ == "__main__":
    print(json.dumps(here(Job(**json.loads(sys.argv[1])))))
