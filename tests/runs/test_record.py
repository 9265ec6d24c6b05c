"""A run writes down on which machine and with which versions it was computed."""

import json

import pytest
from core_kit import WISHES, searched

import nastk
from nastk.cli import run_record
from nastk.runs import describing


def environments(folder):
    return json.loads((folder / "environment.json").read_text())["environments"]


def test_a_run_has_one_environment_and_a_resumed_one_adds_another_machine(tmp_path, monkeypatch):
    out = tmp_path / "a"
    events = nastk.stream(WISHES, out=out)
    for event in events:
        if event.kind == "epoch-done":
            break
    events.close()
    (here,) = environments(out)
    assert here["device"] == "cpu" and here["precision"] == "fp32" and here["python"]
    nastk.resume(out)
    assert environments(out) == [here]  # finished on the same machine
    (out / "result.json").unlink()
    monkeypatch.setattr(describing, "environment", lambda: {"python": "9.9"})
    nastk.resume(out)
    assert [one["python"] for one in environments(out)] == [here["python"], "9.9"]


@pytest.mark.parametrize(
    "content", [None, "{", "[]", '{"environments": 3}', '{"environments": [1]}']
)
def test_a_lost_or_damaged_environment_hides_nothing_else(content, tmp_path):
    searched(tmp_path / "a", evaluators=[])
    file = tmp_path / "a" / "environment.json"
    file.unlink() if content is None else file.write_text(content)
    record = run_record(tmp_path / "a")
    assert record.environments == [] and record.state == "finished"


def test_a_record_says_what_the_files_of_a_run_say(tmp_path):
    result = searched(tmp_path / "a", evaluators=[])
    record = run_record(tmp_path / "a")
    assert record.result["architecture"]["id"] == result.architecture.id
    assert record.history == result.history
    assert (record.title, record.subtitle) == ("toy-split", "toy on toy, seed 0")
    assert record.images("train") == sum(record.data["splits"]["train"]["counts"]) > 0
    assert record.images("no-such-split") is None
