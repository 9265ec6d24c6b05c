"""The scripts of the page "Official trained supernets": their arithmetic, and its figures."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "studies" / "official-supernets.md"
WEIGHTS = Path(os.environ.get("NASTK_SHARED", ROOT.parent / "shared" / "data")) / "robustdarts"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "studies")
    return importlib.import_module("official_supernets")


@pytest.fixture
def report(study):
    return importlib.import_module("official_supernets_report")


def test_an_architecture_of_the_log_becomes_a_table(study):
    nodes = "[(1, 0), (0, 1), (2, 0), (1, 1), (0, 0), (3, 1), (4, 1), (0, 0)]"
    table = study.table_of(f"({nodes}, {nodes})", (28, 2))
    normal = [(0, 1), (1, 0), (3, 1), (4, 0), (5, 0), (8, 1), (9, 0), (13, 1)]
    expected = [*normal, *((14 + edge, column) for edge, column in normal)]
    assert [tuple(place) for place in table.nonzero().tolist()] == expected


def test_a_copy_is_nearly_the_image_and_not_quite(study):
    rows = torch.linspace(0, 255, 32).expand(2, 3, 32, 32).to(torch.uint8)
    copies = study.compressed(rows)
    assert copies.dtype == torch.uint8 and copies.shape == rows.shape
    assert 0 < (copies.float() - rows.float()).abs().mean() < 4


def test_an_additive_truth_is_predicted_and_its_scores_found(report):
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 2, (400, 6))
    tables = np.stack([1 - chosen, chosen], 2).astype(float)
    scores = rng.normal(size=(6, 2))
    truth = (tables * scores).sum((1, 2))
    predicted, found = report.additive(tables, truth)
    np.testing.assert_allclose(predicted, truth - truth.mean() + predicted.mean(), atol=0.2)
    leads = scores[:, 1] - scores[:, 0]
    np.testing.assert_allclose(found[:, 1] - found[:, 0], leads, atol=0.05)


def test_more_images_leave_a_higher_ceiling(report):
    truth = np.random.default_rng(0).normal(0.6, 0.1, 300)
    few, many, all_of_them = (report.ceiling(truth, images) for images in (50, 5_000, None))
    assert few < many < all_of_them < 1


def test_an_infinitely_flat_operation_is_as_bad_as_the_flattest_other(report):
    measures, errors = np.array([[np.inf, 1.0], [np.inf, np.e]]), np.full((2, 2), 0.1)
    scores, relative = report.as_scores("flatness", measures, errors)
    np.testing.assert_allclose(scores, [[-1, 0], [-1, -1]])
    np.testing.assert_allclose(relative[:, 1], [0.1, 0.1 / np.e])


def test_an_edge_is_settled_by_a_lead_of_two_standard_errors(report):
    scores = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    errors = np.array([[0.3, 0.3], [0.4, 0.4], [0.0, 0.4]])
    assert report.settled(scores, errors) == "2"
    assert report.settled(scores, np.full((3, 2), np.nan)) == "–"


def test_an_edge_agrees_where_the_same_operation_leads(report):
    effects = np.array([[9.0, 1.0, 2.0], [9.0, 2.0, 1.0], [0.0, 1.0, 2.0]])
    assert report.agreeing(effects, np.array([[0, 0, 1.0], [0, 0, 1.0], [0, 1.0, 1.0]])) == 1


def test_a_difference_has_two_standard_errors_over_images(report):
    hits = np.array([[True, True, False, False], [True, False, True, False]])
    assert report.difference(hits, hits) == "+0.0 ± 0.0"
    assert report.difference(hits, np.array([[0.25], [0.25]])) == "+25.0 ± 40.8"


@pytest.mark.slow
def test_the_page_has_the_tables_that_the_script_makes(report):
    if not WEIGHTS.exists():
        pytest.skip("the folder robustdarts is not here (NASTK_SHARED, or ../shared/data)")
    page = PAGE.read_text()
    for lines in (report.accuracies, report.treatments, report.taus, report.matched):
        assert "\n".join(lines(WEIGHTS)) in page
