"""What a worker process does: `work`, which takes the next free run until none is left.

Importing this module imports no torch, so that the settings of the process come first.
"""

import os
import pickle
import signal
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from threading import Event, Thread

from nastk import StopRequested


def work(jobs: bytes, reports: Connection, environment: Mapping[str, str], threads: int) -> None:
    """Carry out those of the pickled jobs that nobody has taken, and send what is to be heard.

    The process ignores Ctrl-C, which its parent answers: at its SIGTERM, or its death, the run in
    progress writes its checkpoint and the process ends.
    """
    os.environ.update(environment)
    stop = Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    Thread(target=_stop_when_orphaned, args=[stop], daemon=True).start()
    import torch

    if threads:
        torch.set_num_threads(threads)
    # An OSError says that the parent is gone: the run that is left so writes its checkpoint.
    with suppress(StopRequested, OSError):
        for job in pickle.loads(jobs):
            if stop.is_set():
                return
            for report in job.carry_out(stop=stop):
                if report.event is None or not report.event.transient:
                    reports.send(report)


def _stop_when_orphaned(stop: Event) -> None:
    """Wait for the end of the parent process, then have this one stop."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        stop.set()
