"""Whether updaters differ: closed forms, published numbers, and the error rate of the tests."""

import numpy as np
import pytest
from scipy import stats

from nastk.base.significance import differences, least_p, rank_test


def shifted(*pairs):
    """Values of two updaters whose differences are `pairs`."""
    base = np.linspace(0.8, 0.9, len(pairs))
    return {"random": base.tolist(), "other": (base + np.array(pairs)).tolist()}


@pytest.mark.parametrize("pairs", [2, 3, 6, 9, 12])
def test_where_all_differences_have_one_sign_p_is_the_smallest_that_there_is(pairs):
    found = differences(shifted(*np.linspace(0.01, 0.02, pairs)), to="random")["other"]
    assert found.p == pytest.approx(least_p(pairs)) and found.test == "sign flips"
    assert (found.pairs, found.wins, found.losses) == (pairs, pairs, 0)
    assert found.mean == pytest.approx(0.015) and found.low <= found.mean <= found.high
    assert found.shown is (pairs >= 6)


def test_p_counts_the_signs_whose_mean_is_as_far_from_zero():
    # Of the 8 sums of +-1, +-2, +-4 only +-7 and +-5 are at least 5 away: 4 of 8.
    assert differences(shifted(-1, 2, 4), to="random")["other"].p == pytest.approx(0.5)


def test_from_thirteen_pairs_on_it_is_wilcoxons_test():
    pairs = np.random.default_rng(0).normal(0.3, 1, 20)
    values = {"random": [0.0] * 20, "other": pairs.tolist()}
    found = differences(values, to="random")["other"]
    assert found.test == "wilcoxon" and found.p == pytest.approx(stats.wilcoxon(pairs).pvalue)
    assert found.effect == pytest.approx(pairs.mean() / pairs.std(ddof=1))


def test_several_comparisons_are_corrected_by_holm():
    base = [0.0] * 6
    values = {
        "random": base,
        "first": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],  # p = 2 / 64
        "second": [-1.0, 2.0, 3.0, 4.0, 5.0, 6.0],  # p = 4 / 64
        "third": [1.0, -2.0, 3.0, -4.0, 5.0, -6.0],
    }
    found = differences(values, to="random")
    assert found["first"].corrected == pytest.approx(3 * 2 / 64)
    assert found["second"].corrected == pytest.approx(2 * 4 / 64)
    assert found["third"].corrected == pytest.approx(found["third"].p)
    assert not any(each.shown for each in found.values())


@pytest.mark.parametrize("pairs", [(0.0, 0.0, 0.0), (0.5,)])
def test_where_nothing_differs_or_there_is_one_pair_there_is_no_p(pairs):
    found = differences(shifted(*pairs), to="random")["other"]
    assert (found.p, found.corrected, found.effect, found.shown) == (None, None, None, False)
    assert (found.low is None) == (len(pairs) == 1)


def test_nemenyis_critical_difference_is_the_published_one():
    # Demšar (2006), section 3.2.2: four classifiers on 14 data sets, 2.569 sqrt(4 * 5 / (6 * 14)).
    table = np.random.default_rng(0).normal(size=(4, 14))
    found = rank_test(dict(zip("abcd", table.tolist(), strict=True)))
    assert found.critical == pytest.approx(1.25, abs=0.005) and found.blocks == 14
    assert found.p == pytest.approx(stats.friedmanchisquare(*table).pvalue)
    assert sum(found.ranks.values()) == pytest.approx(1 + 2 + 3 + 4)
    assert set(found.pairs) == {(a, b) for a in "abcd" for b in "abcd" if a < b}


def test_the_largest_has_rank_one_and_ties_share_theirs():
    found = rank_test({"best": [3.0, 3.0], "tied": [1.0, 2.0], "also": [1.0, 2.0]})
    assert found.ranks == {"best": 1.0, "tied": 2.5, "also": 2.5}


@pytest.mark.parametrize("values", [{"a": [1, 2], "b": [2, 1]}, {key: [1, 1] for key in "abc"}])
def test_there_is_nothing_to_rank_with_two_updaters_or_equal_values(values):
    assert rank_test(values) is None


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [8, 20])
def test_equal_updaters_are_called_different_in_five_of_a_hundred_studies(pairs, monkeypatch):
    monkeypatch.setattr("nastk.base.significance._interval", lambda pairs, seed: (None, None))
    rng = np.random.default_rng(0)
    studies = [differences(shifted(*rng.normal(size=pairs)), to="random") for _ in range(2000)]
    rate = np.mean([study["other"].shown for study in studies])
    assert rate == pytest.approx(0.05, abs=0.01)
