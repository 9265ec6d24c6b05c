"""Signals that stop work cleanly: `stop_on_signals` a run, `ended_by_signals` a study."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from nastk.base.errors import StopRequested


@runtime_checkable
class Stoppable(Protocol):
    """Work that ends early when it is asked to, such as a run.

    Example: `with stop_on_signals(run): ...`
    """

    @property
    def stopping(self) -> bool:
        """True if it was asked to stop."""

    def stop(self) -> None:
        """Called at the first signal: asks it to stop as soon as its state can be kept."""


@contextmanager
def stop_on_signals(run: Stoppable) -> Iterator[None]:
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


@contextmanager
def ended_by_signals(place: object) -> Iterator[None]:
    """Context in which SIGINT and SIGTERM raise `StopRequested` for the study in folder `place`."""

    def stop(number: int, frame: Any) -> None:
        raise StopRequested(
            f"Everything is kept in {place}. Type the same command to go on with the study."
        )

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
