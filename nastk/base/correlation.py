"""Rank correlations between predicted and true accuracies: `agreement`, `measured_agreement`.

The functions take and return plain numbers: `ranking.py` measures these during a search, and a
study may pass any others. An accuracy on a sample of images is itself uncertain, so
`measured_agreement` takes the correctness of each architecture on each image and includes that
uncertainty in its interval.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

LEVEL = 0.95
RESAMPLES = 1_000
FEWEST = 10
"""No rank correlation is computed for fewer architectures than this."""

BEST_SHARE = 0.1
"""The share of the architectures that `Agreement.best_kendall` and `ndcg` are computed on."""
SPLITS = 20
"""Random divisions of the images into halves, over which `Agreement.halves` is averaged."""
MOST_SIGNS = 2 * 10**9
"""Pairwise comparisons in the two-way bootstrap; for many architectures it resamples less often."""

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
    """How well predictions rank a number of `architectures` whose true accuracy is known.

    `kendall` is tau-b, `spearman` is rho. `regret` is the loss, for k = 1, 5, 10, of training only
    the k architectures predicted best: the best true accuracy minus the best among these k (0..1).
    `best_kendall` is tau-b among the truly best tenth (at least 10 architectures; None if all are
    equal in the predictions or in the truth); a search depends on it once the bad architectures are
    known. `precision` is the share, for k = 5, 10, of the k predicted best that are among the k
    truly best. `ndcg` is the normalised discounted cumulative gain of the first tenth; the gain is
    the true accuracy scaled to 0..1 over the sample (Järvelin and Kekäläinen, 2002).

    `halves` is measured if each prediction is an accuracy on images: the mean tau-b between the
    accuracies on two random halves of the images. If it is low, no prediction by such accuracies
    can reach a high tau.
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
        """Returns a JSON object."""
        return asdict(self)


def agreement(
    predicted: Sequence[float] | Sequence[int],
    truth: Sequence[float] | Sequence[int],
    seed: int = 0,
) -> Agreement | None:
    """Returns the agreement of `predicted` with `truth`.

    It is None for fewer than 10 architectures, or if all values of one of the two lists are equal.
    The intervals resample the architectures (percentile bootstrap, 1,000 times, from `seed`).

    >>> agreement(range(20), range(20)).kendall.value
    1.0
    """
    # Imported here because scipy takes half a second to load and most runs rank nothing.
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
    """Returns the agreement of accuracies on some images with `truth`; None as for `agreement`.

    The interval of tau resamples architectures and images (two-way bootstrap). Resampling images
    adds noise to every accuracy and lowers tau, so the resamples are shifted until their mean is
    the measured value. The interval of rho resamples architectures alone.

    Args:
        correct: True if architecture i classifies image j correctly (architectures x images).
        truth: the true accuracy of each architecture.
        seed: the seed of all random draws.
    """
    point = agreement(correct.mean(1).tolist(), truth, seed)
    if point is None:
        return None
    return replace(
        point, kendall=two_way(correct, truth, seed), halves=halves_agreement(correct, seed)
    )


def two_way(correct: Correct, truth: Sequence[float], seed: int = 0) -> Estimate:
    """Returns tau-b of accuracies with `truth`, its interval over architectures and images."""
    from scipy import stats

    true_accuracies = np.asarray(truth, dtype=np.float64)
    count, images = correct.shape
    rng = np.random.default_rng(seed)
    resamples = int(np.clip(MOST_SIGNS // count**2, 100, RESAMPLES))
    # resamples x images: how often each image is drawn
    image_draws = rng.multinomial(images, np.full(images, 1 / images), resamples)
    # architectures x resamples; unscaled, since tau depends on the order alone
    accuracies = correct.astype(np.float32) @ image_draws.T.astype(np.float32)
    draws = rng.multinomial(count, np.full(count, 1 / count), resamples)
    resampled = np.concatenate(
        [
            kendall(column.astype(np.float64), true_accuracies, draws[index : index + 1])
            for index, column in enumerate(accuracies.T)
        ]
    )
    value = float(stats.kendalltau(correct.mean(1), true_accuracies).statistic)
    # Resampled accuracies are noisier, which lowers tau: shift the mean back to the measured value.
    return _estimate(value, resampled + (value - np.nanmean(resampled)))


def halves_agreement(correct: Correct, seed: int = 0) -> float | None:
    """Returns the mean tau-b between accuracies on two random halves of the images.

    It is None if all architectures have the same accuracy on one half of every division.
    """
    from scipy import stats

    rng = np.random.default_rng(seed)
    images = correct.shape[1]
    taus = []
    for _ in range(SPLITS):
        order = rng.permutation(images)
        first, second = order[: images // 2], order[images // 2 : 2 * (images // 2)]
        taus.append(
            stats.kendalltau(correct[:, first].mean(1), correct[:, second].mean(1)).statistic
        )
    defined = [float(tau) for tau in taus if not np.isnan(tau)]
    return sum(defined) / len(defined) if defined else None


def among_best(predicted: Numbers, truth: Numbers) -> float | None:
    """Returns tau-b among the truly best tenth (at least 10); None if either list is constant."""
    from scipy import stats

    best = np.argsort(-truth, kind="stable")[: _first_tenth(truth)]
    tau = float(stats.kendalltau(predicted[best], truth[best]).statistic)
    return None if np.isnan(tau) else tau


def precision(predicted: Numbers, truth: Numbers, k: int) -> float:
    """Returns the share of the `k` predicted best that are among the `k` truly best."""
    chosen, best = (
        set(np.argsort(-values, kind="stable")[:k].tolist()) for values in (predicted, truth)
    )
    return len(chosen & best) / k


def ndcg(predicted: Numbers, truth: Numbers) -> float:
    """Returns the normalised discounted cumulative gain of the first tenth (at least 10)."""
    gains = (truth - truth.min()) / (truth.max() - truth.min())
    first = _first_tenth(truth)
    discounts = 1 / np.log2(np.arange(first) + 2)
    reached = gains[np.argsort(-predicted, kind="stable")[:first]] @ discounts
    return float(reached / (np.sort(gains)[::-1][:first] @ discounts))


def kendall(first: Numbers, second: Numbers, draws: Draws) -> Float[np.ndarray, "resamples"]:
    """Returns tau-b of each resample, in which the pair i occurs `draws[:, i]` times.

    It is NaN if all values of a resample are equal. The signs of all differences are computed once
    for all resamples; a rank correlation for each resample would take a second.
    """
    # architectures x architectures: which of two architectures is better, in each list
    first_signs, second_signs = (np.sign(values[:, None] - values) for values in (first, second))
    counts = draws.astype(np.float64)  # resamples x architectures

    def total(signs: Float[np.ndarray, "architectures architectures"]) -> Any:
        """Returns sum_ij counts[r, i] signs[i, j] counts[r, j] for each resample r."""
        return ((counts @ signs) * counts).sum(1)

    # tau-b = sum s t / sqrt(sum s^2 sum t^2) over all pairs, with the sign 0 for a tie
    concordance = first_signs * second_signs
    with np.errstate(invalid="ignore"):
        scale = np.sqrt(total(first_signs**2) * total(second_signs**2))
        return np.asarray(total(concordance) / scale)


def spearman(first: Numbers, second: Numbers, draws: Draws) -> Float[np.ndarray, "resamples"]:
    """Returns rho of each resample, in which the pair i occurs `draws[:, i]` times.

    Rho is the correlation of mean ranks; it is NaN if all values of a resample are equal.
    """
    counts = draws.astype(np.float64)  # resamples x architectures
    # The mean rank of a value: how many of the resample are smaller, plus half of those equal.
    ranks = [
        counts @ (values[:, None] < values) + counts @ (values[:, None] == values) / 2
        for values in (first, second)
    ]  # two of resamples x architectures
    shares = counts / counts.sum(1, keepdims=True)
    first_ranks, second_ranks = (
        rank - (shares * rank).sum(1, keepdims=True) for rank in ranks
    )  # centred within each resample
    with np.errstate(invalid="ignore"):
        scale = np.sqrt((shares * first_ranks**2).sum(1) * (shares * second_ranks**2).sum(1))
        return np.asarray((shares * first_ranks * second_ranks).sum(1) / scale)


def regret(predicted: Numbers, truth: Numbers, k: int) -> float:
    """Returns the best of `truth` minus the best among the `k` with the greatest `predicted`.

    If several architectures tie for the last of the k ranks, those that come first are taken.
    """
    chosen = np.argsort(-predicted, kind="stable")[:k]
    return float(truth.max() - truth[chosen].max())


def _first_tenth(numbers: Numbers) -> int:
    """Returns a tenth of the number of values, but at least `FEWEST`."""
    return max(FEWEST, round(BEST_SHARE * len(numbers)))


def _estimate(value: float, resampled: Float[np.ndarray, "resamples"]) -> Estimate:
    """Returns a value with the ends of the middle 95 % of its resamples, leaving out NaN."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled[~np.isnan(resampled)], [tail, 100 - tail])
    return Estimate(value, float(low), float(high))
