"""The progress of a search on stderr: bars on a terminal, a line for each epoch elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import inf
from time import monotonic
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from nastk.base.events import (
    BranchContinued,
    EpochDone,
    Evaluated,
    EvaluatorWorking,
    Event,
    RunStarted,
    StepDone,
    UpdaterWorking,
)
from nastk.report.numbers import counted, seconds

PAUSE, LONG_PAUSE = 10.0, 60.0
"""Least seconds between two lines about an evaluator's work: with a new message, with the same."""


class ProgressView:
    """An observer that shows a run's events; `epochs` and `steps_per_epoch` come from the plan.

    Without these two it shows only the work of an evaluator.

    Example: `with ProgressView(console, epochs=10, steps_per_epoch=50) as view: observers = [view]`
    """

    def __init__(self, console: Console, epochs: int = 0, steps_per_epoch: int = 0) -> None:
        self._console = console
        self._epochs = epochs
        self._steps = steps_per_epoch
        self._live = console.is_terminal
        self._work = WorkLines()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            # `None` lets the bar shrink on a narrow terminal.
            BarColumn(bar_width=None, table_column=Column(max_width=24)),
            TextColumn("{task.fields[note]}"),
            TimeColumn(),
            console=console,
            transient=True,
        )
        self._keys = ExitStack()
        self._training: TaskID | None = None
        self._updater: TaskID | None = None

    def __enter__(self) -> Self:
        if self._live:
            self._keys.enter_context(silent_keys())
            self._progress.start()
            self._training = self._progress.add_task(
                "training",
                total=self._epochs * self._steps,
                note="",
                visible=self._epochs > 0,
            )
            self._updater = self._progress.add_task("updater", total=None, note="", visible=False)
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._progress.stop()
        self._keys.close()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._live:
            self._move_bars(event)
        line = self._line(event)
        if line:
            (self._progress.console if self._live else self._console).print(
                line, markup=False, soft_wrap=True, style="dim" if self._live else ""
            )

    def _move_bars(self, event: Event) -> None:
        """Update the bars of the training and of the updater."""
        assert self._training is not None and self._updater is not None
        if isinstance(event, StepDone):
            branch = f" branch {event.branch}" if event.branch != "0" else ""
            self._progress.update(
                self._training,
                completed=event.step,
                description=f"epoch {event.epoch + 1}/{self._epochs}{branch}",
                note=f"loss {event.loss:.3f}, {event.accuracy:.1%}",
            )
        elif isinstance(event, UpdaterWorking):
            self._progress.update(
                self._updater,
                visible=event.done < event.total,
                completed=event.done,
                total=event.total,
                description=event.message,
                note=f"{event.done}/{event.total}",
            )
        elif isinstance(event, EpochDone):
            self._progress.update(self._updater, visible=False)

    def _line(self, event: Event) -> str | None:
        """Returns the line to print for an event, or None."""
        if isinstance(event, RunStarted):
            steps = counted(event.steps_per_epoch, "step")
            return f"{counted(event.epochs, 'epoch')} of {steps}"
        if isinstance(event, EpochDone):
            branch = f"branch {event.branch}  " if event.branch != "0" else ""
            return (
                f"epoch {event.epoch}/{self._epochs}  {branch}"
                f"loss {event.loss:.3f}  accuracy {event.accuracy:.1%}  "
                f"learning rate {event.learning_rate:.4f}  images {event.images_forward:,}"
            )
        if isinstance(event, BranchContinued):
            children = ", ".join(event.children) or "none: it ended"
            return f"branch {event.branch} goes on as {children}"
        if isinstance(event, Evaluated):
            return f"evaluated by {event.evaluator}"
        if isinstance(event, EvaluatorWorking) and not self._live:
            return self._work.line(event)
        return None


class TimeColumn(ProgressColumn):
    """A column with the time that a bar has taken and has left: `6 s, 1 min 22 s left`."""

    def render(self, task: Task) -> Text:
        """Called by rich whenever a bar is drawn."""
        taken = seconds(round(task.elapsed or 0))
        left = task.time_remaining
        return Text(taken if left is None else f"{taken}, {seconds(round(left))} left", "dim")


@contextmanager
def silent_keys() -> Iterator[None]:
    """Context in which the terminal does not print `^C`, which would break the bars.

    Does nothing without a terminal, or on a system without `termios`.
    """
    before = _terminal_settings()
    if before is None:
        yield
        return
    import termios

    silent = [*before[:3], before[3] & ~termios.ECHOCTL, *before[4:]]
    termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, before)


def _terminal_settings() -> list[Any] | None:
    """Returns the attributes of the terminal on stdin; None without a terminal or `termios`."""
    try:
        import termios
    except ImportError:  # not a Unix system
        return None
    try:
        return termios.tcgetattr(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError, termios.error):
        return None


class WorkLines:
    """Makes lines about an evaluator's long work, for output without bars.

    `clock` returns seconds.

    Example: `print(lines.line(EvaluatorWorking("0", 6, 0, "epoch 3/600, loss 1.2", 60, 12000)))`
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._message = ""
        self._last = -inf
        self._first: tuple[float, int, int] | None = None

    def line(self, event: UpdaterWorking) -> str | None:
        """Returns the line for an event, or None where the last line is recent.

        A new message is printed after 10 s, the same one again after 60 s, with the time left.
        """
        now = self._clock()
        new = event.message != self._message
        if self._first is None or event.total != self._first[2] or event.done < self._first[1]:
            self._first, self._last = (now, event.done, event.total), -inf
        if now - self._last < (PAUSE if new else LONG_PAUSE):
            return None
        self._message, self._last = event.message, now
        began, done, total = self._first
        if event.done == done:
            return event.message
        left = (now - began) / (event.done - done) * (total - event.done)
        return f"{event.message}, {seconds(left)} left"
