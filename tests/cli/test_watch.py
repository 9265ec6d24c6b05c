"""`nastk watch`: from before the first event until the run ends, however it ends."""

import io
import json
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_kit import called
from filelock import FileLock
from rich.console import Console
from run_kit import CONFIG, EVENTS, RESULT, write_run

from nastk.base.events import EvaluatorWorking, StepDone
from nastk.cli import output, watch
from nastk.runs.folder import RunFolder
from nastk.runs.following import FollowedTraining
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


# ---------------------------------------------------------------- trainings

EPOCH = {"rate": 0.025, "loss": 1.5, "train_accuracy": 0.5, "valid_accuracy": None, "seconds": 3.0}
EPOCHS = [(0, 1), (0, 2), (10, 1)]  # seed and epoch, as they are written
MODELS = {0: {"valid_accuracy": None, "test_accuracy": 0.9375}, 10: {"valid_accuracy": 0.5}}
EPOCH_LINES = [
    f"seed {seed}  epoch {epoch}  loss 1.500  accuracy 50.0%  learning rate 0.0250  3.0 s"
    for seed, epoch in EPOCHS
]


@contextmanager
def trained(folder, models=MODELS):
    """Another process trains in a folder: it writes an epoch each time that it is looked at."""
    asked, read = threading.Semaphore(0), FollowedTraining.state
    folder.mkdir(parents=True)

    def state(self):
        asked.release()
        return read(self)

    def work():
        with FileLock(folder / "training.lock"):
            begun.set()
            for seed, epoch in EPOCHS:
                asked.acquire()
                (folder / f"seed-{seed}").mkdir(exist_ok=True)
                with open(folder / f"seed-{seed}" / "log.jsonl", "a") as log:
                    log.write(json.dumps({"epoch": epoch, **EPOCH}) + "\n")
            for seed, model in models.items():
                (folder / f"seed-{seed}" / "model.json").write_text(json.dumps(model))
            asked.acquire()

    begun, other = threading.Event(), threading.Thread(target=work)
    with pytest.MonkeyPatch.context() as patch:
        other.start()
        begun.wait()
        patch.setattr(FollowedTraining, "state", state)
        yield
    other.join()


@pytest.mark.parametrize("place", ["b", "a/trained/train"])
def test_a_training_is_followed_by_its_folder(folder, place):
    with trained(folder.path.parent / place):
        code, out, err = called("watch", place)
    assert code == 0
    assert err == f"watching the training in {place}\n"
    assert out.splitlines() == [
        *EPOCH_LINES, "seed 0 is trained: test 93.75 %", "seed 10 is trained: valid 50.00 %"
    ]  # fmt: skip


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_run_is_followed_through_the_training_of_what_it_found(tmp_path, monkeypatch, flags):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(watch, "INTERVAL", 0.001)
    write_run(tmp_path / "a")
    with trained(Path("a/trained/train")):
        code, out, _ = called("watch", "a", *flags)
    assert code == 0
    if flags:
        heard = [json.loads(line) for line in out.splitlines()]
        assert heard == [
            {"kind": "trained-epoch", "training": "train", "seed": seed, "epoch": epoch, **EPOCH}
            for seed, epoch in EPOCHS
        ]
    else:
        assert out.splitlines()[: len(EPOCHS)] == EPOCH_LINES, "its search is over"
    code, out, _ = called("watch", "a")
    assert "Evaluation" in out and EPOCH_LINES[0] not in out, "once both are over, it is shown"


def test_a_training_that_was_killed_is_told_from_one_that_works(folder):
    with trained(folder.path / "trained" / "train", models={0: MODELS[0]}):
        code, _, err = called("watch", "a/trained/train")
    assert code == 1
    assert "No process trains in a/trained/train any more, and not every seed has its" in err


def test_the_bar_of_a_training_says_what_it_is_at(folder, monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(output, "stdout", lambda: terminal)
    place = folder.path / "trained" / "train"
    with trained(place):
        message = "training the network, epoch 3/600"
        Latest(place).write(EvaluatorWorking("0", 0, 0, message, 60, 12_000))
        code, _, _ = called("watch", "a/trained/train")
    assert code == 0
    assert message in terminal.file.getvalue()
    assert "60/12000" in terminal.file.getvalue()
