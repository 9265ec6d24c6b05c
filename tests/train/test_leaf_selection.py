"""The choice among leaves: by held-out accuracy, by an evaluator, never by the test split."""

import json

import pytest
import torch
from core_kit import WISHES

import nastk
from nastk import (
    ConfigurationError,
    Evaluation,
    Evaluator,
    Mixture,
    PluginError,
    StopRequested,
    resolve,
)
from nastk.base.events import UpdaterWorking
from nastk.runs.evaluating import evaluator_use
from nastk.runs.folder import RunFolder
from nastk.runs.run import Run
from nastk.testing import Harness
from nastk.testing.split import ToySplit
from nastk.train.leaf_selection import Chooser

RETRAIN = nastk.use("retrain", epochs=2, batch_size=16, rungs=[1])


class Judge(Evaluator):
    """Says these values one after the other."""

    name, summary = "evaluator", "says what it is told to"

    def __init__(self, values, metric="valid"):
        self.values, self.metric = list(values), metric

    def evaluate(self, architecture, probe):
        return Evaluation("evaluator", {"test_x": 1.0, self.metric: float(self.values.pop(0))})


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


def test_a_single_leaf_is_the_best(leaves):
    branches, trainer = leaves
    best, values = Chooser(Judge([0.5])).choose(branches[1:], trainer)
    assert best is branches[1] and values == {"valid": {best.name: 0.5}}


class Contest(Judge):
    """Judges all at once, by a criterion that is not the accuracy; says more than that."""

    @property
    def criteria(self):
        return ("place", "valid")

    def evaluate_all(self, architectures, probes):
        assert len(architectures) == len(probes) == 2
        return [
            Evaluation("contest", {"epochs": 3.0, "valid": valid, "place": float(place)})
            for place, valid in zip(self.values, (0.9, 0.8), strict=True)
        ]


@pytest.mark.parametrize(
    ("said", "metric", "place"), [((0, 1), None, 1), ((1, 0), None, 0), ((0, 1), "valid", 0)]
)
def test_a_judge_of_all_at_once_is_asked_once_and_all_it_says_is_recorded(
    leaves, said, metric, place
):
    branches, trainer = leaves
    best, values = Chooser(Contest(said), metric).choose(branches, trainer)
    assert best is branches[place]
    assert next(iter(values)) == (metric or "place")
    names = [each.name for each in branches]
    assert values == {
        "place": dict(zip(names, map(float, said), strict=True)),
        "valid": dict(zip(names, (0.9, 0.8), strict=True)),
        "epochs": dict.fromkeys(names, 3.0),
    }


@pytest.mark.parametrize(
    ("metric", "name"), [(None, "a_valid"), ("b", "b"), ("a_valid", "a_valid")]
)
def test_the_first_metric_that_is_not_of_the_test_split_is_the_default(metric, name):
    assert Chooser(None, metric).named({"a_test": 1.0, "a_valid": 0.5, "b": 3.0}) == name


@pytest.mark.parametrize(
    ("evaluator", "metric", "message"),
    [
        ("size", "accuracy", "'accuracy' of 'size', to choose among leaves by, does not exist"),
        ("size", "test_accuracy", "does not exist"),
        (None, "test_accuracy", "Set leaf_metric to one of: valid_accuracy"),
        (RETRAIN, "test_accuracy", "by, is none that it can choose by. Set .* outlasted, valid_"),
        (RETRAIN, "train_loss", "'train_loss' of 'retrain', .* is none that it can choose by"),
        ("retrain,epochs=0", None, "retrain: epochs must be at least 1, got 0"),
        ("retrain,rungs=[2,1]", None, "rungs that rise and stay below epochs"),
        ("retrain,batch_size=900", None, "batch_size 900 is more than the 48 images"),
        ("retrain,epochs", None, r"named as NAME\[,OPTION=VALUE...\].*; got 'retrain,epochs'"),
        (
            "retrain,batch_size=16,split=train+valid",
            None,
            "'retrain' measures nothing to choose among leaves by.*-d train_fraction=0.5",
        ),
        ("sise", None, "Did you mean 'size'"),
    ],
)
def test_a_judge_or_metric_that_is_not_there_is_said_before_training(evaluator, metric, message):
    request = {**WISHES, "leaf_evaluator": evaluator, "leaf_metric": metric}
    with pytest.raises(ConfigurationError, match=message):
        nastk.assemble(resolve(request))


def test_the_test_split_chooses_nothing():
    with pytest.raises(ConfigurationError, match="is of the test split, which chooses nothing"):
        Chooser(Judge([1]), "test_x").named({"test_x": 1.0, "valid": 1.0})


def test_a_run_records_its_leaves_and_takes_the_judges(tmp_path):
    request = {**WISHES, "leaf_evaluator": "size", "leaf_metric": "parameters", "out": tmp_path}
    result = nastk.search(**request)
    (record,) = [each["values"] for each in result.history if each.get("topic") == "leaves"]
    assert set(record) == {"parameters", "architectures"} and len(record["parameters"]) == 2
    best = max(record["parameters"], key=record["parameters"].get)
    assert result.text == record["architectures"][best]
    assert result.evaluation["parameters"] == record["parameters"][best]
    assert torch.tensor(list(record["parameters"].values())).min() > 0


# ---------------------------------------------------------------- by short training


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("size", {}),
        ("retrain,epochs=8", {"epochs": 8}),
        ("retrain,rungs=[1,2,4],seed=3", {"rungs": [1, 2, 4], "seed": 3}),
        ("table,split=valid", {"split": "valid"}),
    ],
)
def test_an_evaluator_is_named_with_its_options(text, options):
    assert evaluator_use(text) == nastk.use(text.partition(",")[0], **options)


@pytest.mark.parametrize("text", ["", ",epochs=3", "retrain,=3", "retrain,3"])
def test_one_that_is_named_otherwise_is_refused(text):
    with pytest.raises(ConfigurationError, match=r"name=value|NAME\[,OPTION=VALUE"):
        evaluator_use(text)


def leaves_of(folder):
    (event,) = [each for each in folder.events() if each.get("topic") == "leaves"]
    return event


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run whose two leaves are chosen between by two epochs of training, and its folder."""
    out = tmp_path_factory.mktemp("runs") / "straight"
    result = nastk.search(
        **{**WISHES, "leaf_evaluator": RETRAIN, "evaluators": ["size"], "out": out}
    )
    return result, RunFolder.open(out)


def test_a_run_trains_the_networks_of_its_leaves_and_takes_the_better(straight):
    result, folder = straight
    event = leaves_of(folder)
    record = event["values"]
    names = set(record["outlasted"])
    assert names == {"0.0", "0.1"} and sorted(record["outlasted"].values()) == [0.0, 1.0]
    best = max(names, key=record["outlasted"].get)
    assert event["branch"] == best and result.text == record["architectures"][best]
    assert record["valid_accuracy"][best] == max(record["valid_accuracy"].values())
    assert set(record["epochs"].values()) == {1.0}  # two leaves: the first rung decides
    spent = result.cost.phases["evaluate"]
    assert (spent.images_forward, spent.images_backward) == (2 * 96, 2 * 48)
    assert folder.config()["leaf_evaluator"]["options"]["rungs"] == [1]


def test_a_choice_that_is_stopped_is_made_anew_to_the_same_end(straight, tmp_path):
    result, folder = straight
    request = {**WISHES, "leaf_evaluator": RETRAIN, "evaluators": ["size"]}
    run = Run.new(resolve(request), tmp_path / "cut")
    working = []

    def stop(event):
        if isinstance(event, UpdaterWorking) and "training network" in event.message:
            working.append(event.message)
            run.stop()

    run.observers.append(stop)
    with pytest.raises(StopRequested, match="Continue with `nastk resume"):
        list(run.events())
    assert len(working) == 1 and working[0].startswith("training network 1 of 2, epoch 1/2, ")
    assert RunFolder.open(tmp_path / "cut").state() == "interrupted"
    again = nastk.resume(tmp_path / "cut")
    assert again.text == result.text
    assert leaves_of(again.folder)["values"] == leaves_of(folder)["values"]


def test_a_run_with_one_leaf_trains_nothing(tmp_path):
    result = nastk.search(
        **{
            **WISHES,
            "updater": "random",
            "leaf_evaluator": RETRAIN,
            "out": tmp_path,
            "evaluators": [],
        }
    )
    assert not [each for each in result.history if each.get("topic") == "leaves"]
    assert result.cost.phases["evaluate"].images_backward == 0


def test_a_judge_that_breaks_is_said_in_one_message(tmp_path, monkeypatch):
    run = Run.new(resolve({**WISHES, "leaf_evaluator": "size"}), tmp_path)

    def broken(architectures, probes):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(run.assembly.chooser.evaluator, "evaluate_all", broken)
    with pytest.raises(PluginError, match=r"'size' .* failed: ZeroDivisionError: oh\. The search"):
        list(run.events())


def test_retrain_judges_a_finished_run(straight):
    from nastk.cli.evaluate import Request, evaluate

    result, folder = straight
    asked = Request(["retrain"], ["epochs=1", "batch_size=16"])
    evaluate(str(folder.path), asked, True)
    stored = json.loads((folder.path / "result.json").read_text())["evaluations"][-1]
    assert stored["evaluator"] == "retrain" and stored["seconds"] > 0
    assert result.text == nastk.Result(folder).text
