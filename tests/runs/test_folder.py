import errno
import json
import os
import subprocess
import sys

import pytest

from nastk import ConfigurationError, NastkError
from nastk.runs.folder import (
    ARCHITECTURE,
    CONFIG,
    EVENTS,
    RESULT,
    EventLog,
    RunFolder,
    find_runs,
)

HOLD = """
import sys
from pathlib import Path
from nastk.runs.folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


PART = {"name": "toy", "options": {}}
SETTINGS = {"space": PART, "updater": PART, "data": PART, "trainer": {"epochs": 2}, "seed": 1}


def made(path, **files):
    """A run folder with a configuration and these files."""
    path.mkdir(parents=True)
    (path / CONFIG).write_text(json.dumps(SETTINGS))
    for name, text in files.items():
        (path / {"result": RESULT, "error": "error.txt", "events": EVENTS}[name]).write_text(text)
    return RunFolder(path)


@pytest.fixture
def held_elsewhere():
    """Lets another process hold a run; ends it afterwards."""
    processes = []

    def hold(folder):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in processes:
        process.kill()
        process.communicate()


# ---------------------------------------------------------------------- states


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({}, "interrupted"),
        ({"error": "The disk is full.\n"}, "failed"),
        ({"result": "{}"}, "finished"),
        ({"result": "{}", "error": "old"}, "finished"),
    ],
)
def test_states(files, state, tmp_path):
    folder = made(tmp_path / "a", **files)
    assert folder.state() == state
    assert folder.error() == (files["error"].strip() if "error" in files else None)


def test_a_run_that_ends_while_it_is_looked_at_is_finished(tmp_path, monkeypatch):
    run = made(tmp_path / "a")

    def unlocked_after_the_result(lock):
        (run.path / RESULT).write_text("{}")
        return True

    monkeypatch.setattr("nastk.runs.folder.is_free", unlocked_after_the_result)
    assert run.state() == "finished"


def test_a_failure_whose_reason_could_not_be_written_or_read_is_said(tmp_path):
    assert "disk may have been full" in made(tmp_path / "a", error="").error()
    folder = made(tmp_path / "b")
    (folder.path / "error.txt").write_bytes(b"the disk \xff\n")
    assert folder.error() == "the disk \ufffd"
    (folder.path / "error.txt").unlink()
    (folder.path / "error.txt").mkdir()
    assert folder.error() == "error.txt cannot be read: Is a directory."


def test_a_run_is_running_while_another_process_holds_it(tmp_path, held_elsewhere):
    folder = made(tmp_path / "a", error="an old one")
    process = held_elsewhere(folder)
    assert folder.state() == "running"
    with (
        pytest.raises(
            NastkError, match=r"^Another process works on .*a\. Wait for it, or stop it first\.$"
        ),
        folder.locked(),
    ):
        pass
    process.communicate("")
    assert process.returncode == 0
    assert folder.state() == "failed"
    with folder.locked():
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path, held_elsewhere):
    folder = made(tmp_path / "a")
    process = held_elsewhere(folder)
    process.kill()
    process.wait()
    assert folder.state() == "interrupted"
    with folder.locked():
        assert folder.state() == "running"  # held by this process
    assert folder.state() == "interrupted"


def test_the_lock_is_given_back_after_a_failure(tmp_path):
    folder = RunFolder(tmp_path / "new")
    with pytest.raises(KeyError), folder.locked():
        raise KeyError
    with folder.locked():
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(NastkError, match="file/a cannot be written: Not a directory"),
        RunFolder(tmp_path / "file" / "a").locked(),
    ):
        pass


# ---------------------------------------------------------------------- opening and making


def test_an_existing_run_is_opened_by_its_path(tmp_path):
    made(tmp_path / "a")
    assert RunFolder.open(str(tmp_path / "a")).config() == SETTINGS


def test_what_is_no_run_lists_the_runs_nearby(tmp_path):
    made(tmp_path / "a")
    made(tmp_path / "b")
    message = (
        rf"c is no run folder \(it has no config\.json\)\. Runs there: {tmp_path}/a, "
        rf"{tmp_path}/b\.$"
    )
    with pytest.raises(ConfigurationError, match=message):
        RunFolder.open(tmp_path / "c")


def test_without_runs_nearby_it_says_how_to_start_one(workplace):
    with pytest.raises(
        ConfigurationError, match=r"c is no run folder .* Start one with `nastk search`"
    ):
        RunFolder.open("nowhere/c")
    made(workplace / "runs" / "a")
    with pytest.raises(ConfigurationError, match="Runs there: runs/a"):
        RunFolder.open("nowhere/c")


def test_a_new_run_takes_the_first_free_number(workplace):
    assert str(RunFolder.new(None, "toy").path) == "runs/toy-001"
    made(workplace / "runs" / "toy-001")
    made(workplace / "runs" / "toy-003")
    assert str(RunFolder.new(None, "toy").path) == "runs/toy-002"
    assert not (workplace / "runs" / "toy-002").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"result": "{}"}, r"already holds a finished search\. Choose another --out\.$"),
        (
            {},
            r"already holds an unfinished search\. Choose another --out, or continue it with "
            "`nastk resume",
        ),
    ],
)
def test_a_folder_that_holds_a_run_is_not_overwritten(files, message, tmp_path):
    made(tmp_path / "a", **files)
    with pytest.raises(ConfigurationError, match=message):
        RunFolder.new(tmp_path / "a", "toy")


def test_where_a_new_run_may_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file is a file\. Choose a folder"):
        RunFolder.new(tmp_path / "file", "toy")
    (tmp_path / "empty").mkdir()
    assert RunFolder.new(tmp_path / "empty", "toy").path == tmp_path / "empty"
    assert RunFolder.new(str(tmp_path / "new" / "deep"), "toy").path == tmp_path / "new" / "deep"


def test_runs_are_found_in_a_place_and_directly_below_it(tmp_path):
    for name in ("b", "a", "deep/er"):
        made(tmp_path / name)
    (tmp_path / "other").mkdir()
    assert [run.path.name for run in find_runs(tmp_path)] == ["a", "b"]
    assert [run.path.name for run in find_runs(str(tmp_path / "deep" / "er"))] == ["er"]
    assert find_runs(tmp_path / "nowhere") == []


# ---------------------------------------------------------------------- reading


def test_a_run_without_a_result_says_how_to_get_one(tmp_path):
    message = (
        r"The run .*a has no result yet \(it is interrupted\)\. Continue it with `nastk resume "
        r".*a`\.$"
    )
    with pytest.raises(ConfigurationError, match=message):
        made(tmp_path / "a").result()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read: it holds no JSON object"),
        ("", "cannot be read"),
        ("{}", "cannot be read: architecture is missing"),
    ],
)
def test_a_damaged_file_is_said(text, message, tmp_path):
    folder = made(tmp_path / "a", result=text)
    with pytest.raises(NastkError, match=rf"result\.json {message}.*Remove it, and `nastk resume"):
        folder.result()


def test_a_line_cut_short_is_left_out(tmp_path):
    assert made(tmp_path / "a").events() == []
    assert made(tmp_path / "b", events='{"kind":"a"}\n{"kind":"b"}\n{"ki').events() == [
        {"kind": "a"},
        {"kind": "b"},
    ]


# ---------------------------------------------------------------------- the event log


def kinds(folder):
    return [event["kind"] for event in folder.events()]


def test_events_are_appended_one_a_line_with_their_time(tmp_path):
    folder = made(tmp_path / "a")
    log = EventLog(folder)
    log.write({"kind": "a", "text": "two\nlines \u2028 ä"})
    log.write({"kind": "b"})
    log.close()
    lines = (folder.path / EVENTS).read_bytes().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["a", "b"]
    assert folder.events()[0]["text"] == "two\nlines \u2028 ä"
    assert all(event["time"] > 1e9 for event in folder.events())


def test_a_log_opened_at_a_position_forgets_what_came_after(tmp_path):
    folder = made(tmp_path / "a")
    log = EventLog(folder)
    log.write({"kind": "a"})
    position = log.position
    assert position == (folder.path / EVENTS).stat().st_size
    log.write({"kind": "b"})
    log.write({"kind": "c"})
    log.close()
    again = EventLog(folder, position)
    assert again.position == position
    again.write({"kind": "d"})
    again.close()
    assert kinds(folder) == ["a", "d"]


def test_a_new_log_starts_empty(tmp_path):
    folder = made(tmp_path / "a", events='{"kind":"old"}\n')
    log = EventLog(folder)
    log.write({"kind": "new"})
    log.close()
    assert kinds(folder) == ["new"]


def test_a_log_that_was_lost_is_not_filled_with_zeros(tmp_path):
    folder = made(tmp_path / "a", events='{"kind":"a"}\n')
    log = EventLog(folder, 500)
    log.write({"kind": "b"})
    log.close()
    assert b"\0" not in (folder.path / EVENTS).read_bytes()
    assert kinds(folder) == ["a", "b"]


def test_a_full_disk_is_said(tmp_path):
    folder = made(tmp_path / "a")
    log = EventLog(folder)
    file = log._file

    class Full:
        fileno = file.fileno

        def write(self, line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    log._file = Full()
    message = (
        r"events\.jsonl could not be written: No space left on device\. Make room, then "
        r"`nastk resume .*a`\.$"
    )
    with pytest.raises(NastkError, match=message):
        log.write({"kind": "a"})
    file.close()
    with pytest.raises(
        NastkError, match=r"events\.jsonl could not be written: No such file or directory"
    ):
        EventLog(RunFolder(tmp_path / "nowhere"))


def test_reading_a_run_needs_no_torch(tmp_path):
    made(tmp_path / "a", events='{"kind":"a"}\n')
    code = (
        "import sys; from nastk.runs.folder import RunFolder, find_runs;"
        "(run,) = find_runs(sys.argv[1]); run.config(), run.events(), run.state();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
    assert ARCHITECTURE == "architecture.json"
