"""Pareto fronts of what a study found: who is on them, how much they dominate, what is refused."""

import pytest

from nastk import ConfigurationError
from nastk.runs.front import front


def runs(**points):
    """Runs by updater, each an accuracy and a number of parameters."""
    return {
        label: {
            seed: {"accuracy": accuracy, "parameters": cost, "rank": -accuracy}
            for seed, (accuracy, cost) in enumerate(each)
        }
        for label, each in points.items()
    }


STUDY = runs(darts=[(0.5, 100), (0.9, 200)], random=[(0.6, 150), (0.7, 200)])


def test_what_nothing_beats_in_both_is_on_the_front():
    found = front(STUDY, "params")
    assert (found.metric, found.cost, found.seeds) == ("accuracy", "parameters", (0, 1))
    assert [(one.label, one.seed) for one in found.found if one.best] == [
        ("darts", 0), ("darts", 1), ("random", 0),
    ]  # fmt: skip


def test_the_volume_is_the_share_up_to_a_tenth_beyond_the_worst():
    # Scaled (cost, loss of accuracy): darts (0, 1) and (1, 0), random (0.5, 0.75) and (1, 0.5).
    found = front(STUDY, "parameters")
    darts = (1.1 * 0.1 + 0.1 * 1.0) / 1.1**2
    random = (0.6 * 0.35 + 0.1 * 0.25) / 1.1**2
    assert found.volumes == pytest.approx({"darts": darts, "random": random})
    assert found.volume == pytest.approx((1.1 * 0.1 + 0.6 * 0.25 + 0.1 * 0.75) / 1.1**2)
    assert found.to_json()["found"][0]["best"] is True


def test_volumes_are_of_the_seeds_that_all_have():
    lacking = {**STUDY, "darts": {1: STUDY["darts"][1]}}
    found = front(lacking, "parameters")
    assert found.seeds == (1,) and len(found.found) == 3
    apart = front({"a": {0: STUDY["darts"][0]}, "b": {1: STUDY["darts"][1]}}, "parameters")
    assert apart.volumes == {"a": 0.0, "b": 0.0}


def test_where_all_cost_the_same_the_best_is_the_front():
    found = front(runs(a=[(0.5, 7)], b=[(0.9, 7)]), "parameters", "accuracy")
    assert [one.label for one in found.found if one.best] == ["b"]


@pytest.mark.parametrize(
    ("cost", "metric", "words"),
    [
        ("parms", None, "metric 'parms'. Did you mean 'parameters'"),
        ("params", "acuracy", "metric 'acuracy'. Did you mean 'accuracy'"),
        ("size", "accuracy", "No run of the study has both accuracy and size"),
    ],
)
def test_what_has_no_front_is_said(cost, metric, words):
    apart = {"other": {0: {"size": 3}}}
    with pytest.raises(ConfigurationError, match=words.replace(".", r"\.")):
        front({**STUDY, **apart}, cost, metric)
