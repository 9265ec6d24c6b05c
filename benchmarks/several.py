"""`processes`: a search in several processes of one thread beside one process of as many threads.

    python -m benchmarks processes [--runs N] [--threads N] [--quick]

A ratio is that of the one process over the several: of the clock how many times as fast they are,
of CPU seconds how much work the several save or add together, which other programs do not change.

The one process, the several, and the several with synchronised norms take turns, each time in fresh
processes, so that what else the machine does meets all of them. A step is a weight step of `darts`
with its step of alpha; measuring is the accuracy of ten paths on one batch.
"""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from time import perf_counter, process_time
from typing import Any

import torch

from benchmarks.sizes import Sizes
from benchmarks.timing import Ratio
from nastk import Mixture, NastkError, Split, Splits, Task, catalogue
from nastk.base import generator
from nastk.base.processes import Processes
from nastk.testing import Harness, ToyData

PATHS = 10
KINDS = ("one process", "shares", "shares, synchronised norms")


@dataclass(frozen=True)
class Job:
    """What every process of a side does: `steps` steps after two to warm up, then measures.

    Example: `timed(Job({"channels": 4, "cells": 1}, side=8, batch=8), processes=2)`
    """

    options: dict[str, Any] = field(default_factory=dict)
    side: int = 32
    batch: int = 64
    steps: int = 5
    threads: int = 1
    synchronised: bool = False


class Larger(ToyData):
    """The toy's images, enlarged to the job's side: two batches of each split."""

    def __init__(self, job: Job) -> None:
        super().__init__(self.parse_options({"images": 4 * job.batch}))
        self.job = job

    @property
    def task(self) -> Task:
        """Three classes of images of the job's side."""
        return replace(super().task, size=self.job.side)

    def splits(self, seed: int) -> Splits:
        """Returns the toy's splits with larger images."""
        small, times = super().splits(seed), self.job.side // 8

        def larger(split: Split) -> Split:
            images = torch.as_tensor(split.images)
            return replace(split, images=images.repeat(1, 1, times, times))

        return Splits(larger(small.train), larger(small.valid), larger(small.test))


def work(job: Job) -> dict[str, float]:
    """Median seconds of a step, and those of a measured path: of a clock, and of this process."""
    torch.set_num_threads(job.threads)
    installed = catalogue()
    space = installed.load("space", "nasbench201")
    harness = Harness(
        installed.load("updater", "darts"),
        {"warmup": 0},
        space(space.parse_options(job.options)),
        Larger(job),
        {"batch_size": job.batch, "epochs": 100, "synchronised_norms": job.synchronised},
        processes=Processes.started(),
    )
    branches = [harness.trainer.root()]
    times, computed = [], []
    last = perf_counter(), process_time()
    for moment in harness.trainer.run(branches):
        if moment == "step":
            times.append(perf_counter() - last[0])
            computed.append(process_time() - last[1])
            if len(times) == 2 + job.steps:
                break
        last = perf_counter(), process_time()
    probe = harness.trainer.probe(branches[0])
    rng, batch = generator(0, "benchmark"), probe.valid.at(0)
    full = harness.space.full()
    paths = [Mixture.of(harness.space.sample(full, rng)) for _ in range(PATHS)]
    began = perf_counter(), process_time()
    list(probe.scores(paths, [batch]))
    return {
        "step": median(times[2:]),
        "path": (perf_counter() - began[0]) / PATHS,
        "step, CPU": median(computed[2:]),
        "path, CPU": (process_time() - began[1]) / PATHS,
    }


def timed(job: Job, processes: int) -> dict[str, float]:
    """What `work` finds in so many fresh processes: the longest of them, and their CPU together.

    Raises:
        NastkError: one of them failed; says its last line.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    path = os.pathsep.join(filter(None, sys.path))
    members = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.several", json.dumps(asdict(job))],
            env={**os.environ, **shared, "RANK": str(rank), "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    answers = [member.communicate() for member in members]
    for member, (_, errors) in zip(members, answers, strict=True):
        if member.returncode:
            lines = errors.strip().splitlines() or ["no message"]
            raise NastkError(f"A process of {processes} failed: {lines[-1]}")
    found = [json.loads(output) for output, _ in answers]
    return {
        name: (sum if "CPU" in name else max)(each[name] for each in found) for name in found[0]
    }


def table(sizes: Sizes, runs: int, count: int, quick: bool) -> None:
    """Print how many times as fast `count` processes are as one process of `count` threads."""
    steps = 1 if quick else 5
    job = Job(sizes.small, sizes.small_side, sizes.bench_train, steps)
    sides = {
        KINDS[0]: (Job(job.options, job.side, job.batch, steps, threads=count), 1),
        KINDS[1]: (job, count),
        KINDS[2]: (Job(job.options, job.side, job.batch, steps, synchronised=True), count),
    }
    rounds = [{kind: timed(*side) for kind, side in sides.items()} for _ in range(runs)]
    columns = ("step", "path", "step, CPU", "path, CPU")
    heads = [head for name in columns for head in (f"{name}, s", "ratio")]
    print(f"| {count} processes of one thread | {' | '.join(heads)} |")
    print("|---" * (1 + len(heads)) + "|")
    for kind in KINDS:
        cells = []
        for what in columns:
            own = [each[kind][what] for each in rounds]
            ratios = [each[KINDS[0]][what] / each[kind][what] for each in rounds]
            ratio = Ratio(median(ratios), min(ratios), max(ratios))
            span = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
            cells += [f"{median(own):.3g}", span]
        name = f"one process of {count} threads" if kind == KINDS[0] else kind
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    print(json.dumps(work(Job(**json.loads(sys.argv[1])))))
