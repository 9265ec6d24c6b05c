"""The page "Zero-cost scores beside NASLib's": its arithmetic, and what it claims of its scores."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("NASTK_SHARED", ROOT.parent / "shared" / "data"))
SCORES = SHARED / "naslib_zero_cost_nasbench201.json.gz"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "studies")
    found = importlib.import_module("zero_cost")
    monkeypatch.setattr(found, "RESAMPLES", 50)
    return found


def test_a_tau_has_an_interval_and_so_has_a_difference_of_two(study):
    rng = np.random.default_rng(0)
    accuracies = rng.normal(size=80)
    close, far = (accuracies + rng.normal(0, noise, 80) for noise in (0.3, 2.0))
    tau, low, high = study.taus(close, accuracies)
    assert low < tau < high and tau == kendalltau(close, accuracies).statistic
    apart, low, high = study.difference(close, far, accuracies)
    assert 0 < low < apart < high
    assert study.difference(close, close, accuracies) == (0, 0, 0)


@pytest.mark.skipif(not SCORES.is_file(), reason="NASLib's scores are not here")
@pytest.mark.parametrize("metric", ["synflow", "gradient_norm", "snip", "jacobian_covariance"])
def test_a_score_ranks_as_well_as_naslibs(study, metric):
    known, found = study.published(SCORES), study.rows()
    assert len(found) >= 200
    accuracies = [known[row["cell"]]["val_accuracy"] for row in found]
    ours = [float(row[metric]) for row in found]
    theirs = [known[row["cell"]][study.METRICS[metric]] for row in found]
    taus = [kendalltau(scores, accuracies).statistic for scores in (ours, theirs)]
    assert taus[0] == pytest.approx(taus[1], abs=0.05)
