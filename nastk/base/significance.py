"""Whether the updaters of a study differ: `differences` to one of them, and `rank_test` of all.

Runs of one seed share initial weights and batches, so values are compared in pairs. The functions
take plain numbers; the tests are scipy's, Holm's correction is statsmodels' and Nemenyi's test that
of scikit-posthocs (extra `studies`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, count
from math import ceil, inf, sqrt
from typing import Any

import numpy as np
from jaxtyping import Float

from nastk.base.extras import library

LEVEL = 0.05
"""The error rate of the tests, and of the intervals."""
MOST_FLIPPED = 12
"""With up to so many pairs the test takes all 2^n signs of the differences; above, Wilcoxon's."""
RESAMPLES = 10_000
PURPOSE = "A comparison of updaters"

Values = Mapping[str, Sequence[float]]
"""The values of a metric by label, in the same order of seeds."""


@dataclass(frozen=True)
class PairedDifference:
    """How much larger a metric is for one updater than for another, over the same seeds.

    `mean` is of the differences, from `low` to `high` the 95 % interval of the mean (BCa bootstrap,
    Efron 1987; None for one pair). `p` is two-sided: of all sign flips of the differences (`test`:
    `sign flips`), from 13 pairs on of Wilcoxon's signed ranks (`wilcoxon`); `corrected` is p after
    Holm's correction for all comparisons with the same updater. Both are None where all differences
    are zero or there is one pair. `effect` is the mean in standard deviations of the differences
    (Cohen's d_z; None if these are all equal). `wins` and `losses` count pairs.
    """

    pairs: int
    mean: float
    low: float | None
    high: float | None
    p: float | None
    corrected: float | None
    test: str
    effect: float | None
    wins: int
    losses: int

    @property
    def shown(self) -> bool:
        """True if the corrected test shows a difference at the level of 5 %."""
        return self.corrected is not None and self.corrected <= LEVEL

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object."""
        return asdict(self) | {"shown": self.shown}


@dataclass(frozen=True)
class RankTest:
    """Friedman's test of whether all updaters are alike, and Nemenyi's test of each pair.

    `ranks` are mean ranks over the blocks (seeds, or data sets and spaces); the largest value has
    rank 1. Two updaters differ by Nemenyi's test where their mean ranks are `critical` apart;
    `pairs` has its p for each pair of labels (Demšar, JMLR 2006, sections 3.2.2 and 3.2.3).

    Example: `rank_test({"a": [3, 2, 4], "b": [1, 1, 2], "c": [2, 3, 3]}).ranks["a"]`
    """

    blocks: int
    ranks: Mapping[str, float]
    p: float
    critical: float
    pairs: Mapping[tuple[str, str], float]

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object, in which a pair is a list of two labels and p."""
        pairs = [[*labels, p] for labels, p in self.pairs.items()]
        return asdict(self) | {"ranks": dict(self.ranks), "pairs": pairs}


def differences(values: Values, to: str, seed: int = 0) -> dict[str, PairedDifference]:
    """Returns the difference of every other label to the label `to`, p corrected for all of them.

    Args:
        values: at least two labels with equally many values, larger is better.
        to: the label that the others are compared with.
        seed: of the bootstrap.

    Raises:
        MissingExtraError: statsmodels is not installed.

    Example: `differences({"random": [0.90, 0.91], "darts": [0.93, 0.92]}, to="random")["darts"]`
    """
    base = np.asarray(values[to], dtype=np.float64)
    found = {
        label: _difference(np.asarray(each, dtype=np.float64) - base, seed)
        for label, each in values.items()
        if label != to
    }
    tested = {label: each.p for label, each in found.items() if each.p is not None}
    if not tested:
        return found
    multitest = library("statsmodels.stats.multitest", "studies", PURPOSE)
    corrected = multitest.multipletests(list(tested.values()), method="holm")[1]
    by_label = dict(zip(tested, map(float, corrected), strict=True))
    return {
        label: PairedDifference(**asdict(each) | {"corrected": by_label.get(label)})
        for label, each in found.items()
    }


def least_p(pairs: int, comparisons: int = 1) -> float:
    """Returns the smallest p that so many pairs can give, after Holm's correction of so many tests.

    >>> least_p(5), least_p(6), least_p(6, comparisons=10)
    (0.0625, 0.03125, 0.3125)
    """
    return min(1.0, comparisons * 2.0 ** (1 - pairs))


def fewest_pairs(comparisons: int = 1) -> int:
    """Returns how many pairs are needed at least to show one difference among so many comparisons.

    >>> fewest_pairs(), fewest_pairs(2), fewest_pairs(10)
    (6, 7, 9)
    """
    return next(pairs for pairs in count(1) if least_p(pairs, comparisons) <= LEVEL)


def fewest_blocks(labels: int) -> int:
    """Returns how many blocks Nemenyi's test needs at least to show that two of `labels` differ.

    With fewer, mean ranks that are as far apart as they can be (`labels` - 1) are not critical.

    >>> fewest_blocks(3), fewest_blocks(6), fewest_blocks(12)
    (3, 3, 3)
    """
    return ceil((_critical(labels, 1) / (labels - 1)) ** 2)


def _critical(labels: int, blocks: int) -> float:
    """Returns the difference of mean ranks at which two updaters differ by Nemenyi's test."""
    from scipy import stats

    quantile = float(stats.studentized_range.ppf(1 - LEVEL, labels, inf))
    return quantile / sqrt(2) * sqrt(labels * (labels + 1) / (6 * blocks))


def rank_test(values: Values) -> RankTest | None:
    """Returns Friedman's and Nemenyi's tests; None for fewer than three labels or two blocks.

    Where all values of every block are equal nothing can be tested: None as well.

    Raises:
        MissingExtraError: scikit-posthocs is not installed.
    """
    from scipy import stats

    labels, table = list(values), np.array([*values.values()], dtype=np.float64).T
    blocks = len(table)
    if len(labels) < 3 or blocks < 2 or (table == table[:, :1]).all():
        return None
    posthocs = library("scikit_posthocs", "studies", PURPOSE)
    pairwise = posthocs.posthoc_nemenyi_friedman(table).to_numpy()  # labels x labels
    of_block = stats.rankdata(-table, axis=1)  # blocks x labels
    number = len(labels)
    return RankTest(
        blocks,
        dict(zip(labels, of_block.mean(0).tolist(), strict=True)),
        float(stats.friedmanchisquare(*table.T).pvalue),
        _critical(number, blocks),
        {
            (labels[one], labels[other]): float(pairwise[one, other])
            for one, other in combinations(range(number), 2)
        },
    )


def _difference(pairs: Float[np.ndarray, "pairs"], seed: int) -> PairedDifference:
    """Returns what the differences of the pairs say, p not yet corrected."""
    spread = float(pairs.std(ddof=1)) if len(pairs) > 1 else 0.0
    low, high = _interval(pairs, seed)
    p, test = _test(pairs)
    return PairedDifference(
        pairs=len(pairs),
        mean=float(pairs.mean()),
        low=low,
        high=high,
        p=p,
        corrected=p,
        test=test,
        effect=float(pairs.mean()) / spread if spread else None,
        wins=int((pairs > 0).sum()),
        losses=int((pairs < 0).sum()),
    )


def _interval(pairs: Float[np.ndarray, "pairs"], seed: int) -> tuple[float | None, float | None]:
    """Returns the ends of the 95 % interval of the mean; None for one pair."""
    from scipy import stats

    if len(pairs) < 2:
        return None, None
    if (pairs == pairs[0]).all():
        return float(pairs[0]), float(pairs[0])
    found = stats.bootstrap(
        (pairs,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=1 - LEVEL,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _test(pairs: Float[np.ndarray, "pairs"]) -> tuple[float | None, str]:
    """Returns the two-sided p that the differences are symmetric about zero, and the test's name.

    p is None where nothing can be said: for one pair, or if all differences are zero.
    """
    from scipy import stats

    name = "sign flips" if len(pairs) <= MOST_FLIPPED else "wilcoxon"
    if len(pairs) < 2 or not pairs.any():
        return None, name
    if len(pairs) > MOST_FLIPPED:
        return float(stats.wilcoxon(pairs).pvalue), name
    every = stats.permutation_test(
        (pairs,),
        np.mean,
        permutation_type="samples",
        n_resamples=inf,
        vectorized=True,
    )
    return float(every.pvalue), name
