"""What a running search shows at a terminal: bars that fit, say their times, and go away."""

import io
import re
import sys

import pytest
from rich.console import Console

from nastk.base.events import EpochDone, StepDone, UpdaterWorking
from nastk.cli import output
from nastk.cli.progress import ProgressView, silent_keys

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal(width=80):
    return Console(file=io.StringIO(), force_terminal=True, width=width)


def drawn(console):
    """Every line that was ever drawn, without its colours and movements."""
    return re.split(r"[\r\n]+", ESCAPES.sub("", console.file.getvalue()))


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("branch", ["0", "0.1.0"])
def test_bars_fit_and_say_what_their_times_are(width, branch):
    console = terminal(width)
    with ProgressView(console, epochs=300, steps_per_epoch=300) as view:
        for step in (4000, 4100):
            view(StepDone(branch, 20, step, 0.91, 0.646, 300))
        view(UpdaterWorking(branch, 20, 4100, "measuring", 12, 60))
        view.bars.progress.refresh()
    lines = drawn(console)
    assert max(map(len, lines)) <= width
    bars = [line for line in lines if "21/300" in line]
    assert bars and all(" left" in line for line in bars if width >= 80 and "loss" in line)
    assert any("12/60" in line for line in lines)
    assert "--:--" not in console.file.getvalue()


def test_bars_go_away_when_the_run_is_stopped():
    console = terminal()
    with pytest.raises(KeyboardInterrupt), ProgressView(console, 6, 12) as view:
        view(EpochDone("0", 1, 12, loss=1.0, accuracy=0.5))
        view(StepDone("0", 1, 13, 0.9, 0.6, 12))
        raise KeyboardInterrupt
    assert console.file.getvalue().rstrip().endswith("\x1b[2K"), "the last line is erased"
    assert drawn(console)[-1].strip() == ""


def test_a_key_is_not_written_into_the_bars(monkeypatch):
    termios = pytest.importorskip("termios")
    import pty

    _, other = pty.openpty()
    with open(other) as keys:
        monkeypatch.setattr(sys, "stdin", keys)

        def echoes():
            return bool(termios.tcgetattr(keys.fileno())[3] & termios.ECHOCTL)

        before = echoes()
        with silent_keys():
            assert not echoes()
        assert echoes() == before is True


def test_without_a_terminal_keys_are_left_alone(monkeypatch):
    termios = pytest.importorskip("termios")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    changes = []
    monkeypatch.setattr(termios, "tcsetattr", lambda *change: changes.append(change))
    with silent_keys():
        assert changes == []
    assert changes == []


def test_a_terminal_is_told_that_something_takes_a_while(monkeypatch):
    console = terminal()
    monkeypatch.setattr(output, "stderr", lambda: console)
    with output.waiting("loading", quiet=True):
        pass
    assert console.file.getvalue() == ""
    with output.waiting("loading"):
        assert "loading" in console.file.getvalue()
    assert drawn(console)[-1].strip() == ""


def test_a_log_is_not(monkeypatch):
    console = Console(file=io.StringIO())
    monkeypatch.setattr(output, "stderr", lambda: console)
    with output.waiting("loading"):
        pass
    assert console.file.getvalue() == ""
