"""`grow`: how our time and memory grow with each size, beside what the formulas allow.

Every point is measured in a fresh process. The exponent is the slope of a line through the points
on logarithmic scales: 1 is proportional, and what is constant pulls it down. Nothing should grow
faster than its formula.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from benchmarks.isolated import Job, here, measured
from benchmarks.sizes import QUICK

SMALL: dict[str, Any] = {"channels": 8, "cells": 4}


@dataclass(frozen=True)
class Axis:
    """One size: the jobs measured along it, and the largest exponents of time and memory.

    `formula` says why.

    Example: `Axis("batch", "images of a batch", (4, 8), job, at, 1.0, 1.0)`
    """

    name: str
    formula: str
    values: Sequence[int]
    job: Job
    at: Callable[[Job, int], Job]
    time: float
    memory: float


def axes(threads: int, quick: bool) -> list[Axis]:
    """The tables of `grow`; `quick` has tiny nets and two points each."""
    options = QUICK.darts if quick else SMALL
    side, batch = (QUICK.side, QUICK.train) if quick else (32, 8)
    step = Job("train", "darts", options, side, batch, threads=threads)
    # Two nodes a cell, so that a whole order stays short: ten edges.
    order = replace(step, action="order", options={**options, "nodes": 2, "cells": 3})
    bench = {"channels": 8, "cells": 1}
    fitness = replace(step, action="population", space="nasbench201", options=bench)
    found = [
        Axis("channels", "C to C² (1x1)", (8, 16, 32), step, _option("channels"), 2, 1),
        Axis("cells", "cells", (3, 6, 12), step, _option("cells"), 1, 1),
        Axis("batch", "images", (4, 8, 16, 32), step, _field("batch"), 1, 1),
        Axis("operations", "operations of an edge", (1, 2, 4, 7), step, _field("alive"), 1, 1),
        Axis("players", "(n + 1) passes of n", (10, 20, 40, 70), order, _players, 2, 1),
        Axis("samples", "M (n + 1) passes", (1, 2, 4), order, _field("count"), 1, 0),
        Axis("population", "P passes", (5, 10, 20, 40), fitness, _field("count"), 1, 0),
    ]
    return [replace(axis, values=axis.values[:2]) for axis in found] if quick else found


def _option(name: str) -> Callable[[Job, int], Job]:
    return lambda job, value: replace(job, options={**job.options, name: value})


def _field(name: str) -> Callable[[Job, int], Job]:
    change: Callable[..., Job] = replace
    return lambda job, value: change(job, **{name: value})


def _players(job: Job, value: int) -> Job:
    return replace(job, alive=value // 10)


def slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent of the power law that fits best: least squares on logarithmic scales.

    >>> round(slope([1, 2, 4], [3.0, 12.0, 48.0]), 6)
    2.0
    """
    x, y = ([math.log(max(each, 1e-9)) for each in row] for row in (sizes, costs))
    above = sum((a - mean(x)) * (b - mean(y)) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean(x)) ** 2 for a in x)


def tables(threads: int, quick: bool) -> None:
    """Measure every axis, and print each as a Markdown table as soon as it is known."""
    measure = here if quick else measured
    for axis in axes(threads, quick):
        points = [measure(axis.at(axis.job, value)) for value in axis.values]
        print("\n".join(lines(axis, points)) + "\n", flush=True)


def lines(axis: Axis, points: Sequence[Mapping[str, float]]) -> list[str]:
    """One axis as a Markdown table: a column for each size, then exponent and formula."""
    shown = {
        "CPU seconds": ([each["cpu"] for each in points], axis.time),
        "peak memory, MiB": ([each["peak"] / 2**20 for each in points], axis.memory),
    }
    sizes = " | ".join(str(value) for value in axis.values)
    found = [
        f"| {axis.name} ({axis.formula}) | {sizes} | exponent | at most |",
        "|---" * (len(axis.values) + 3) + "|",
    ]
    for name, (costs, most) in shown.items():
        row = " | ".join(f"{cost:.3g}" for cost in costs)
        found.append(f"| {name} | {row} | {slope(axis.values, costs):.2f} | {most:g} |")
    return found
