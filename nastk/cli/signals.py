"""Signals that stop a run cleanly: `stop_on_signals`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nastk.runs.run import Run


@contextmanager
def stop_on_signals(run: Run) -> Iterator[None]:
    """Context in which SIGINT and SIGTERM stop `run` after its step; a second one ends Python."""

    def stop(number: int, frame: Any) -> None:
        if run.stopping:
            raise KeyboardInterrupt
        run.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
