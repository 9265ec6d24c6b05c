"""What a task of the cluster does: `carry_out` one run of a study, in the study's shared folder."""

import pickle
import signal
from threading import Event
from typing import Any

from nastk import Job, JobReport, StopRequested

REGISTERED = "protocol.json"
"""A file that every study's folder holds before its first run begins."""


def carry_out(pickled: bytes, threads: int) -> list[JobReport]:
    """Returns the reports of the pickled job, events that only show progress excepted.

    A cancelled task gets a SIGINT: the run then writes its checkpoint and the task ends.
    """
    import torch

    torch.set_num_threads(threads)
    job: Job = pickle.loads(pickled)
    if not (job.folder.path.parent / REGISTERED).is_file():
        return [_unshared(job)]
    stop, reports = Event(), []
    before = signal.signal(signal.SIGINT, lambda number, frame: stop.set())
    try:
        for report in job.carry_out(stop=stop):
            if report.event is None or not report.event.transient:
                reports.append(report)
    except StopRequested:
        pass  # the run can be resumed
    finally:
        signal.signal(signal.SIGINT, before)
    return reports


def _unshared(job: Job) -> JobReport:
    """Returns the report of a job whose folder is not on the task's node."""
    import platform

    folder: Any = job.folder.path.parent
    return JobReport(
        job.title,
        "failed",
        reason=f"The node {platform.node()} does not see {folder}. All nodes need the study's "
        "folder, at the same path, on a file system with locks between machines.",
    )
