"""How often studies err: the script of the page "Error rates", its closed forms and figures."""

import csv
import importlib
from pathlib import Path

import pytest
from scipy import stats

STUDIES = Path(__file__).parent.parent / "docs" / "studies"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(STUDIES)
    return importlib.import_module("error_rates")


@pytest.mark.parametrize(
    ("pairs", "size"), [(5, 0), (6, 1 / 32), (8, 6 / 128), (12, 102 / 2048), (1, 0)]
)
def test_the_reachable_size_of_sign_flips_is_a_number_of_signs(script, pairs, size):
    assert script.size(pairs) == size


@pytest.mark.parametrize("pairs", [13, 20])
def test_that_of_wilcoxons_test_is_the_largest_p_at_the_level(script, pairs):
    # With the k smallest ranks negative, p is a tail of the exact distribution.
    reachable = {
        float(
            stats.wilcoxon(
                [-rank if rank <= count else rank for rank in range(1, pairs + 1)]
            ).pvalue
        )
        for count in range(pairs)
    }
    assert max(p for p in reachable if p <= 0.05) <= script.size(pairs) <= 0.05
    assert script.size(pairs) > 0.047


def test_power_is_the_size_without_a_gap_and_one_with_a_large_one(script):
    assert script.predicted_power(8, 0.0) == pytest.approx(script.size(8))
    assert script.predicted_power(20, 2.0) == pytest.approx(1.0, abs=1e-6)
    assert script.rates(3, 8, gap=30.0, studies=3)["best"] == 1.0


def rows():
    with (STUDIES / "error_rates.csv").open() as file:
        return [
            {key: value if key == "draw" else float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("row", rows(), ids=lambda row: "-".join(map(str, list(row.values())[:4])))
def test_the_stored_rates_are_what_was_promised(script, row):
    seeds, alone = int(row["seeds"]), row["updaters"] == 2
    if row["gap"]:
        if alone:
            predicted = script.predicted_power(seeds, row["gap"])
            assert row["best"] == pytest.approx(predicted, abs=0.04)
        return
    # 2,000 studies: three standard errors of a rate of 5 % are 1.5 points.
    bound = script.size(seeds) if alone else 0.05
    assert row["difference"] <= bound + 0.01
    if alone:
        assert row["difference"] == pytest.approx(bound, abs=0.01)
    assert row["friedman"] <= 0.065 and row["nemenyi"] <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [8, 20])
def test_two_equal_updaters_differ_as_often_as_the_test_can_err_in_2000_studies(script, seeds):
    assert script.rates(2, seeds)["difference"] == pytest.approx(script.size(seeds), abs=0.01)


@pytest.mark.slow
def test_of_six_equal_updaters_holm_finds_any_in_at_most_five_of_a_hundred(script):
    found = script.rates(6, 8)
    assert found["difference"] <= 0.06
    assert found["friedman"] == pytest.approx(0.05, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "gap"), [(8, 1.0), (20, 0.5)])
def test_a_gap_is_found_as_often_as_predicted(script, seeds, gap):
    found = script.rates(2, seeds, gap)["best"]
    assert found == pytest.approx(script.predicted_power(seeds, gap), abs=0.04)
