"""Charts of a run: what they read from its events, and that they draw it, as files too."""

import hashlib
from dataclasses import replace
from itertools import pairwise
from math import isnan
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages_kit import (
    DATA,
    GENERATIONS,
    OPERATIONS,
    events,
    log,
    ranked,
    reported,
    result,
    scores,
    trained,
    watched,
)
from run_kit import CONFIG, event

from nastk import ConfigurationError
from nastk.report import RunRecord
from nastk_drawing import draw_curves, draw_lineage, draw_scores
from nastk_drawing.charts import (
    curves,
    population,
    ranking,
    rating_panels,
    ratings,
    study,
    training,
)
from nastk_drawing.charts.panel import apart, decimals, picture, single

FULL = RunRecord(Path("runs/a"), "finished", CONFIG, events(), result(), DATA)


def of(*history, **changes):
    """The full run with another history."""
    return replace(FULL, history=list(history), **changes)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


# ---------------------------------------------------------------- curves


def test_curves_show_what_the_run_has():
    found = curves.panels(FULL)
    assert [panel.heading for panel in found] == [
        "Training loss", "Training accuracy", "Entropy of the mixture", "Parameter-free operations",
    ]  # fmt: skip
    assert found[0].words == "Training loss: from 2.000 in epoch 1 to 0.667 in epoch 3."
    assert "guessing" in texts(single(found[1]))
    assert curves.panels(of(events()[0])) == []
    alone = of(trained("0", 1), watched(1, entropy=None, parameter_free=0.25))
    headings = [panel.heading for panel in curves.panels(alone)]
    assert headings == ["Training loss", "Training accuracy", "Parameter-free operations"]


def test_the_way_to_the_decision_is_dark_and_other_branches_are_light():
    history = [trained(name, epoch) for name, epoch in [("0", 1), ("0.0", 2), ("0.1", 2)]]
    (panel, *_) = curves.panels(of(*history, event("run-finished", "0.1", 2)))
    lines = single(panel).axes[0].lines
    drawn = {tuple(line.get_xdata()): line.get_color() for line in lines}
    assert set(drawn) == {(1,), (1, 2)} and len(lines) == 3
    assert "1 other branch in light grey" in panel.words


def test_a_loss_that_is_not_finite_leaves_a_gap():
    history = [{**trained("0", epoch), "loss": loss} for epoch, loss in enumerate([1.0, None], 1)]
    (panel, *_) = curves.panels(of(*history))
    assert isnan(single(panel).axes[0].lines[0].get_ydata()[1])
    assert panel.words == "Training loss: 1.000 in epoch 1."


# ---------------------------------------------------------------- scores


def test_scores_have_the_names_of_edges_and_the_errors_of_the_same_numbers():
    found = ratings.ratings(FULL)
    assert found.epochs == (1, 2, 3) and found.edges[0].operations == OPERATIONS
    assert found.course(0, 2) == pytest.approx([0.02, 0.04, 0.06])
    assert found.error_course(0, 2) == pytest.approx([0.003] * 3)
    assert isnan(found.scores[0][2][0])


@pytest.mark.parametrize(
    "report",
    [
        {"standard_errors": [[0.1] * 5] * 6},  # of nothing
        {"standard_errors": [[0.1] * 5] * 6, "measures": [[3.0] * 5] * 6},  # of something else
        {"standard_errors": [[0.1] * 4] * 6, "values": scores(1)},  # of another form
        {"standard_errors": "none", "values": scores(1)},
    ],
)
def test_errors_of_other_quantities_are_not_drawn_beside_the_scores(report):
    assert ratings.ratings(of(reported(1, **report), watched(1))).errors == (None,)


def test_errors_stay_while_the_scores_do():
    measured = reported(1, values=scores(1), standard_errors=[[0.1] * 5] * 6)
    same, other = watched(2, scores=scores(1)), watched(3, scores=scores(2))
    found = ratings.ratings(of(measured, watched(1), same, other))
    assert [table is not None for table in found.errors] == [True, True, False]


def test_an_unfinished_run_has_numbers_for_names_and_chooses_nothing():
    found = ratings.ratings(of(watched(1), result={}))
    assert found.edges[5].name == "edge 5" and found.edges[5].chosen == ()
    assert found.edges[5].operations == ("0", "1", "2", "3", "4")
    assert ratings.ratings(of(trained("0", 1), watched(1, scores=None))) is None


def test_each_edge_has_a_panel_whose_labels_do_not_touch():
    panels = rating_panels.panels(ratings.ratings(FULL))
    assert len(panels) == 6
    assert panels[0].words.startswith(
        "Scores on cell:0->1 after epoch 3: avg_pool_3x3 0.12 ± 0.005"
    )
    labels = single(panels[0]).axes[0].texts
    assert {label.get_text().removeprefix("▸ ") for label in labels} == {
        name.replace("_", " ").replace("3x3", "3×3").replace("1x1", "1×1") for name in OPERATIONS
    }
    heights = sorted(label.xyann[1] for label in labels)
    assert all(after - before >= 9.0 for before, after in pairwise(heights))
    assert sum(label.get_text().startswith("▸") for label in labels) == 1


@settings(max_examples=50)
@given(st.lists(st.floats(-50, 250), max_size=12), st.floats(1, 30), st.floats(20, 200))
def test_labels_are_moved_apart_within_the_axes(wanted, gap, height):
    found = apart(sorted(wanted), gap, height)
    room = min(gap, height / max(len(wanted) - 1, 1))
    assert all(-1e-6 <= place <= height + 1e-6 for place in found)
    assert all(b - a > room - 1e-6 for a, b in pairwise(found))


@pytest.mark.parametrize(("step", "places"), [(1.0, 0), (0.5, 1), (0.25, 2), (0.002, 3), (1e-9, 6)])
def test_ticks_have_as_many_decimals_as_tell_them_apart(step, places):
    assert decimals(step) == places


# ---------------------------------------------------------------- population


def test_the_lineage_leads_from_parents_to_children_and_to_those_who_lived_on():
    found = population.population(FULL)
    steps = {(one.number, other.number, other.epoch) for one, other in found.steps()}
    assert steps == {(0, 3, 2), (1, 3, 2), (1, 1, 2), (2, 4, 2),
                     (3, 5, 3), (4, 6, 3), (1, 6, 3), (1, 1, 3)}  # fmt: skip
    assert found.ancestors() == {(3, 5), (2, 3), (1, 0), (1, 1)}
    assert found.fittest.architecture == "a5" and found.fittest.fresh
    assert population.panel(found).words == (
        "3 generations of up to 3: the best fitness goes from 30.00 % in epoch 1 to 60.00 % in "
        "epoch 3; 4 individuals are on the way to the fittest."
    )


def test_individuals_without_a_fitness_are_not_drawn():
    rows = [*GENERATIONS[0], {**GENERATIONS[0][0], "number": 9, "fitness": None}]
    found = population.population(of(reported(1, individuals=rows), trained("0", 1)))
    assert [one.number for one in found.generations[0]] == [1, 0, 2]
    assert population.population(of(reported(1, individuals=[]))) is None
    assert population.population(of(reported(1, individuals=3))) is None


# ---------------------------------------------------------------- ranking, trainings, studies


def test_correlations_of_the_search_come_first_and_counts_beside_them():
    found = ranking.taus(FULL)
    assert [(tau.by, tau.value) for tau in ranking.last(found)] == [
        ("scores", pytest.approx(0.6)), ("supernet", pytest.approx(0.6)), ("parameters", 0.7),
    ]  # fmt: skip
    beside, course = ranking.panels(FULL)
    labels = [label.get_text() for label in single(beside).axes[0].get_yticklabels()]
    assert labels == ["by scores", "by supernet", "number of parameters"]
    assert "number of parameters +0.70" in texts(single(course))
    assert len(ranking.panels(of(ranked(3)))) == 1  # one measurement has no course
    assert ranking.panels(of(trained("0", 1))) == []


def test_trainings_have_a_line_for_each_seed():
    found = training.panels({"seed-0": log(), "seed-1": log(start=3.0), "seed-2": []})
    assert [panel.heading for panel in found] == [
        "Training loss", "Training accuracy", "Held-out accuracy", "Learning rate",
    ]  # fmt: skip
    assert texts(single(found[0])) == ["seed 0", "seed 1"]
    assert training.panels({"seed-0": [{"epoch": 1, "loss": float("inf"), "rate": None}]}) == []


def test_studies_have_a_row_for_each_updater_and_a_band_for_its_seeds():
    panel = study.dots("test_accuracy", {"random": [0.4, 0.5], "gm": [0.6], "none": []})
    assert panel.words == "Means of test accuracy: random 45.00 %, gm 60.00 %."
    assert len(single(panel).axes[0].get_yticks()) == 2
    loss, _ = study.curves({"random": [FULL, FULL], "gm": [of()]})
    assert loss.words == "Training loss in the last epoch, mean over runs: random 0.6667."
    assert study.curves({"gm": [of()]}) == []


# ---------------------------------------------------------------- files


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("draw", [draw_lineage, draw_curves, draw_scores])
def test_the_same_run_gives_the_same_picture(draw, tmp_path):
    digests = {
        hashlib.sha256(draw(FULL, tmp_path / f"{name}.svg").read_bytes()).hexdigest()
        for name in "ab"
    }
    assert len(digests) == 1
    assert draw(FULL, tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("draw", "record", "message"),
    [
        (draw_curves, of(), "has finished no epoch yet"),
        (draw_scores, of(trained("0", 1)), "no scores: its updater, gm around darts, rates no"),
        (draw_lineage, of(trained("0", 1)), "no lineage: its updater, gm around darts, evolves no"),
    ],
)
def test_what_a_run_does_not_have_is_said(draw, record, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        draw(record, tmp_path / "a.svg")
    with pytest.raises(ConfigurationError, match="A picture is written as svg, png, pdf"):
        draw(record, tmp_path / "a.gif")


def test_every_text_of_a_picture_lies_inside_it():
    panels = rating_panels.panels(ratings.ratings(FULL))
    figures = (
        picture(panels[:4], 3, "A title", "and more", "a key"),
        *map(single, ranking.panels(FULL)),
    )
    for figure in figures:
        figure.canvas.draw()
        for text in [text for axes in figure.axes for text in axes.texts]:
            box = text.get_window_extent()
            assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 + 1
