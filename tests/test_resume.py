"""A killed run, resumed, equals an uninterrupted one bit for bit: weights, architecture, events."""

import json
import subprocess
import sys

import pytest

import nastk
from nastk import checkpoint
from nastk.driver import Run
from nastk.events import StepDone, UpdaterWorking
from nastk.runs import RunFolder
from nastk.testing import fingerprint

WISHES = {
    "space": "toy",
    "data": "toy",
    "seed": 3,
    "trainer": {"epochs": 4, "batch_size": 16, "log_every": 1},
}
CASES = {
    "darts": {"updater": "darts"},
    "darts second order": {"updater": {"name": "darts", "options": {"order": 2}}},
    "shapley": {
        "updater": {"name": "shapley", "options": {"samples": 2, "warmup": 1, "batch_size": 16}}
    },
    "random": {"updater": {"name": "random", "options": {"candidates": 4}}},
    "branching": {"updater": "toy-split"},
}
KILL = """
import json, os, signal, sys, torch
import nastk
torch.set_num_threads(1)  # as in the tests' own process: other threads round otherwise
wishes, out, kind, number = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
heard = 0
def kill(event):
    global heard
    heard += event.kind == kind
    if heard == number:
        os.kill(os.getpid(), signal.SIGKILL)
trainer = wishes.pop("trainer")
nastk.search(**wishes, trainer=trainer, out=out, observers=[kill])
"""


def run(wishes, out):
    return nastk.search(**wishes, out=out)


def state(path):
    """Everything that must be equal: the last checkpoint's states, the architecture, the events."""
    folder = RunFolder.open(path)
    stored, complaints = checkpoint.newest(folder.checkpoints)
    assert complaints == []
    events = [without_time(event) for event in folder.events()]
    result = folder.result()
    return fingerprint(stored.branches), result["architecture"], result["evaluations"], events


def without_time(event):
    return {key: value for key, value in event.items() if key not in ("time", "seconds")}


@pytest.mark.parametrize(
    ("case", "kind", "number"),
    [
        ("branching", "step-done", 2),  # before there is any checkpoint of an epoch
        ("branching", "step-done", 11),  # inside an epoch, in the middle of two branches
        ("shapley", "updater-working", 3),  # while the updater measures
    ],
)
def test_killed_and_resumed_equals_uninterrupted(case, kind, number, tmp_path):
    wishes = {**WISHES, **CASES[case]}
    command = [
        sys.executable,
        "-c",
        KILL,
        json.dumps(wishes),
        str(tmp_path / "killed"),
        kind,
        str(number),
    ]
    assert subprocess.run(command, check=False).returncode == -9
    assert RunFolder.open(tmp_path / "killed").state() == "interrupted"
    run(wishes, tmp_path / "straight")
    nastk.resume(tmp_path / "killed")
    assert state(tmp_path / "killed") == state(tmp_path / "straight")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "moment", [(StepDone, 1), (StepDone, 5), (StepDone, 12), (UpdaterWorking, 2)]
)
def test_stopped_and_resumed_equals_uninterrupted(case, moment, tmp_path):
    wishes, (kind, number) = {**WISHES, **CASES[case]}, moment
    stopped = Run.new(nastk.resolve(wishes), tmp_path / "stopped")
    heard = []

    def stop(event):
        heard.extend([event] if isinstance(event, kind) else [])
        if len(heard) == number:
            stopped.stop()

    stopped.observers.append(stop)
    try:
        for _ in stopped.events():
            pass
    except nastk.StopRequested as error:
        assert "nastk resume" in str(error)
        assert RunFolder.open(tmp_path / "stopped").state() == "interrupted"
    else:
        assert len(heard) < number, "the stop was not obeyed"
    run(wishes, tmp_path / "straight")
    nastk.resume(tmp_path / "stopped")
    assert state(tmp_path / "stopped") == state(tmp_path / "straight")


def test_leaving_a_stream_is_a_clean_stop(tmp_path):
    for event in nastk.stream({**WISHES, "updater": "darts"}, out=tmp_path / "left"):
        if isinstance(event, StepDone) and event.step == 4:
            break
    folder = RunFolder.open(tmp_path / "left")
    assert folder.state() == "interrupted"
    stored, _ = checkpoint.newest(folder.checkpoints)
    assert stored.branches[0]["step"] == 4
    run({**WISHES, "updater": "darts"}, tmp_path / "straight")
    nastk.resume(tmp_path / "left")
    assert state(tmp_path / "left") == state(tmp_path / "straight")


def test_a_resumed_run_goes_on_from_the_checkpoint_before_a_damaged_one(tmp_path):
    wishes = {**WISHES, "updater": "darts"}
    for event in nastk.stream(wishes, out=tmp_path / "left"):
        if isinstance(event, StepDone) and event.step == 8:
            break
    newest = max((tmp_path / "left" / "checkpoints").glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-100])
    run(wishes, tmp_path / "straight")
    nastk.resume(tmp_path / "left")
    assert state(tmp_path / "left") == state(tmp_path / "straight")


def test_a_finished_run_is_not_trained_again(tmp_path):
    result = run({**WISHES, "updater": "darts"}, tmp_path / "a")
    before = (tmp_path / "a" / "events.jsonl").read_bytes()
    assert nastk.resume(tmp_path / "a").architecture == result.architecture
    assert (tmp_path / "a" / "events.jsonl").read_bytes() == before
