"""What `nastk doctor` says of this machine's convolutions, and how a process is read that ends."""

import subprocess
import sys

import pytest

from nastk.cli import convolutions, doctor
from nastk.cli.convolutions import AVOIDED, USED, Fault, Kind, faults

KINDS = (Kind(1), Kind(3), Kind(3, 2, depthwise=True), Kind(5, dilation=2, nastk=True))


def scripted(*processes):
    """Answers of processes, one after the other, and what each was asked."""
    asked, left = [], list(processes)

    def answers(kinds):
        asked.append(list(kinds))
        return left.pop(0)

    return answers, asked


def test_kinds_are_said_in_words():
    assert [each.words for each in KINDS] == [
        "1x1",
        "3x3",
        "depthwise 3x3, stride 2",
        "5x5, dilation 2 in nastk's form",
    ]
    assert len({each.words for each in (*USED, *AVOIDED)}) == len(USED) + len(AVOIDED)


RIGHT = "right"


@pytest.mark.parametrize(
    "processes, found, asked",
    [
        ([([RIGHT] * 4, "")], [], [4]),
        ([([RIGHT, "wrong by 3.0%", RIGHT, RIGHT], "")], [(1, "wrong by 3.0%")], [4]),
        ([([RIGHT], "crashes"), ([RIGHT, RIGHT], "")], [(1, "crashes")], [4, 2]),
        ([([], "a"), ([], "b"), ([RIGHT], "c")], [(0, "a"), (1, "b"), (3, "c")], [4, 3, 2]),
        # Memory overwritten by the last one ends the process when it is given back.
        ([([RIGHT] * 4, "crashes")], [(3, "crashes")], [4]),
    ],
)
def test_a_process_that_ends_is_the_fault_of_the_kind_it_was_at(processes, found, asked):
    answers, seen = scripted(*processes)
    assert faults(KINDS, answers) == [Fault(KINDS[place], what) for place, what in found]
    assert [len(each) for each in seen] == asked


@pytest.mark.parametrize(
    "code, said, end",
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            [],
            "ends the process (SIGSEGV)",
        ),
        ("print('right', flush=True); import time; time.sleep(60)", ["right"], "never ends"),
        ("print('right'); raise ValueError('no such')", ["right"], "ValueError: no such"),
        ("print('right'); print('rig', end='')", ["right"], ""),
    ],
)
def test_how_a_process_ends_is_told(monkeypatch, code, said, end):
    run = subprocess.run

    def other(command, **options):
        return run([sys.executable, "-c", code], **options)

    monkeypatch.setattr(convolutions.subprocess, "run", other)
    monkeypatch.setattr(convolutions, "PATIENCE", 2.0 if "sleep" in code else 60.0)
    assert convolutions.answered(KINDS[:0]) == (said, end)


def test_wrong_gradients_are_seen_and_how_wrong(monkeypatch):
    from nastk.nn.kernels import pointwise as module

    def off(x, weight):
        return right(x, weight) * (1.25 if x.shape[1] == 12 else 1.0)

    right = module.pointwise
    monkeypatch.setattr(module, "pointwise", off)
    monkeypatch.setattr(convolutions, "SIZES", (8,))
    found = convolutions.examine(Kind(1, 2, nastk=True))
    assert found.startswith("wrong by 56.") and "(12 channels, " in found
    assert convolutions.examine(Kind(3)) == ""


@pytest.mark.slow
def test_this_machine_computes_what_the_spaces_use_right():
    """In a process of its own, as the doctor does."""
    assert faults(USED) == []


def test_the_doctor_says_what_is_unsafe(monkeypatch):
    monkeypatch.setattr(
        convolutions, "faults", lambda kinds: [Fault(kinds[0], "ends the process (SIGSEGV)")]
    )
    used, avoided = doctor._convolutions()
    assert used["found"] == "1x1: the gradient ends the process (SIGSEGV)" and not used["ok"]
    assert avoided["found"].startswith("1x1, stride 2 from few channels: the gradient ends")
    assert avoided["ok"] and "x[..., ::2, ::2]" in avoided["advice"]
    monkeypatch.setattr(convolutions, "faults", lambda kinds: [])
    (fine,) = doctor._convolutions()
    assert fine["ok"] and fine["found"] == f"gradients of {len(USED)} kinds are right"
