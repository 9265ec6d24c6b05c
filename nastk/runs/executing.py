"""Carries out the runs of a study that are not done: `execute`, used by `compare`.

    while some run is neither finished nor failed:
        hand those that nobody works on to the executor, or carry them out here
        hear how they end
        wait, if others work on the rest

Any number of processes may do so with one study folder, see `job.py`. All runs of a seed come
before those of the next, so that a study that is stopped has whole pairs.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import Any

from nastk.base.errors import NastkError
from nastk.report.numbers import counted
from nastk.runs.executor import Executor, Workload
from nastk.runs.folder import ERROR, LOCK, is_free
from nastk.runs.job import Around, Job, JobReport
from nastk.runs.relay import Observer
from nastk.runs.study_result import Cell

PAUSE = 1.0
"""Seconds between two looks at runs that other processes work on."""


@dataclass(frozen=True)
class Manner:
    """How the runs of a study are carried out; the fields are arguments of `compare`.

    Without an `executor` they are carried out in this process, one after the other. `hear` is
    called with every report, `wait` with the number of runs that only other processes work on.

    Example: `execute(cells, Manner(max_failures=3))`
    """

    executor: Executor | None = None
    retry_failed: bool = False
    max_failures: int | None = None
    observers: Sequence[Observer] = ()
    trackers: Sequence[Any] = ()
    around: Around = lambda cell, run: nullcontext()
    hear: Callable[[JobReport], None] = lambda report: None
    wait: Callable[[int], None] = lambda number: None


def execute(cells: Sequence[Cell], manner: Manner) -> None:
    """Carry out every run of a study that is neither finished nor failed.

    Raises:
        StopRequested: the user stopped the study, whose runs can be resumed.
        NastkError: `max_failures` runs of the study have failed.
    """
    jobs = Job.of(_seed_by_seed(cells), manner.trackers)
    if manner.retry_failed:
        _forget_failures(jobs)
    while left := [job for job in jobs if not job.is_done()]:
        _check_failures(jobs, manner)
        free = [job for job in left if is_free(job.folder.path / LOCK)]
        if not free:
            manner.wait(len(left))
            time.sleep(PAUSE)
            continue
        if not _carried_out(free, jobs, manner):
            time.sleep(PAUSE)  # others were faster with each of them


def _seed_by_seed(cells: Sequence[Cell]) -> list[Cell]:
    """Returns the cells of the first seed, then those of the next, each in the order given."""
    seeds = list(dict.fromkeys(cell.seed for cell in cells))
    return sorted(cells, key=lambda cell: seeds.index(cell.seed))


def _carried_out(free: Sequence[Job], jobs: Sequence[Job], manner: Manner) -> bool:
    """Carry out the free ones of all jobs; returns whether anything but `taken` was heard."""
    heard, by_title = False, {job.title: job for job in free}
    with closing(_reports(free, manner)) as reports:
        for report in reports:
            manner.hear(report)
            heard |= report.kind != "taken"
            if report.kind == "failed":
                if not by_title[report.job].is_done():  # it would be begun again, without end
                    raise NastkError(
                        f"{report.job} failed, and that could not be written into its folder: "
                        f"{report.reason}"
                    )
                _check_failures(jobs, manner)
    return heard


def _reports(jobs: Sequence[Job], manner: Manner) -> Generator[JobReport, None, None]:
    """Yields the reports of all jobs."""
    if manner.executor is None:
        for job in jobs:
            yield from job.carry_out(manner.observers, manner.around)
        return
    with closing(manner.executor.carry_out(Workload([job.absolute() for job in jobs]))) as reports:
        for report in reports:
            if report.event is not None:
                for observer in manner.observers:
                    observer(report.event)
            yield report


def _forget_failures(jobs: Sequence[Job]) -> None:
    """Have the failed runs count as interrupted ones, which go on from their newest checkpoints."""
    for job in jobs:
        if job.folder.state() == "failed":
            (job.folder.path / ERROR).unlink(missing_ok=True)


def _check_failures(jobs: Sequence[Job], manner: Manner) -> None:
    """Raises `NastkError` where as many runs have failed as may fail."""
    failed = [job for job in jobs if job.folder.state() == "failed"]
    if manner.max_failures is not None and len(failed) >= manner.max_failures:
        raise NastkError(
            f"The study was ended, as {counted(len(failed), 'run')} failed (--max-failures "
            f"{manner.max_failures}), the last one, {failed[-1].title}, with: "
            f"{failed[-1].folder.error()} What has run is kept; --retry-failed tries the failed "
            "runs again, and more of them may fail with a larger --max-failures."
        )
