"""How well one list of numbers ranks like another: `agreement`, `measured_agreement`.

Plain numbers in, plain numbers out: `ranking.py` measures the numbers during a search, and studies
of one's own may call this with any others. An accuracy on some images is itself uncertain:
`measured_agreement` takes which images each architecture got right, and says what they leave open.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

LEVEL = 0.95
RESAMPLES = 1_000
FEWEST = 10
"""Of fewer architectures a rank correlation says nothing."""

BEST_SHARE = 0.1
"""The share of the architectures that `Agreement.best_kendall` and `ndcg` look at."""
SPLITS = 20
"""Random halves of the images whose agreement is averaged."""
MOST_SIGNS = 2 * 10**9
"""Comparisons that the two-way bootstrap may make; of many architectures it resamples fewer."""

Numbers = Float[np.ndarray, "architectures"]
Draws = Int[np.ndarray, "resamples architectures"]
Correct = Bool[np.ndarray, "architectures images"]


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
    `best_kendall` is tau-b among the truly best tenth (at least 10; None where they are all equal
    in one of the two): what a search depends on once the bad ones are known. `precision` says for
    k = 5, 10 which share of the k predicted best are among the k truly best, `ndcg` is the
    normalised discounted cumulative gain of the first tenth, the gain being the true accuracy
    scaled to 0..1 over the sample (Järvelin and Kekäläinen, 2002).

    `halves` is measured where each prediction is an accuracy on images: the mean tau-b between the
    accuracies on two random halves of the images. Where it is low, so is every tau that such
    accuracies can reach.
    """

    architectures: int
    kendall: Estimate
    spearman: Estimate
    regret: dict[str, float]
    best_kendall: float | None = None
    precision: dict[str, float] = field(default_factory=dict)
    ndcg: float | None = None
    halves: float | None = None

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
        among_best(first, second),
        {str(k): precision(first, second, k) for k in (5, 10)},
        ndcg(first, second),
    )


def measured_agreement(correct: Correct, truth: Sequence[float], seed: int = 0) -> Agreement | None:
    """How well accuracies on some images rank like `truth`, with what the images leave open.

    The interval of tau resamples architectures and images (two-way bootstrap); resampled images
    make every accuracy noisier than it was, so the resamples are moved until their mean is the
    measured value. The interval of rho resamples architectures alone.

    Args:
        correct: whether architecture i got image j right.
        truth: the true accuracy of each architecture.
        seed: of everything drawn.
    """
    found = agreement(correct.mean(1).tolist(), truth, seed)
    if found is None:
        return None
    return replace(
        found, kendall=two_way(correct, truth, seed), halves=halves_agreement(correct, seed)
    )


def two_way(correct: Correct, truth: Sequence[float], seed: int = 0) -> Estimate:
    """Tau-b of accuracies with `truth`, and the interval over architectures and images."""
    from scipy import stats

    known = np.asarray(truth, dtype=np.float64)
    count, images = correct.shape
    rng = np.random.default_rng(seed)
    resamples = int(np.clip(MOST_SIGNS // count**2, 100, RESAMPLES))
    drawn = rng.multinomial(images, np.full(images, 1 / images), resamples)
    accuracies = correct.astype(np.float32) @ drawn.T.astype(np.float32)
    draws = rng.multinomial(count, np.full(count, 1 / count), resamples)
    resampled = np.concatenate(
        [
            kendall(each.astype(np.float64), known, draws[place : place + 1])
            for place, each in enumerate(accuracies.T)
        ]
    )
    value = float(stats.kendalltau(correct.mean(1), known).statistic)
    return _estimate(value, resampled + (value - np.nanmean(resampled)))


def halves_agreement(correct: Correct, seed: int = 0) -> float | None:
    """The mean tau-b between accuracies on two random halves of the images.

    None where no half tells the architectures apart.
    """
    from scipy import stats

    rng = np.random.default_rng(seed)
    images = correct.shape[1]
    found = []
    for _ in range(SPLITS):
        order = rng.permutation(images)
        one, other = order[: images // 2], order[images // 2 : 2 * (images // 2)]
        found.append(stats.kendalltau(correct[:, one].mean(1), correct[:, other].mean(1)).statistic)
    known = [float(each) for each in found if not np.isnan(each)]
    return sum(known) / len(known) if known else None


def among_best(predicted: Numbers, truth: Numbers) -> float | None:
    """Tau-b among the truly best tenth, at least 10; None where one of the two is constant."""
    from scipy import stats

    best = np.argsort(-truth, kind="stable")[: _first_tenth(truth)]
    found = float(stats.kendalltau(predicted[best], truth[best]).statistic)
    return None if np.isnan(found) else found


def precision(predicted: Numbers, truth: Numbers, k: int) -> float:
    """The share of the `k` predicted best that are among the `k` truly best."""
    chosen, best = (
        set(np.argsort(-each, kind="stable")[:k].tolist()) for each in (predicted, truth)
    )
    return len(chosen & best) / k


def ndcg(predicted: Numbers, truth: Numbers) -> float:
    """Normalised discounted cumulative gain of the first tenth, at least 10."""
    gains = (truth - truth.min()) / (truth.max() - truth.min())
    first = _first_tenth(truth)
    discounts = 1 / np.log2(np.arange(first) + 2)
    reached = gains[np.argsort(-predicted, kind="stable")[:first]] @ discounts
    return float(reached / (np.sort(gains)[::-1][:first] @ discounts))


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


def _first_tenth(numbers: Numbers) -> int:
    """How many a tenth of them are, at least as many as a rank correlation needs."""
    return max(FEWEST, round(BEST_SHARE * len(numbers)))


def _estimate(value: float, resampled: Float[np.ndarray, "resamples"]) -> Estimate:
    """A value with the ends of the middle 95 % of its resamples, without NaN."""
    edge = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled[~np.isnan(resampled)], [edge, 100 - edge])
    return Estimate(value, float(low), float(high))
