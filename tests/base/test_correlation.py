"""Rank correlation with its interval, and regret: closed forms and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nastk import agreement
from nastk.base.correlation import (
    FEWEST,
    halves_agreement,
    kendall,
    measured_agreement,
    regret,
    spearman,
    two_way,
)


def test_the_same_order_agrees_wholly_and_the_reverse_not_at_all():
    same, reverse = agreement(range(12), range(12)), agreement(range(12), range(12, 0, -1))
    assert (same.kendall.value, same.spearman.value) == pytest.approx((1, 1))
    assert (reverse.kendall.value, reverse.spearman.value) == pytest.approx((-1, -1))
    assert same.kendall.low == same.kendall.high == pytest.approx(1)
    assert same.regret == {"1": 0, "5": 0, "10": 0}
    assert reverse.regret == {"1": 11, "5": 7, "10": 2}


@pytest.mark.parametrize(
    ("predicted", "truth"),
    [
        (range(FEWEST - 1), range(FEWEST - 1)),
        ([], []),
        ([0.5] * 20, range(20)),
        (range(20), [0.5] * 20),
    ],
)
def test_too_few_or_equal_numbers_have_no_agreement(predicted, truth):
    assert agreement(predicted, truth) is None


@given(st.lists(st.integers(0, 5), min_size=FEWEST, max_size=30), st.integers(0, 3))
def test_resamples_have_the_correlations_that_scipy_finds(numbers, seed):
    rng, count = np.random.default_rng(seed), len(numbers)
    first, second = np.array(numbers, dtype=np.float64), rng.integers(0, 5, count).astype(float)
    draws = rng.multinomial(count, np.full(count, 1 / count), 3)
    taus, rhos = kendall(first, second, draws), spearman(first, second, draws)
    for drawn, tau, rho in zip(draws, taus, rhos, strict=True):
        one, other = np.repeat(first, drawn), np.repeat(second, drawn)
        if len(set(one)) == 1 or len(set(other)) == 1:
            assert np.isnan(tau)
            continue
        assert tau == pytest.approx(stats.kendalltau(one, other).statistic)
        assert rho == pytest.approx(stats.spearmanr(one, other).statistic)


@given(st.lists(st.integers(0, 5), min_size=FEWEST, max_size=30), st.integers(0, 3))
def test_the_value_is_scipys_and_lies_in_its_bounds(numbers, seed):
    truth = np.random.default_rng(seed).permutation(len(numbers)).tolist()
    found = agreement(numbers, truth, seed)
    if len(set(numbers)) == 1:
        assert found is None
        return
    assert found.kendall.value == stats.kendalltau(numbers, truth).statistic
    assert found.spearman.value == stats.spearmanr(numbers, truth).statistic
    for one in (found.kendall, found.spearman):
        assert -1 - 1e-9 <= one.low <= one.high <= 1 + 1e-9
    assert found == agreement(numbers, truth, seed)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Normal pairs with correlation r have tau = 2 / pi * asin(r)."""
    rng, r, hits = np.random.default_rng(0), 0.6, 0
    for _ in range(50):
        first, noise = rng.standard_normal((2, 40))
        second = r * first + np.sqrt(1 - r**2) * noise
        found = agreement(first.tolist(), second.tolist()).kendall
        hits += found.low <= 2 / np.pi * np.arcsin(r) <= found.high
    assert 44 <= hits <= 50


@pytest.mark.parametrize(("k", "lost"), [(1, 3.0), (2, 3.0), (3, 0.0), (9, 0.0)])
def test_regret_is_what_the_best_of_the_first_k_lacks(k, lost):
    assert regret(np.array([4.0, 3.0, 2.0, 1.0]), np.array([2.0, 1.0, 5.0, 4.0]), k) == lost


# ---------------------------------------------------------------- the best; accuracies on images


def test_numbers_of_the_best_in_closed_form():
    truth = np.arange(20.0)
    swapped = truth.copy()
    swapped[[19, 0]] = swapped[[0, 19]]  # the best is predicted worst
    found = agreement(swapped.tolist(), truth.tolist())
    assert found.precision == {"5": 0.8, "10": 0.9}
    # Of the ten best the first is placed last: 9 of 45 pairs stand the wrong way round.
    assert found.best_kendall == pytest.approx(1 - 2 * 9 / 45)
    discounts = 1 / np.log2(np.arange(10) + 2)
    gains = truth / 19
    reached = gains[[0, *range(18, 9, -1)]] @ discounts
    assert found.ndcg == pytest.approx(reached / (gains[:9:-1] @ discounts))


@given(st.lists(st.integers(0, 5), min_size=FEWEST, max_size=150), st.integers(0, 3))
def test_measures_of_the_best_keep_their_bounds(numbers, seed):
    truth = np.random.default_rng(seed).permutation(len(numbers)).tolist()
    if (found := agreement(numbers, truth, seed)) is not None:
        assert 0 <= found.ndcg <= 1
        assert all(0 <= share <= 1 for share in found.precision.values())
        assert found.best_kendall is None or -1 <= found.best_kendall <= 1
    perfect = agreement(truth, truth, seed)
    assert (perfect.ndcg, perfect.best_kendall) == pytest.approx((1, 1))
    assert perfect.precision == {"5": 1, "10": 1}


def measured(count, images, spread, seed):
    """Which of `images` each architecture gets right, and its true accuracy."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.5 - spread, 0.5 + spread, count)
    return rng.random((count, images)) < truth[:, None], truth.tolist()


def test_more_images_agree_more_with_each_other_and_with_the_truth():
    few, many = (measured_agreement(*measured(60, images, 0.05, 0)) for images in (200, 5_000))
    assert few.halves < 0.4 < 0.7 < many.halves
    assert few.kendall.value < many.kendall.value
    assert many.kendall.high - many.kendall.low < few.kendall.high - few.kendall.low


def test_the_interval_of_both_is_wider_than_that_of_architectures_alone_and_holds_its_value():
    correct, truth = measured(100, 100, 0.05, 1)
    both = measured_agreement(correct, truth).kendall
    alone = agreement(correct.mean(1).tolist(), truth).kendall
    assert both.value == alone.value and both.low < both.value < both.high
    assert both.high - both.low > alone.high - alone.low


@pytest.mark.slow
def test_the_two_way_interval_holds_what_other_images_and_architectures_give():
    """Of 60 such experiments about 95 % hold the mean of all; fewer than 85 % would be a defect."""
    found = [two_way(*measured(40, 150, 0.08, seed), seed) for seed in range(60)]
    mean = np.mean([each.value for each in found])
    assert np.mean([each.low <= mean <= each.high for each in found]) >= 0.85


def test_images_that_tell_nothing_apart_have_no_agreement():
    correct = np.ones((20, 30), dtype=bool)
    assert measured_agreement(correct, [float(number) for number in range(20)]) is None
    assert halves_agreement(correct) is None
