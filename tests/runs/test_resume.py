"""A killed run, resumed, equals an uninterrupted one bit for bit: weights, architecture, events."""

import gc
import json
import signal
import subprocess
import sys
from functools import cache

import pytest
from core_kit import without_time

import nastk
from nastk.base.events import StepDone, UpdaterWorking
from nastk.runs import checkpoint
from nastk.runs.folder import RunFolder
from nastk.runs.run import Run
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
KILLED = {
    "before there is any checkpoint of an epoch": ("branching", "step-done", 2),
    "inside an epoch, in the middle of two branches": ("branching", "step-done", 11),
    "while the updater measures": ("shapley", "updater-working", 3),
}
KILL = """
import json, os, signal, sys, torch
import nastk
import torch._dynamo  # which torch loads in a search's first step: once for all
torch.set_num_threads(1)  # as in the tests' own process: other threads round otherwise
def search(wishes, out, kind, number):
    heard = 0
    def kill(event):
        nonlocal heard
        heard += event.kind == kind
        if heard == number:
            os.kill(os.getpid(), signal.SIGKILL)
    nastk.search(**wishes, out=out, observers=[kill])
endings = []
for job in json.loads(sys.argv[1]):  # a process of its own for each; starting Python takes seconds
    child = os.fork()
    if not child:
        search(*job)
        os._exit(0)
    endings.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(endings))
"""


def run(request, out):
    return nastk.search(**request, out=out)


def state(path):
    """Everything that must be equal: the last checkpoint's states, the architecture, the events."""
    folder = RunFolder.open(path)
    stored, complaints = checkpoint.newest(folder.checkpoints)
    assert complaints == []
    events = [without_time(event) for event in folder.events()]
    result = folder.result()
    return fingerprint(stored.branches), result["architecture"], result["evaluations"], events


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The state that an uninterrupted run of a case ends in; each case is run once."""

    @cache
    def of(case):
        place = tmp_path_factory.mktemp("straight") / "run"
        run({**WISHES, **CASES[case]}, place)
        return state(place)

    return of


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folders of runs whose process was killed, by when."""
    place = tmp_path_factory.mktemp("killed")
    jobs = [
        ({**WISHES, **CASES[case]}, str(place / when), kind, number)
        for when, (case, kind, number) in KILLED.items()
    ]
    command = [sys.executable, "-c", KILL, json.dumps(jobs)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [-signal.SIGKILL] * len(KILLED)
    return {when: place / when for when in KILLED}


@pytest.mark.parametrize("when", KILLED)
def test_killed_and_resumed_equals_uninterrupted(when, killed, straight):
    folder, (case, _, _) = killed[when], KILLED[when]
    assert RunFolder.open(folder).state() == "interrupted"
    nastk.resume(folder)
    assert state(folder) == straight(case)


STEPS = [(case, StepDone, number) for case in CASES for number in (1, 5, 12)]
MEASURING = [(case, UpdaterWorking, 2) for case in ("shapley", "random")]  # the others never are


@pytest.mark.quick_cases(6)
@pytest.mark.parametrize(("case", "kind", "number"), STEPS + MEASURING)
def test_stopped_and_resumed_equals_uninterrupted(case, kind, number, tmp_path, straight):
    stopped = Run.new(nastk.resolve({**WISHES, **CASES[case]}), tmp_path / "stopped")
    heard = []

    def stop(event):
        heard.extend([event] if isinstance(event, kind) else [])
        if len(heard) == number:
            stopped.stop()

    stopped.observers.append(stop)
    with pytest.raises(nastk.StopRequested, match="nastk resume"):
        for _ in stopped.events():
            pass
    assert RunFolder.open(tmp_path / "stopped").state() == "interrupted"
    nastk.resume(tmp_path / "stopped")
    assert state(tmp_path / "stopped") == straight(case)


def test_leaving_a_stream_is_a_clean_stop(tmp_path, straight):
    for event in nastk.stream({**WISHES, "updater": "darts"}, out=tmp_path / "left"):
        if isinstance(event, StepDone) and event.step == 4:
            break
    folder = RunFolder.open(tmp_path / "left")
    assert folder.state() == "interrupted"
    stored, _ = checkpoint.newest(folder.checkpoints)
    assert stored.branches[0]["step"] == 4
    nastk.resume(tmp_path / "left")
    assert state(tmp_path / "left") == straight("darts")


def let_go(events, way):
    """Let go of a stream that is held in a variable, in one of the ways that there are."""
    if way == "close":
        events.close()
        events.close()
    elif way == "with":
        with events:
            pass
    elif way == "an error in the loop":
        with pytest.raises(ZeroDivisionError), events:
            1 / 0  # noqa: B018
    del events  # the caller has let go of it already


@pytest.mark.parametrize("way", ["close", "with", "an error in the loop", "the variable goes"])
def test_a_stream_in_a_variable_ends_as_cleanly_as_a_loop(way, tmp_path):
    held = [nastk.stream({**WISHES, "updater": "darts"}, out=tmp_path / "held")]
    assert next(event for event in held[0] if isinstance(event, StepDone) and event.step == 5)
    folder = RunFolder.open(tmp_path / "held")
    assert folder.state() == "running"
    let_go(held.pop(), way)
    gc.collect()
    assert folder.state() == "interrupted"
    stored, _ = checkpoint.newest(folder.checkpoints)
    assert stored.branches[0]["step"] == 5


def test_a_stream_that_was_never_asked_for_an_event_leaves_nothing(tmp_path):
    events = nastk.stream({**WISHES, "updater": "darts"}, out=tmp_path / "unused")
    events.close()
    assert list(events) == [] and not (tmp_path / "unused").exists()


def test_a_stream_that_nobody_holds_says_what_could_not_be_written(tmp_path, monkeypatch, capsys):
    events = nastk.stream({**WISHES, "updater": "darts"}, out=tmp_path / "full")
    assert next(event for event in events if isinstance(event, StepDone) and event.step == 5)

    def full(*_):
        raise nastk.NastkError("the disk is full")

    monkeypatch.setattr(checkpoint, "write", full)
    del events
    gc.collect()
    assert capsys.readouterr().err == "error: the disk is full\n"
    assert RunFolder.open(tmp_path / "full").state() == "failed"


ENDS = """
import json, sys
import nastk
events = nastk.stream(json.loads(sys.argv[1]), out=sys.argv[2])
reached = next(event for event in events if event.kind == "step-done" and event.step == 5)
"""


@pytest.mark.slow
def test_a_program_may_end_with_a_stream_in_a_variable(tmp_path):
    request = json.dumps({**WISHES, "updater": "darts"})
    command = [sys.executable, "-c", ENDS, request, str(tmp_path / "ended")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    stored, _ = checkpoint.newest(RunFolder.open(tmp_path / "ended").checkpoints)
    assert stored.branches[0]["step"] == 5


def test_a_resumed_run_goes_on_from_the_checkpoint_before_a_damaged_one(tmp_path, straight):
    request = {**WISHES, "updater": "darts"}
    for event in nastk.stream(request, out=tmp_path / "left"):
        if isinstance(event, StepDone) and event.step == 8:
            break
    newest = max((tmp_path / "left" / "checkpoints").glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-100])
    nastk.resume(tmp_path / "left")
    assert state(tmp_path / "left") == straight("darts")


def test_a_finished_run_is_not_trained_again(tmp_path):
    result = run({**WISHES, "updater": "darts"}, tmp_path / "a")
    before = (tmp_path / "a" / "events.jsonl").read_bytes()
    assert nastk.resume(tmp_path / "a").architecture == result.architecture
    assert (tmp_path / "a" / "events.jsonl").read_bytes() == before
