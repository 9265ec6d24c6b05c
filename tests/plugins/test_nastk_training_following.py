"""Trackers of a training: every epoch is told once, also where it was stopped in between."""

import json
import shutil
import signal

import pytest
from core_kit import searched
from test_nastk_training_command import RECIPE, called, refused

import nastk
from nastk import Tracker, catalogue
from nastk_training import seed as one_seed

TOLD = []


class Listening(Tracker):
    """Remembers what it is told."""

    name, summary = "listening", "remembers"

    def begin(self, run):
        TOLD.append(("begin", run.folder.name, dict(run.memory), dict(run.settings)))
        return {"id": 7}

    def write(self, entry):
        TOLD.append((entry.epoch, entry.step, dict(entry.numbers)))

    def end(self, finished):
        TOLD.append(("end", finished))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    searched(folder, evaluators=["size"])
    return folder


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "a")
    nastk.register(Listening)
    TOLD.clear()
    yield tmp_path / "a"
    del catalogue().installed["tracker"]["listening"]


def test_each_epoch_and_the_end_are_told_once(run):
    straight = [*RECIPE, "--name", "straight", "--track", "listening"]
    shown = json.loads(called(run, *straight, "--json"))
    begin, *epochs, last, end = TOLD
    assert begin[:3] == ("begin", "seed-0", {}) and begin[3]["recipe.epochs"] == 3
    assert begin[3]["seed"] == 0 and begin[3]["space"] == "toy"
    assert [(epoch, step) for epoch, step, _ in epochs] == [(1, 6), (2, 12), (3, 18)]
    log = (run / "trained" / "straight" / "seed-0" / "log.jsonl").read_text().splitlines()
    for (_, _, numbers), line in zip(epochs, map(json.loads, log), strict=True):
        assert numbers == {
            "train/loss": line["loss"],
            "train/accuracy": line["train_accuracy"],
            "train/learning_rate": line["rate"],
            "valid/accuracy": line["valid_accuracy"],
            "cost/seconds": line["seconds"],
        }
    (test,) = shown["test_accuracy"]["values"]
    assert last[:2] == (3, 18) and last[2]["evaluation/train/test_accuracy"] == test
    assert end == ("end", True)
    told = len(TOLD)
    called(run, *straight)  # finished: nothing is left to tell
    assert len(TOLD) == told


def test_a_stopped_training_goes_on_with_its_trackers(run, monkeypatch):
    write = one_seed.checkpoint.write

    def stopping(*arguments):
        write(*arguments)
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(one_seed.checkpoint, "write", stopping)
    refused(run, *RECIPE, "--track", "listening")
    assert [each[0] for each in TOLD] == ["begin", 1, "end"] and TOLD[-1] == ("end", False)
    called(run, *RECIPE)  # its tracker is remembered
    assert [each[0] for each in TOLD[3:]] == ["begin", 2, 3, 3, "end"]
    assert TOLD[3][2] == {"id": 7} and TOLD[-1] == ("end", True)


def test_an_unknown_tracker_is_refused_before_anything_is_written(run):
    assert "No tracker is named 'listning'" in refused(run, *RECIPE, "--track", "listning")
    assert not (run / "trained").exists()
