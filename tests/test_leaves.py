"""The choice among leaves: by held-out accuracy, by a judge, never by the test split."""

import pytest
import torch
from core_kit import WISHES

import nastk
from nastk import Evaluation, Evaluator
from nastk.config import resolve
from nastk.errors import ConfigurationError
from nastk.leaves import Chooser
from nastk.mixture import Mixture
from nastk.testing import Harness
from nastk.testing.split import ToySplit


class Judge(Evaluator):
    """Says these values one after the other."""

    name, summary = "judge", "says what it is told to"

    def __init__(self, values, metric="valid"):
        self.values, self.metric = list(values), metric

    def evaluate(self, architecture, probe):
        return Evaluation("judge", {"test_x": 1.0, self.metric: float(self.values.pop(0))})


@pytest.fixture(scope="module")
def leaves():
    harness = Harness(ToySplit)
    return harness.run(), harness.trainer


def test_by_default_the_accuracy_on_the_whole_valid_split_decides(leaves):
    branches, trainer = leaves
    assert len(branches) == 2
    best, values = Chooser().choose(branches, trainer)
    expected = {}
    for branch in branches:
        probe = trainer.probe(branch)
        mixture = Mixture.of(branch.updater.architecture(probe))
        (expected[branch.name],) = probe.scores([mixture], trainer.valid.once())
    assert values == {"valid_accuracy": expected}
    assert best.name == max(expected, key=expected.get)


@pytest.mark.parametrize(("said", "place"), [((1, 2), 1), ((2, 1), 0), ((1, 1), 0)])
def test_the_judge_decides_and_the_first_of_equals_wins(leaves, said, place):
    branches, trainer = leaves
    best, values = Chooser(Judge(said)).choose(branches, trainer)
    assert best is branches[place]
    assert values == {
        "valid": {each.name: value for each, value in zip(branches, said, strict=True)}
    }


@pytest.mark.parametrize(
    ("metric", "name"), [(None, "a_valid"), ("b", "b"), ("a_valid", "a_valid")]
)
def test_the_first_metric_that_is_not_of_the_test_split_is_the_default(metric, name):
    assert Chooser(None, metric).named({"a_test": 1.0, "a_valid": 0.5, "b": 3.0}) == name


@pytest.mark.parametrize(
    ("judge", "metric", "message"),
    [
        ("size", "accuracy", "'accuracy' of 'size', to choose among leaves by, does not exist"),
        ("size", "test_accuracy", "does not exist"),
        (None, "test_accuracy", "Set leaf_metric to one of: valid_accuracy"),
        ("sise", None, "Did you mean 'size'"),
    ],
)
def test_a_judge_or_metric_that_is_not_there_is_said_before_training(judge, metric, message):
    wishes = {**WISHES, "leaf_judge": judge, "leaf_metric": metric}
    with pytest.raises(ConfigurationError, match=message):
        nastk.assemble(resolve(wishes))


def test_the_test_split_chooses_nothing():
    with pytest.raises(ConfigurationError, match="is of the test split, which chooses nothing"):
        Chooser(Judge([1]), "test_x").named({"test_x": 1.0, "valid": 1.0})


def test_a_run_records_its_leaves_and_takes_the_judges(tmp_path):
    wishes = {**WISHES, "leaf_judge": "size", "leaf_metric": "parameters", "out": tmp_path}
    result = nastk.search(**wishes)
    (record,) = [each["values"] for each in result.history if each.get("topic") == "leaves"]
    assert set(record) == {"parameters", "architectures"} and len(record["parameters"]) == 2
    best = max(record["parameters"], key=record["parameters"].get)
    assert result.text == record["architectures"][best]
    assert result.evaluation["parameters"] == record["parameters"][best]
    assert torch.tensor(list(record["parameters"].values())).min() > 0
