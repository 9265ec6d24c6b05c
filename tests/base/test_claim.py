"""Claims: one process at a time, none waits, and a kill leaves nothing locked."""

import signal
import subprocess
import sys

import pytest

from nastk.base import claimed
from nastk.base.errors import WriteError

HOLDER = """
import sys
from pathlib import Path
from nastk.base.claim import claimed
with claimed(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def test_a_piece_is_had_once_at_a_time(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    with claimed(path) as mine:
        with claimed(path) as other:
            assert (mine, other) == (True, False)
        with claimed(tmp_path / "b.lock") as another:
            assert another
    with claimed(path) as again:
        assert again


def test_an_error_inside_gives_the_piece_back(tmp_path):
    with pytest.raises(ValueError, match="inside"), claimed(tmp_path / "a.lock"):
        raise ValueError("inside")
    with claimed(tmp_path / "a.lock") as mine:
        assert mine


def test_the_claim_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / "a.lock"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], **pipes) as holder:
        assert holder.stdout.readline() == "True\n"
        with claimed(path) as mine:
            assert not mine
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with claimed(path) as mine:
            assert mine


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(WriteError, match=r"file/a\.lock could not be written"),
        claimed(tmp_path / "file" / "a.lock"),
    ):
        pass
