"""What a task of the cluster does: `carry_out` one run of a study, in the study's shared folder."""

import pickle
import signal
from collections.abc import Iterator
from threading import Event
from typing import Any
from uuid import uuid4

from nastk import Job, JobReport, StopRequested
from nastk_ray.reports import Message, Outbox

REGISTERED = "protocol.json"
"""A file that every study's folder holds before its first run begins."""


def carry_out(pickled: bytes, threads: int, queue: Any) -> Message | None:
    """Returns how the pickled job ended; None if it was stopped and can be resumed.

    What is heard of it until then is sent to the queue, events that only show progress excepted. A
    cancelled task gets a SIGINT: the run then writes its checkpoint and the task ends.
    """
    import torch

    torch.set_num_threads(threads)
    job: Job = pickle.loads(pickled)
    attempt = uuid4().hex
    if not (job.folder.path.parent / REGISTERED).is_file():
        return attempt, _unshared(job)
    stop, outbox = Event(), Outbox(queue)
    before = signal.signal(signal.SIGINT, lambda number, frame: stop.set())
    try:
        for report in _heard(job, stop):
            if report.kind not in ("began", "event"):
                return attempt, report
            outbox.send((attempt, report))
    except StopRequested:
        pass
    finally:
        outbox.close()
        signal.signal(signal.SIGINT, before)
    return None


def _heard(job: Job, stop: Event) -> Iterator[JobReport]:
    """Yields the reports of a job that are worth sending."""
    for report in job.carry_out(stop=stop):
        if report.event is None or not report.event.transient:
            yield report


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
