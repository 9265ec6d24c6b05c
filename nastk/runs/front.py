"""Accuracy against size or time: the Pareto front of what a study found, and its hypervolume.

The sorting and the volume are pymoo's (extra `studies`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from nastk.base.errors import ConfigurationError, near_miss
from nastk.base.extras import library
from nastk.report.metrics import usual_metric

SHORT = {"params": "parameters", "madds": "multiply_adds"}
"""Names of costs as `--limit` has them."""
MARGIN = 1.1
"""The reference point lies so far from the best values, in spans between best and worst."""
PURPOSE = "A Pareto front"

Runs = Mapping[str, Mapping[int, Mapping[str, float | int]]]
"""The metrics of each run by label and seed."""


@dataclass(frozen=True)
class Found:
    """An architecture that a run found: its `value` of the metric, its `cost`.

    `best` is True if no other one has a larger value at no more cost, or less cost at no smaller
    value: then it is on the front.
    """

    label: str
    seed: int
    value: float
    cost: float
    best: bool


@dataclass(frozen=True)
class Front:
    """What the runs of a problem found, by a metric (larger is better) and a cost (smaller is).

    `volumes` has for each updater the share (0..1) of the plane that its architectures dominate
    (hypervolume, Zitzler and Thiele 1998), over the `seeds` that all updaters have; `volume` is
    that of all together. Both axes are scaled to the best and the worst value of all runs; the
    reference point lies a tenth of a span beyond the worst.

    Example: `study.front("parameters").volumes["shapley"]`
    """

    metric: str
    cost: str
    seeds: tuple[int, ...]
    found: Sequence[Found]
    volumes: Mapping[str, float]
    volume: float

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return {**asdict(self), "seeds": list(self.seeds)}


def front(runs: Runs, cost: str, metric: str | None = None) -> Front:
    """Returns the Pareto front of the architectures that a study's runs found.

    Args:
        runs: the metrics of each run by label and seed.
        cost: a metric of which less is better, such as `parameters`, or `params` for short.
        metric: a metric of which more is better; None: the usual one.

    Raises:
        ConfigurationError: no run has both metrics.
        MissingExtraError: pymoo is not installed.

    Example: `front({"darts": {0: {"accuracy": 0.9, "parameters": 4e6}}}, "parameters").volume`
    """
    names = [name for seeds in runs.values() for metrics in seeds.values() for name in metrics]
    chosen, cost = metric or usual_metric(names), SHORT.get(cost, cost)
    for name in (chosen, cost):
        if name not in names:
            known = [each for each in dict.fromkeys(names) if not each.endswith(("_low", "_high"))]
            raise ConfigurationError(
                f"No run of the study has the metric {name!r}.{near_miss(name, known)} "
                f"There are: {', '.join(known)}."
            )
    both = {
        label: {seed: one for seed, one in seeds.items() if chosen in one and cost in one}
        for label, seeds in runs.items()
    }
    rows = [(label, seed, one) for label, seeds in both.items() for seed, one in seeds.items()]
    if not rows:
        raise ConfigurationError(f"No run of the study has both {chosen} and {cost}.")
    table = np.array([[one[cost], -one[chosen]] for *_, one in rows], dtype=np.float64)
    sorting = library("pymoo.util.nds.non_dominated_sorting", "studies", PURPOSE)
    best = set(sorting.NonDominatedSorting().do(table, only_non_dominated_front=True).tolist())
    seeds = sorted(set.intersection(*(set(each) for each in both.values())))
    common = np.array([seed in seeds for _, seed, _ in rows])
    labels, scaled = np.array([label for label, *_ in rows]), _scaled(table)
    return Front(
        chosen,
        cost,
        tuple(seeds),
        [
            Found(label, seed, float(one[chosen]), float(one[cost]), number in best)
            for number, (label, seed, one) in enumerate(rows)
        ],
        {label: _volume(scaled[common & (labels == label)]) for label in both},
        _volume(scaled[common]),
    )


def _scaled(table: Float[np.ndarray, "runs 2"]) -> Float[np.ndarray, "runs 2"]:
    """Returns both columns from 0 (the best of all) to 1 (the worst); 0 where all are equal."""
    span = np.ptp(table, axis=0)
    scaled: Float[np.ndarray, "runs 2"] = (table - table.min(0)) / np.where(span > 0, span, 1.0)
    return scaled


def _volume(points: Float[np.ndarray, "points 2"]) -> float:
    """Returns the share of the plane up to the reference point that the points dominate."""
    if not len(points):
        return 0.0
    indicator = library("pymoo.indicators.hv", "studies", PURPOSE)
    return float(indicator.HV(ref_point=np.array([MARGIN, MARGIN]))(points)) / MARGIN**2
