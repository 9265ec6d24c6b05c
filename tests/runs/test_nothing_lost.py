"""Runs whose folder, disk or terminal fails on the way: what is lost, and what is said."""

import errno
import io
import os
import shutil
import sys

import pytest
from core_kit import WISHES

import nastk
from nastk import NastkError, cli
from nastk.base.events import EpochDone, StepDone
from nastk.base.files import sweep, write_atomically
from nastk.runs import checkpoint
from nastk.runs.folder import RunFolder
from nastk.runs.run import Run

DARTS = {**WISHES, "updater": "darts", "trainer": {**WISHES["trainer"], "epochs": 3}}
NOBODY = 2**22 + 1
"""A process number beyond those that Linux gives."""


def left(out, epoch=2, **request):
    """A run that was left after an epoch."""
    for event in nastk.stream({**DARTS, **request}, out=out):
        if isinstance(event, EpochDone) and event.epoch == epoch:
            break
    return RunFolder.open(out)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run left after two of three epochs; to be copied."""
    return left(tmp_path_factory.mktemp("left") / "run").path


@pytest.fixture
def folder(interrupted, tmp_path):
    """A copy of the interrupted run."""
    return RunFolder.open(shutil.copytree(interrupted, tmp_path / "run"))


def files(folder):
    return sorted(path.name for path in folder.checkpoints.iterdir())


# ---------------------------------------------------------------------- checkpoints


def test_a_damaged_checkpoint_does_not_count_as_kept(folder):
    _, last = files(folder)
    (folder.checkpoints / last).write_bytes(b"damaged")
    run = Run.resumed(folder)
    assert any("damaged" in notice for notice in run.notices)
    for event in run.events():
        if isinstance(event, EpochDone):
            break
    assert len(files(folder)) == checkpoint.KEPT
    for name in files(folder):
        checkpoint.read(folder.checkpoints / name)


def test_a_damaged_checkpoint_is_only_renamed_until_there_is_a_newer_one(folder):
    first, last = files(folder)
    (folder.checkpoints / last).write_bytes(b"damaged")
    checkpoint.set_aside(folder.checkpoints, folder.checkpoints / first)
    assert files(folder) == [first, last + checkpoint.DAMAGED]
    checkpoint.set_aside(folder.checkpoints, folder.checkpoints / first)
    assert files(folder) == [first, last + checkpoint.DAMAGED]


def test_a_resumed_run_keeps_no_checkpoint_open(folder):
    run = Run.resumed(folder)
    assert run.restored is not None
    events = run.events()
    next(event for event in events if isinstance(event, StepDone))
    assert run.restored is None
    mapped = "/proc/self/maps"
    if os.path.exists(mapped):
        with open(mapped) as lines:
            assert not [line for line in lines if str(folder.path) in line]
    events.close()


# ---------------------------------------------------------------------- leftovers of a kill


def test_leftovers_of_a_kill_are_swept_by_a_resume(folder):
    leftovers = [".config.json.7.tmp", ".result.json.8.tmp", f".data.json.{os.getpid()}.tmp"]
    for name in leftovers:
        (folder.path / name).touch()
    (folder.checkpoints / ".000000000003.safetensors.9.tmp").touch()
    nastk.resume(folder.path)
    assert not list(folder.path.rglob("*.tmp"))


def test_writing_a_file_sweeps_what_a_kill_left_of_it_alone(tmp_path):
    dead, living = f".a.json.{NOBODY}.tmp", f".a.json.{os.getppid()}.tmp"
    others = [f".b.json.{NOBODY}.tmp", ".a.json.tmp", f"a.json.{NOBODY}.tmp", living]
    for name in (dead, *others):
        (tmp_path / name).touch()
    write_atomically(tmp_path / "a.json", b"{}")
    assert sorted(os.listdir(tmp_path)) == sorted(["a.json", *others])
    sweep(tmp_path, alone=True)
    assert sorted(os.listdir(tmp_path)) == sorted(["a.json", ".a.json.tmp", others[2]])
    sweep(tmp_path / "nowhere")


# ---------------------------------------------------------------------- the folder goes


def moved(folder):
    folder.path.rename(folder.path.with_name("moved"))


def removed(folder):
    shutil.rmtree(folder.path)


def replaced(folder):
    moved(folder)
    shutil.copytree(folder.path.with_name("moved"), folder.path)


@pytest.mark.parametrize("change", [moved, removed, replaced])
def test_a_folder_that_goes_while_its_run_goes_on_ends_it(change, tmp_path):
    run = Run.new(nastk.resolve(DARTS), tmp_path / "run")
    before = None
    with pytest.raises(NastkError, match=r"run was moved, renamed or removed while its run"):
        for event in run.events():
            if isinstance(event, EpochDone):
                change(run.folder)
                before = sorted(tmp_path.rglob("*"))
    assert sorted(tmp_path.rglob("*")) == before, "something was written after the folder had gone"
    if change is moved:
        assert nastk.resume(tmp_path / "moved").architecture


# ---------------------------------------------------------------------- nobody listens


class Deaf(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, number, live):
        super().__init__()
        self._number, self._live = number, live

    def isatty(self):
        return self._live

    def write(self, text):
        raise OSError(self._number, os.strerror(self._number))

    def flush(self):
        self.write("")


@pytest.mark.parametrize("live", [False, True], ids=["file", "terminal"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE], ids=["full disk", "reader gone"])
def test_a_search_that_nobody_listens_to_goes_on(number, live, workplace, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Deaf(number, live))
    command = "nastk search --space toy --updater darts --data toy --epochs 1 -t batch_size=16"
    monkeypatch.setattr(sys, "argv", [*command.split(), "--out", "a"])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    assert not ending.value.code
    assert RunFolder.open("a").state() == "finished"


@pytest.mark.parametrize("stderr", [Deaf(errno.EPIPE, False), None], ids=["reader gone", "none"])
def test_an_error_that_nobody_hears_keeps_its_exit_code(stderr, workplace, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "argv", ["nastk", "resume", "nowhere"])
    with pytest.raises(SystemExit) as ending:
        cli.main()
    assert ending.value.code == 2
    assert capsys.readouterr().out == ""


def test_a_disk_that_fills_up_during_a_run_says_how_to_go_on(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = Run.new(nastk.resolve(DARTS), tmp_path / "run")
    run.observers.append(
        lambda event: monkeypatch.setattr(os, "fsync", full) if event.epoch == 1 else None
    )
    again = f"Make room, then `nastk resume {tmp_path / 'run'}`; what was there before is untouched"
    with pytest.raises(NastkError) as caught:
        list(run.events())
    assert again in str(caught.value) and "--out" not in str(caught.value)
    monkeypatch.undo()
    assert nastk.resume(tmp_path / "run").folder.state() == "finished"
