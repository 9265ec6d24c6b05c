"""How well one list of numbers ranks like another: `agreement`, with bootstrap intervals, `regret`.

Plain numbers in, plain numbers out: `ranking.py` measures the numbers during a search, and studies
of one's own may call this with any others.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

LEVEL = 0.95
RESAMPLES = 1_000
FEWEST = 10
"""Of fewer architectures a rank correlation says nothing."""

Numbers = Float[np.ndarray, "architectures"]


@dataclass(frozen=True)
class Estimate:
    """A rank correlation (-1 to 1) and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """How `predicted` ranks `architectures` whose true accuracy is known.

    `kendall` is tau-b, `spearman` rho. `regret` says for k = 1, 5, 10 what is lost by training only
    the k that are predicted best: the best true accuracy less the best among those k (0..1).
    """

    architectures: int
    kendall: Estimate
    spearman: Estimate
    regret: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def agreement(
    predicted: Sequence[float], truth: Sequence[float], seed: int = 0
) -> Agreement | None:
    """How well `predicted` ranks like `truth`; None where that cannot be said.

    That is for fewer than 10 architectures, or where one of the two holds a single value.

    The interval resamples the architectures (percentile bootstrap, 1,000 times, from `seed`).

    >>> agreement(range(20), range(20)).kendall.value
    1.0
    """
    pairs = np.array([predicted, truth], dtype=np.float64)
    if pairs.shape[1] < FEWEST or (pairs.min(1) == pairs.max(1)).any():
        return None
    rng = np.random.default_rng(seed)
    places = rng.integers(pairs.shape[1], size=(RESAMPLES, pairs.shape[1]))
    return Agreement(
        pairs.shape[1],
        _estimate(lambda a, b: stats.kendalltau(a, b).statistic, pairs, places),
        _estimate(lambda a, b: stats.spearmanr(a, b).statistic, pairs, places),
        {str(k): regret(pairs[0], pairs[1], k) for k in (1, 5, 10)},
    )


def regret(predicted: Numbers, truth: Numbers, k: int) -> float:
    """The best of `truth` less the best among the `k` with the greatest `predicted`.

    Where several tie for the last of the k places, the mean over who may get it is not taken: the
    first ones get it.
    """
    chosen = np.argsort(-predicted, kind="stable")[:k]
    return float(truth.max() - truth[chosen].max())


def _estimate(
    statistic: Callable[[Numbers, Numbers], float],
    pairs: Float[np.ndarray, "two architectures"],
    places: Any,
) -> Estimate:
    with warnings.catch_warnings():
        # A resample of equal numbers has no rank correlation: it is NaN, and left out below.
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        found = np.array([statistic(*pairs[:, chosen]) for chosen in places])
    edge = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(found[~np.isnan(found)], [edge, 100 - edge])
    return Estimate(float(statistic(*pairs)), float(low), float(high))
