"""The progress of a search on stderr: bars on a terminal, a line for each epoch elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from rich.console import Console

from nastk.base.events import Event
from nastk.report.progress import Bars, Lines


class ProgressView:
    """An observer that shows a run's events; `epochs` and `steps_per_epoch` come from the plan.

    Without these two it shows only the work of an evaluator.

    Example: `with ProgressView(console, epochs=10, steps_per_epoch=50) as view: observers = [view]`
    """

    def __init__(self, console: Console, epochs: int = 0, steps_per_epoch: int = 0) -> None:
        self._console = console
        self._live = console.is_terminal
        self._lines = Lines(epochs, work=not self._live)
        self.bars = Bars(console, epochs, steps_per_epoch)
        self._keys = ExitStack()

    def __enter__(self) -> Self:
        if self._live:
            self._keys.enter_context(silent_keys())
            self.bars.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self.bars.progress.stop()
        self._keys.close()

    def plan(self, epochs: int, steps_per_epoch: int) -> None:
        """Called by those who learn the plan only from the run's first event."""
        self._lines.epochs = epochs
        self.bars.plan(epochs, steps_per_epoch)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._live:
            self.bars.move(event)
        if line := self._lines.line(event):
            self.print(line)

    def print(self, line: str) -> None:
        """Print a line, above the bars if there are some."""
        (self.bars.progress.console if self._live else self._console).print(
            line, markup=False, soft_wrap=True, style="dim" if self._live else ""
        )


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
