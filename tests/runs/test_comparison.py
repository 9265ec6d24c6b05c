"""What a study says by one metric: which one, over which seeds, and what is refused."""

import pytest

from nastk import ConfigurationError
from nastk.report.comparison import comparison_notes
from nastk.report.metrics import usual_metric
from nastk.runs.comparison import compared


def runs(**accuracies):
    """Runs with an accuracy for each seed, by updater."""
    return {
        label: {seed: {"accuracy": value, "rank": 10 * value} for seed, value in enumerate(values)}
        for label, values in accuracies.items()
    }


STUDY = runs(darts=[0.5, 0.7, 0.6], random=[0.4, 0.5, 0.6])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["valid_accuracy", "test_accuracy", "table_valid_accuracy"], "table_valid_accuracy"),
        (["x_valid_accuracy", "x_test_accuracy", "test_accuracy"], "x_test_accuracy"),
        (["valid_accuracy", "test_accuracy", "baseline_test_accuracy"], "test_accuracy"),
        (["parameters", "rank"], "parameters"),
        (
            ["test_accuracy", "supernet.test_accuracy", "retrain.test_accuracy"],
            "retrain.test_accuracy",
        ),
        (["valid_accuracy", "supernet.valid_accuracy"], "valid_accuracy"),
    ],
)
def test_a_test_accuracy_of_trained_networks_decides_if_there_is_one(names, expected):
    assert usual_metric(names) == expected


def test_values_are_paired_by_seed():
    found = compared(STUDY, "random")
    assert (found.metric, found.to, found.seeds) == ("accuracy", "random", (0, 1, 2))
    assert found.values["darts"] == [0.5, 0.7, 0.6]
    assert found.differences["darts"].mean == pytest.approx(0.1)
    assert (found.differences["darts"].wins, found.differences["darts"].losses) == (2, 0)
    assert compared(STUDY, "random", "rank").differences["darts"].mean == pytest.approx(1.0)
    assert found.to_json()["differences"]["darts"]["shown"] is False


def test_a_seed_that_one_updater_lacks_is_left_out():
    lacking = {**STUDY, "darts": {seed: STUDY["darts"][seed] for seed in (0, 2)}}
    assert compared(lacking, "random").seeds == (0, 2)


def test_the_frame_has_percents_and_the_largest_mean_first():
    frame = compared(STUDY, "random").frame()
    assert list(frame["updater"]) == ["darts", "random"]
    assert frame["mean"].tolist() == pytest.approx([60.0, 50.0])
    assert frame["difference"][0] == pytest.approx(10.0)
    assert "darts" in frame.to_latex(index=False)


@pytest.mark.parametrize(
    ("to", "expected", "chosen"),
    [
        ("darts", "darts", False),
        ("shapley", "shapley(samples=2)", False),
        ("best", "shapley(samples=2)", True),
        ("random", "random", False),
    ],
)
def test_updaters_are_compared_with_any_of_them_or_the_best(to, expected, chosen):
    found = compared({**STUDY, **runs(**{"shapley(samples=2)": [0.7, 0.7, 0.9]})}, to)
    assert (found.to, found.chosen) == (expected, chosen)
    assert set(found.differences) == set(found.values) - {expected}
    notes = " ".join(comparison_notes(found.to_json()))
    assert ("was chosen by these very values" in notes) is chosen


def test_a_label_that_is_a_name_of_others_is_itself():
    both = {**STUDY, **runs(**{"darts(order=2)": [0.9, 0.9, 0.9], "best": [0.1, 0.1, 0.1]})}
    assert compared(both, "darts").to == "darts"
    assert compared(both, "best").to == "best"


@pytest.mark.parametrize(
    ("changes", "asked", "words"),
    [
        ({}, {"metric": "acuracy"}, "no run .*'acuracy'. Did you mean 'accuracy'"),
        ({}, {"to": "rando"}, "no updater 'rando'. Did you mean 'random'"),
        (
            runs(**{"evnas(samples=1)": [0.5], "evnas(samples=2)": [0.5]}),
            {"to": "evnas"},
            r"several 'evnas', name one. It has: darts, random, evnas\(samples=1\)",
        ),
        ({"darts": {7: {"accuracy": 0.5}}}, {}, r"nothing is paired.*darts \[7\], random \[0, 1"),
    ],
)
def test_what_cannot_be_compared_is_said(changes, asked, words):
    with pytest.raises(ConfigurationError, match=f"(?i){words}"):
        compared({**STUDY, **changes}, **{"to": "random", **asked})
