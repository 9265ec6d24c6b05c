"""Following files that others write: appended lines, cut logs, the newest transient event."""

import json

import pytest
from run_kit import EVENTS as HISTORY
from run_kit import write_run

from nastk import resolve
from nastk.base.events import EpochDone, EvaluatorWorking, StepDone, UpdaterWorking
from nastk.runs import latest as module
from nastk.runs.folder import EVENTS, RunFolder
from nastk.runs.following import Appended, Followed
from nastk.runs.latest import LATEST, Latest, latest
from nastk.runs.run import Run

LATER = "of-a-later-version"

SAID = [
    (b"", b""),  # what is appended, and what is new then
    (b"one\ntw", b"one\n"),
    (b"o\nthree\n", b"two\nthree\n"),
    (b"four", b""),
    (b"\n", b"four\n"),
]


def test_new_lines_are_whole_and_come_once(tmp_path):
    lines = Appended(tmp_path / "log")
    assert lines.new() == b"", "there is no file yet"
    for appended, new in SAID:
        with open(tmp_path / "log", "ab") as file:
            file.write(appended)
        assert lines.new() == new
    assert lines.new() == b""


CUTS = [
    (4, b"", b""),  # bytes that are left of the log, what is appended, and what is new then
    (4, b"again\n", b"again\n"),
    (4, b"some more than was there before\nlast\n", b"last\n"),
    (0, b"", b""),
]


@pytest.mark.parametrize(("left", "appended", "new"), CUTS)
def test_a_log_that_was_cut_is_read_on_at_whole_lines(tmp_path, left, appended, new):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthree\n")
    lines = Appended(path)
    assert lines.new() == b"one\ntwo\nthree\n"
    with open(path, "r+b") as file:
        file.truncate(left)
    if len(appended) < 10:  # it is looked at between the cut and the next line
        assert lines.new() == b""
    with open(path, "ab") as file:
        file.write(appended)
    assert lines.new() == new


TRANSIENT = [
    StepDone("0.1", 3, 170, 1.25, 0.5, 50),
    UpdaterWorking("0", 3, 170, "measuring", 12, 60),
    EvaluatorWorking("0", 6, 0, "epoch 3/600, loss 1.2", 60, 12_000),
]


@pytest.mark.parametrize("event", TRANSIENT)
def test_the_newest_transient_event_is_read_as_it_was(tmp_path, event):
    Latest(tmp_path, began=12.5).write(event)
    assert latest(tmp_path) == (event, 12.5)


def test_it_is_written_at_most_once_a_second_and_removed_at_the_end(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    file = Latest(tmp_path)
    for step, moment in ((1, 100.0), (2, 100.9), (3, 101.0), (4, 101.5)):
        now[0] = moment
        file.write(StepDone("0", 0, step))
        assert latest(tmp_path)[0].step == (1 if moment < 101 else 3)
    file.remove()
    assert latest(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_or_read_stops_nobody(tmp_path):
    Latest(tmp_path / "gone").write(StepDone("0", 0, 1))
    for text in ("", "[]", '{"kind": "step-done"}', '{"kind": "other", "began": 1}'):
        (tmp_path / LATEST).write_text(text)
        assert latest(tmp_path) is None
    Latest(tmp_path).write(StepDone("0", 0, 1, loss=float("nan")))
    assert latest(tmp_path) is None, "a loss that is no number is not shown"


def test_a_run_is_followed_line_by_line(tmp_path):
    write_run(tmp_path / "run")
    (tmp_path / "run" / EVENTS).unlink()
    followed = Followed(RunFolder.open(tmp_path / "run"))
    assert list(followed.new(running=True)) == []
    heard = []
    for event in [*HISTORY, {"kind": LATER}]:
        with open(tmp_path / "run" / EVENTS, "a") as file:
            file.write(json.dumps(event) + "\n")
        heard += followed.new(running=True)
    assert [line["kind"] for line, _ in heard] == [*(event["kind"] for event in HISTORY), LATER]
    assert [event.epoch for _, event in heard if isinstance(event, EpochDone)] == [1, 2, 2]
    assert heard[-1][1] is None
    Latest(tmp_path / "run", began=7.0).write(TRANSIENT[0])
    assert list(followed.new(running=False)) == []
    assert list(followed.new(running=True)) == [(None, TRANSIENT[0])]
    assert followed.began == 7.0
    assert list(followed.new(running=True)) == [], "it comes once"


def test_a_run_says_where_it_is_while_it_works_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.0)
    config = resolve({"space": "toy", "updater": "random", "data": "toy", "trainer": {"epochs": 1}})
    run = Run.new(config, tmp_path / "run")
    seen = [latest(tmp_path / "run") for event in run.events() if event.kind == "step-done"]
    assert seen and all(isinstance(event, StepDone) for event, _ in seen)
    assert not (tmp_path / "run" / LATEST).exists()
