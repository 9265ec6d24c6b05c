"""`nastk watch`: from before the first event until the run ends, however it ends."""

import io
import json
import threading
from contextlib import contextmanager

import pytest
from cli_kit import called
from rich.console import Console
from run_kit import CONFIG, EVENTS, RESULT, write_run

from nastk.base.events import StepDone
from nastk.cli import output, watch
from nastk.runs.folder import RunFolder
from nastk.runs.latest import Latest

LINES = [
    "2 epochs of 1 step",
    "epoch 1/2  loss 1.000  accuracy 50.0%  learning rate 0.1000  images 1",
    "branch 0 goes on as 0.0, 0.1",
    "epoch 2/2  branch 0.0  loss 1.000  accuracy 50.0%  learning rate 0.1000  images 1",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run that has begun and has no event yet; watching takes no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(watch, "INTERVAL", 0.001)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text(json.dumps(CONFIG))
    return RunFolder(tmp_path / "a")


@contextmanager
def running(folder, ending):
    """Another process works on the run: it writes event after event, each when it was looked for.

    `ending` is called at the end, still under the lock.
    """
    asked, read = threading.Semaphore(0), RunFolder.state

    def state(self):
        asked.release()
        return read(self)

    begun = threading.Event()

    def work():
        with folder.locked():
            begun.set()
            for event in EVENTS:
                asked.acquire()
                with open(folder.path / "events.jsonl", "a") as log:
                    log.write(json.dumps(event) + "\n")
            asked.acquire()
            ending()

    other = threading.Thread(target=work)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "state", state)
        other.start()
        begun.wait()
        yield
    other.join()


def finish(folder):
    (folder.path / "architecture.json").write_text(json.dumps(RESULT["architecture"]))
    (folder.path / "result.json").write_text(json.dumps(RESULT))


def test_a_run_is_shown_as_its_search_shows_it_until_it_finishes(folder):
    with running(folder, lambda: finish(folder)):
        code, out, err = called("watch", "a")
    assert code == 0
    assert err == "watching a: nasbench201 with gm on folder:leaves, seed 3\n"
    shown = out.splitlines()
    assert shown[: len(LINES)] == LINES
    assert "Evaluation" in shown, "the result comes last, as in `nastk show`"


def test_json_has_a_line_for_each_event(folder):
    with running(folder, lambda: finish(folder)):
        code, out, err = called("watch", "a", "--json")
    assert (code, err) == (0, "")
    heard = [json.loads(line) for line in out.splitlines()]
    assert [(event["kind"], event["branch"]) for event in heard] == [
        (event["kind"], event["branch"]) for event in EVENTS
    ]


def test_a_run_that_was_killed_is_told_from_one_that_works(folder):
    with running(folder, lambda: None):
        code, out, err = called("watch", "a")
    assert code == 1
    assert out.splitlines()[: len(LINES)] == LINES
    assert "No process works on a any more, and it has no result: it was stopped or killed." in err
    assert "`nastk resume a`" in err


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_run_that_failed_says_why(folder, flags):
    def fail():
        (folder.path / "error.txt").write_text("The loss is not finite.\n")

    with running(folder, fail):
        code, _, err = called("watch", "a", *flags)
    assert code == 1
    assert "failed: The loss is not finite." in err


def test_a_finished_run_is_shown_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a")
    code, out, _ = called("watch", "a")
    assert code == 0
    assert out.splitlines()[: len(LINES)] == LINES


def test_a_run_that_was_killed_before_its_first_event(folder):
    code, out, err = called("watch", "a")
    assert code == 1
    assert "it was stopped or killed" in err
    assert "epoch" not in out.split("Training")[0].splitlines()[0]


def test_bars_move_with_what_the_run_is_doing(folder, monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(output, "stdout", lambda: terminal)
    step = StepDone("0", 1, 1, loss=0.75, accuracy=0.25, steps_per_epoch=1)
    Latest(folder.path, began=0.0).write(step)
    with running(folder, lambda: finish(folder)):
        code, _, _ = called("watch", "a")
    assert code == 0
    assert "loss 0.750, 25.0%" in terminal.file.getvalue()
    assert "d " in terminal.file.getvalue(), "the time is the run's, which began long ago"


def test_ctrl_c_ends_the_watching_and_not_the_run(folder, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupted)
    with folder.locked():
        code, _, err = called("watch", "a")
    assert code == 130
    assert err.endswith("No longer watching a, which goes on.\n")


def test_a_folder_without_a_run_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = called("watch", "nowhere")
    assert code == 2
    assert "nowhere is no run folder" in err
