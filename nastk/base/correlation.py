"""How well one list of numbers ranks like another: `agreement`, with bootstrap intervals, `regret`.

Plain numbers in, plain numbers out: `ranking.py` measures the numbers during a search, and studies
of one's own may call this with any others.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

LEVEL = 0.95
RESAMPLES = 1_000
FEWEST = 10
"""Of fewer architectures a rank correlation says nothing."""

Numbers = Float[np.ndarray, "architectures"]
Draws = Int[np.ndarray, "resamples architectures"]


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
    predicted: Sequence[float] | Sequence[int],
    truth: Sequence[float] | Sequence[int],
    seed: int = 0,
) -> Agreement | None:
    """How well `predicted` ranks like `truth`; None where that cannot be said.

    That is for fewer than 10 architectures, or where one of the two holds a single value.

    The interval resamples the architectures (percentile bootstrap, 1,000 times, from `seed`).

    >>> agreement(range(20), range(20)).kendall.value
    1.0
    """
    # Imported late: it takes half a second to load, and most runs rank nothing.
    from scipy import stats

    pairs = np.array([predicted, truth], dtype=np.float64)
    if pairs.shape[1] < FEWEST or (pairs.min(1) == pairs.max(1)).any():
        return None
    first, second = pairs
    count = len(first)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return Agreement(
        count,
        _estimate(float(stats.kendalltau(first, second).statistic), kendall(first, second, draws)),
        _estimate(
            float(np.asarray(stats.spearmanr(first, second).statistic)),
            spearman(first, second, draws),
        ),
        {str(k): regret(first, second, k) for k in (1, 5, 10)},
    )


def kendall(first: Numbers, second: Numbers, draws: Draws) -> Float[np.ndarray, "resamples"]:
    """Tau-b of resamples in which the pair i comes `draws[:, i]` times; NaN where all are equal.

    From the signs of all differences once, where a rank correlation each would take a second.
    """
    one, other = (np.sign(each[:, None] - each) for each in (first, second))
    counts = draws.astype(np.float64)

    def total(signs: Float[np.ndarray, "architectures architectures"]) -> Any:
        return ((counts @ signs) * counts).sum(1)

    with np.errstate(invalid="ignore"):
        return np.asarray(total(one * other) / np.sqrt(total(one**2) * total(other**2)))


def spearman(first: Numbers, second: Numbers, draws: Draws) -> Float[np.ndarray, "resamples"]:
    """Rho of the same resamples: the correlation of mean ranks, each pair as often as it comes."""
    counts = draws.astype(np.float64)
    ranks = [
        counts @ (each[:, None] < each) + counts @ (each[:, None] == each) / 2
        for each in (first, second)
    ]
    shares = counts / counts.sum(1, keepdims=True)
    one, other = (each - (shares * each).sum(1, keepdims=True) for each in ranks)
    with np.errstate(invalid="ignore"):
        scale = np.sqrt((shares * one**2).sum(1) * (shares * other**2).sum(1))
        return np.asarray((shares * one * other).sum(1) / scale)


def regret(predicted: Numbers, truth: Numbers, k: int) -> float:
    """The best of `truth` less the best among the `k` with the greatest `predicted`.

    Where several tie for the last of the k places, the mean over who may get it is not taken: the
    first ones get it.
    """
    chosen = np.argsort(-predicted, kind="stable")[:k]
    return float(truth.max() - truth[chosen].max())


def _estimate(value: float, resampled: Float[np.ndarray, "resamples"]) -> Estimate:
    """A value with the ends of the middle 95 % of its resamples, without NaN."""
    edge = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled[~np.isnan(resampled)], [edge, 100 - edge])
    return Estimate(value, float(low), float(high))
