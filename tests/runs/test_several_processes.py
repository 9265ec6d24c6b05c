"""A run of several processes: as one process's, stopped, killed, and resumed by another number."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from cli_kit import called
from processes_kit import free_port, together

import nastk
from nastk.runs import checkpoint
from nastk.runs.config import resolve
from nastk.runs.folder import RunFolder
from nastk.runs.run import Run

TOY = {
    "space": "toy",
    "updater": "darts",
    "data": "toy",
    "trainer": {"epochs": 2, "batch_size": 16, "synchronised_norms": True},
    "evaluators": ["supernet"],
    "progress": False,
}
DIGITS = {
    **TOY,
    "space": nastk.use("nasbench201", channels=4, cells=1),
    "data": nastk.use("digits", train_fraction=0.5),
}


def newest(folder):
    found = checkpoint.newest(RunFolder(folder).checkpoints)
    assert found is not None
    return found[0]


def searched(request, folder, **more):
    """What a search decides, and what its folder then holds."""
    result = nastk.search(**{**request, **more}, out=folder)
    return {"text": result.text, "metrics": result.evaluation}


def in_processes(work, size=2):
    return together(lambda processes: work(), size)


def test_two_processes_write_one_run_and_one_resumes_it(tmp_path):
    stopped = tmp_path / "stopped"

    def begin():
        run = Run.new(resolve(wishes(TOY)), stopped)
        with pytest.raises(nastk.StopRequested, match="--nproc-per-node 2 -m nastk resume"):
            for event in run.events():
                if event.kind == "step-done":
                    run.stop()
            # The process that does not write hears of no event, and stops when the other does.
        return None

    first, second = in_processes(begin)
    assert (first, second) == (None, None)
    whole = in_processes(lambda: searched(TOY, tmp_path / "whole"))
    assert whole[0] == whole[1]
    resumed = nastk.resume(stopped, progress=False)
    assert resumed.text == whole[0]["text"]
    kinds = [event["kind"] for event in RunFolder(stopped).events()]
    assert kinds.count("run-started") == 1 and kinds.count("epoch-done") == 2
    sizes = [place.get("processes", 1) for place in RunFolder(stopped).environments()]
    assert sizes == [2, 1]


def wishes(request):
    return {key: value for key, value in request.items() if key != "progress"}


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["compare", "--space", "toy", "--updater", "darts", "--data", "toy"], "--executor"),
        (["search", "--space", "toy", "--updater", "darts", "--data", "toy", "--dry-run"], "torch"),
    ],
    ids=lambda value: value[0],
)
def test_what_one_process_does_is_refused_in_several(words, instead, tmp_path):
    def refused(processes):
        code, out, err = called(*words, "--out", str(tmp_path / "out"))
        return code, out, err

    answers = together(refused)
    assert {code for code, _, _ in answers} == {2} and not (tmp_path / "out").exists()
    # Under torchrun only one of them says so; here the first one serves what they agree by, and may
    # be gone when the other asks.
    said = next(err for _, _, err in answers if err)
    assert "is for one process, and torchrun started 2" in said and instead in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("updater", "epochs"),
    [
        (nastk.use("darts", warmup=0), 1),
        ("random", 2),
        (nastk.use("shapley", warmup=1, samples=2), 2),
    ],
    ids=["darts", "random", "shapley"],
)
def test_a_search_in_two_processes_equals_one(updater, epochs, tmp_path):
    request = {**DIGITS, "updater": updater}
    request["trainer"] = {**TOY["trainer"], "epochs": epochs, "batch_size": 128}
    alone = searched(request, tmp_path / "one")
    both = in_processes(lambda: searched(request, tmp_path / "two"))
    assert both[0] == both[1]
    assert both[0]["text"] == alone["text"]
    for one, two in zip(
        newest(tmp_path / "one").branches, newest(tmp_path / "two").branches, strict=True
    ):
        assert torch.equal(one["rng"], two["rng"])
        for name, weight in one["supernet"].items():
            # Rounding grows with each step; these are six or twelve steps of weights up to 1.
            torch.testing.assert_close(two["supernet"][name], weight, rtol=0, atol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_run_with_what_to_do_and_nothing_is_lost(victim, tmp_path):
    folder = tmp_path / "run"
    words = [
        *("search", "--space", "toy", "--updater", "darts", "--data", "toy", "--epochs", "200"),
        *("-t", "batch_size=16", "--evaluator", "supernet", "--quiet", "--out", str(folder)),
    ]
    members = members_of(words)
    deadline = time.monotonic() + 120
    while not any((folder / "checkpoints").glob("*.safetensors")):
        assert time.monotonic() < deadline and members[victim].poll() is None
        time.sleep(0.05)
    members[victim].send_signal(signal.SIGKILL)
    errors = [member.communicate(timeout=120)[1] for member in members]
    said = errors[1 - victim]
    assert members[1 - victim].returncode == 1
    assert f"this is process {1 - victim}" in said and said.count("error: ") == 1
    assert f"`nastk resume {folder}`" in said and "torchrun --standalone" in said
    assert RunFolder(folder).state() in ("failed", "interrupted")
    before = newest(folder).branches[0]["step"]
    # Three go on with what two began, and are stopped by one signal to one of them.
    members = members_of(["resume", str(folder), "--quiet"], size=3)
    while newest(folder).branches[0]["step"] <= before:
        assert time.monotonic() < deadline + 120 and members[1].poll() is None
        time.sleep(0.05)
    members[1].send_signal(signal.SIGTERM)
    errors = [member.communicate(timeout=120)[1] for member in members]
    assert [member.returncode for member in members] == [130] * 3
    assert sum("stopped: Everything is kept" in error for error in errors) == 1


def members_of(words, size=2):
    """The processes of a command, as torchrun starts them."""
    port = str(free_port())
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "nastk", *words],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
