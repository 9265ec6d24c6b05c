"""Output that cannot be written, folders that are gone, names that would steer a terminal."""

import errno
import json
import os
import shlex
import subprocess
import sys
import warnings

import pytest
from cli_kit import called
from core_kit import searched

from nastk.cli import output

COMMAND = [sys.executable, "-c", "from nastk.cli import main; main()"]


def test_what_libraries_print_stays_out_of_the_results():
    """Also past Python's own stream, and what waits in that stream."""
    program = """
import os
from nastk.cli import output
print("before")
with output.results_alone():
    os.write(1, b"from a library, ")
    print("in Python")
print("after")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("before\nafter\n", "from a library, in Python\n")


@pytest.mark.parametrize("closed", ["1", "2", "1, 2"])
def test_a_process_without_stdout_or_stderr_goes_on(closed, tmp_path):
    program = f"""
import os
from nastk.cli import output
for number in ({closed},):
    os.close(number)
with output.results_alone():
    open({str(tmp_path / "seen")!r}, "w").write("seen")
"""
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (tmp_path / "seen").read_text() == "seen"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, with a space in its name."""
    folder = tmp_path_factory.mktemp("runs") / "my run"
    searched(folder, updater="darts", evaluators=["size"])
    return folder


@pytest.mark.parametrize(
    "words",
    [["show", "{run}"], ["plugins", "--json"], ["--help"]],
)
def test_a_full_disk_behind_stdout_is_one_message(words, run):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *(word.format(run=run) for word in words)],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: The result could not be printed on stdout: No space left")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_ends_quietly(run):
    done = subprocess.run(
        f"{shlex.join(COMMAND)} show '{run}' --json | head -1", shell=True,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_a_current_folder_that_is_gone_is_said(tmp_path):
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        f"cd {tmp_path}/gone && rmdir ../gone && {shlex.join(COMMAND)} plugins", shell=True,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: The current folder does not exist any more")


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["show", LONG],
        ["resume", LONG],
        ["runs", LONG],
        ["draw", LONG],
        ["evaluate", LONG, "-e", "size"],
        ["draw", "{run}", "-o", f"{LONG}.svg"],
        ["search", "--space", "toy", "--updater", "darts", "--data", "toy", "--out", LONG],
        ["search", "--space", "toy", "--updater", "darts", "--data", f"folder:{LONG}"],
        ["search", "--config", LONG],
    ],
    ids=lambda words: words[0],
)
def test_a_name_that_is_too_long_for_a_file_is_said(words, run, workplace):
    code, out, err = called(*(word.format(run=run) for word in words))
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and "File name too long" in err


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OSError(errno.ENOTDIR, "Not a directory", "a/b"), 2, "error: Not a directory: a/b"),
        (OSError(errno.EACCES, "Permission denied", "a"), 1, "error: Permission denied: a"),
        (OSError(errno.ENOSPC, "No space left"), 1, "error: The result could not be printed"),
        (BrokenPipeError(), 1, ""),
    ],
)
def test_what_the_system_refuses_is_one_message(error, code, message, monkeypatch):
    def fail(*args):
        raise error

    monkeypatch.setattr("nastk.cli.look.plugins", fail)
    ended, _, err = called("plugins")
    assert ended == code and err.startswith(message) and len(err.splitlines()) <= 1


def test_commands_to_type_next_are_quoted(run, workplace):
    code, out, _ = called(
        "search", "--space", "toy", "--updater", "darts", "--data", "toy", "--epochs", 1,
        "-t", "batch_size=16", "-e", "size", "--out", "a b",
    )  # fmt: skip
    assert code == 0 and "  nastk show 'a b'\n" in out and "nastk draw 'a b' -o cell.svg" in out
    _, _, err = called(
        "search", "--space", "toy", "--updater", "darts", "--data", "toy", "--out", "a b"
    )
    assert "already holds a finished search" in err
    (workplace / "a b" / "result.json").unlink()
    assert "`nastk resume 'a b'`" in called("show", "a b")[2]


def test_names_from_a_file_do_not_steer_the_terminal(run, workplace):
    value = json.loads((run / "architecture.json").read_text())
    for edge in value["edges"]:
        edge["group"] = "a\x1b[31mb\x07\x9b$x$"
    (workplace / "a.json").write_text(json.dumps(value))
    code, out, _ = called("draw", "a.json")
    assert code == 0 and "a\u241b[31mb" in out
    assert not set(out) & {"\x1b", "\x07", "\x9b"}
    code, _, err = called("resume", "no\x1b[2Jrun")
    assert code == 2 and "\x1b" not in err and "no\u241b[2Jrun" in err


def test_warnings_say_no_source_line(monkeypatch):
    def warn(*args):
        told = warnings.formatwarning("one\n  two \x1b", UserWarning, "source.py", 3)
        print(told, end="", file=sys.stderr)

    monkeypatch.setattr("nastk.cli.look.plugins", warn)
    before = warnings.formatwarning
    assert called("plugins")[2] == "warning: one two \u241b\n"
    assert warnings.formatwarning is before


def test_a_console_shows_what_would_steer_it(capsys):
    output.line("a\x1b[31mb\tc")
    output.show("d\x9be")
    output.note("f\x00g")
    out, err = capsys.readouterr()
    assert ("\u241b[31mb" in out, "d\ufffde" in out, err) == (True, True, "f\u2400g\n")


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("value", ["9_0", "\u0663", "1.5", "9" * 30, "x"])
@pytest.mark.parametrize("flag", ["--epochs", "--seed"])
def test_a_number_is_typed_in_plain_digits(flag, value):
    words = ["search", "--space", "toy", "--updater", "darts", "--data", "toy", "--dry-run"]
    code, _, err = called(*words, flag, value)
    assert code == 2 and "whole number" in err


def test_a_file_nested_without_end_is_said(run, workplace):
    (workplace / "a.json").write_text("[" * 5000 + "]" * 5000)
    code, _, err = called("draw", "a.json")
    assert code == 2 and err.startswith("error: ") and len(err.splitlines()) == 1
