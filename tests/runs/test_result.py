import json

import pytest
import torch
from core_kit import rewrite, searched
from torch import nn

import nastk
from nastk import ConfigurationError, DataError, Evaluation, PhaseCost, Result
from nastk.runs.folder import ARCHITECTURE, EVENTS, RESULT, RunFolder
from nastk.testing import ToySpace

SPACE = ToySpace()
FOUND = SPACE.from_text("conv,skip,pool,conv,skip")
TASK = nastk.Task(3, 3, 8, ("zero", "one", "two"))
COST = nastk.Cost({"train": PhaseCost(64, 64, 1.5, 9)})
JUDGED = [
    Evaluation("size", {"parameters": 12.0, "shared": 1.0}, ("counted",)),
    Evaluation("supernet", {"valid_accuracy": 0.5, "shared": 2.0}, trainings={"a": (0.5, 0.6)}),
]


@pytest.fixture
def stored(tmp_path):
    folder = RunFolder(tmp_path)
    Result.store(folder, FOUND, SPACE.to_text(FOUND), JUDGED, COST, "0.1", TASK)
    return Result(folder)


def test_what_is_stored_is_read_again(stored):
    assert stored.architecture == FOUND
    assert stored.text == "conv,skip,pool,conv,skip"
    assert stored.evaluations == JUDGED
    both = {"size.shared": 1.0, "supernet.shared": 2.0}  # the names that do not collide
    flat = {"parameters": 12.0, "shared": 2.0, "valid_accuracy": 0.5}
    assert stored.evaluation == {**flat, **both}
    assert stored.cost == COST
    assert stored.task == TASK
    assert stored.history == []
    assert stored.folder.state() == "finished"
    assert stored.folder.result()["branch"] == "0.1"


def test_the_architecture_has_a_file_of_its_own(stored):
    value = json.loads((stored.folder.path / ARCHITECTURE).read_text())
    assert value["text"] == stored.text and value["id"] == FOUND.id
    assert nastk.Architecture.from_json(value) == FOUND


def test_the_result_is_written_last(tmp_path, monkeypatch):
    """With it the run counts as finished, so nothing may come after."""
    written = []
    monkeypatch.setattr(
        "nastk.runs.result.write_atomically", lambda path, content: written.append(path.name)
    )
    Result.store(RunFolder(tmp_path), FOUND, "", [], COST, "0", TASK)
    assert written == [ARCHITECTURE, RESULT]


def test_another_evaluation_is_added_and_one_by_the_same_evaluator_replaced(stored):
    stored.add(Evaluation("retrain", {"test_accuracy": 0.9}))
    stored.add(Evaluation("size", {"parameters": 13.0}))
    for result in (stored, Result(stored.folder)):
        assert [one.evaluator for one in result.evaluations] == ["supernet", "retrain", "size"]
        assert result.evaluation == {
            "valid_accuracy": 0.5,
            "shared": 2.0,
            "test_accuracy": 0.9,
            "parameters": 13.0,
        }
    assert stored.architecture == FOUND


def test_a_result_of_a_newer_schema_is_refused(stored):
    rewrite(stored.folder.path / RESULT, lambda value: value["architecture"].update(schema=2))
    with pytest.raises(DataError, match="schema 1, got schema 2"):
        _ = Result(stored.folder).architecture


def test_an_unfinished_run_has_no_result(tmp_path):
    with pytest.raises(ConfigurationError, match="has no result yet"):
        _ = Result(RunFolder(tmp_path)).architecture


def test_a_search_gives_a_result_that_can_be_trained(tmp_path):
    result = searched(tmp_path / "run")
    network = result.network()
    assert isinstance(network, nn.Module)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 3)
    assert SPACE.to_text(result.architecture) == result.text
    assert {
        "valid_accuracy",
        "test_accuracy",
        "parameters",
        "multiply_adds",
    } <= result.evaluation.keys()
    epochs = [event for event in result.history if event["kind"] == "epoch-done"]
    assert [event["branch"] for event in epochs] == ["0", "0.0", "0.1"]
    # One epoch of the root and one of each child, of 48 images each.
    assert (
        result.cost.phases["train"].images_forward,
        result.cost.phases["train"].images_backward,
    ) == (
        144,
        144,
    )
    assert result.cost.phases["train"].seconds > 0
    assert epochs[-1]["images_forward"] == 144
    assert not [path for path in (tmp_path / "run").rglob("*") if path.name.endswith(".tmp")]
    assert (tmp_path / "run" / EVENTS).read_bytes().endswith(b"\n")
