"""The page "Search methods at equal CPU seconds": the arithmetic of what needs no search."""

import importlib
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from scipy.stats import kendalltau

ROOT = Path(__file__).parent.parent
TRUTH = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0])


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "studies")
    return importlib.import_module("comparison")


@pytest.mark.parametrize("draws", [1, 3, 7])
def test_the_best_of_a_draw_is_worth_the_mean_over_all_draws(study, draws):
    by = np.array([5.0, 7.0, 1.0, 2.0, 3.0, 6.0, 4.0])
    every = [max(each, key=lambda one: by[one]) for each in combinations(range(7), draws)]
    assert study.expected_best(by, TRUTH, draws) == pytest.approx(fmean(TRUTH[every]))
    assert study.chances(7, draws).sum() == pytest.approx(1)


def test_a_score_of_tau_one_is_the_truth_and_one_of_tau_zero_is_a_lot(study):
    best, better = study.chosen_by_a_tau(TRUTH, 1.0, 3)
    assert best == pytest.approx(study.expected_best(TRUTH, TRUTH, 3))
    assert better == 1  # none is better in 15 of 35 draws
    blind, _ = study.chosen_by_a_tau(TRUTH, 0.0, 3, repeats=4_000)
    assert blind == pytest.approx(TRUTH.mean(), abs=0.1)


@pytest.mark.parametrize("tau", [0.2, 0.5, 0.8])
def test_normal_scores_of_that_correlation_have_that_tau(tau):
    """Greiner's relation, which the page's scores are made by."""
    rng, correlation = np.random.default_rng(0), np.sin(np.pi * tau / 2)
    truth, noise = rng.standard_normal((2, 20_000))
    score = correlation * truth + np.sqrt(1 - correlation**2) * noise
    assert kendalltau(truth, score).statistic == pytest.approx(tau, abs=0.01)
