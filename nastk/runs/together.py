"""What a run of several processes needs besides: how it begins, stops and ends in all of them.

Each process carries out the whole run (`run.py`), and only the first one writes into its folder. A
request to stop reaches them at different moments; `RunStop` makes one moment of these.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nastk.base.errors import LostProcessError
from nastk.base.processes import ALONE, Processes
from nastk.runs.checkpoint import Checkpoint
from nastk.runs.config import to_json
from nastk.runs.endings import Endings
from nastk.runs.search_config import SearchConfig


class RunStop:
    """The request to stop a run, which all its processes obey after the same weight step.

    Example: `stop.ask()`, then `stop.hear()` in all processes, after which `stop.is_set()`
    """

    def __init__(self, processes: Processes = ALONE) -> None:
        self._processes = processes
        self._asked, self._set = threading.Event(), threading.Event()

    @property
    def asked(self) -> bool:
        """True if this process was asked to stop."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Called at any time: ask the run to stop."""
        self._asked.set()
        if self._processes.size == 1:
            self._set.set()

    def hear(self) -> None:
        """Called by all processes after a weight step: set the stop if any of them was asked."""
        if self._processes.agree("the moment of the run", "a step", self.asked):
            self._set.set()

    def is_set(self) -> bool:
        """True once all processes are to stop; the same in all of them between two `hear`."""
        return self._set.is_set()


def begin_together(processes: Processes, config: SearchConfig, restored: Checkpoint | None) -> None:
    """Called once a run is assembled and before it is written: waits for the other processes.

    Raises:
        NastkError: they have another request, or another checkpoint.
    """
    if processes.size > 1:
        path = restored.path if restored else None
        processes.agree("the request", to_json(config))
        processes.agree("the newest checkpoint", path.name if path else "none")


@contextmanager
def explained(endings: Endings) -> Iterator[None]:
    """Context in which the loss of another process is explained by what is kept and what to do."""
    try:
        yield
    except LostProcessError as error:
        # Inside another such context it is explained already.
        if error.explained:
            raise
        raise endings.lost(error) from error
