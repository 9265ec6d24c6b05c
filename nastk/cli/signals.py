"""What the terminal's signals mean to a run: stop at the next moment of rest."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nastk.runs.run import Run


@contextmanager
def stop_on_signals(run: Run) -> Iterator[None]:
    """While inside, SIGINT and SIGTERM ask `run` to stop; a second one ends the process at once."""

    def ask(number: int, frame: Any) -> None:
        if run.stopping:
            raise KeyboardInterrupt
        run.stop()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
