"""The executor `processes`: worker processes that take the next free run, and what is heard."""

import os
import pickle
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from signal import SIGKILL, Signals
from typing import Any

from pydantic import Field

import nastk
from nastk import Executor, Job, JobReport, NastkError, Workload
from nastk_processes.seats import Seat, seats
from nastk_processes.worker import work as worker_main

PATIENCE = 60.0
"""Seconds that a worker has for its checkpoint once it is asked to stop."""


@dataclass
class Worker:
    """A worker process, the end of its pipe, and the title of the run that it is at.

    `has_begun` is True once it has reported anything.

    Example: `Worker.begun(pickle.dumps(jobs), Seat()).reports.recv()`
    """

    seat: Seat
    process: SpawnProcess
    reports: Connection
    job: str | None = None
    has_begun: bool = False

    @classmethod
    def begun(cls, jobs: bytes, seat: Seat) -> "Worker":
        """Returns a worker on a seat, whose process has been started."""
        context = get_context("spawn")  # a fork of a process with threads may hang, and CUDA fails
        reports, sending = context.Pipe(duplex=False)
        given = (jobs, sending, dict(seat.environment), seat.threads)
        process = context.Process(target=worker_main, args=given)
        process.start()
        sending.close()
        return cls(seat, process, reports)

    def end(self) -> None:
        """Wait for the process to write its checkpoint and end, which it was asked to."""
        self.process.join(PATIENCE)
        self.process.kill()
        self.process.join()
        self.reports.close()


class Processes(Executor):
    """Several processes of this machine, each with a device or some threads, a run in each.

    They are no more than the memory holds, as a rehearsal of the runs measured it. Where one is
    killed, as by a system without memory, another goes on with its run from the newest checkpoint;
    a run whose processes are killed twice has failed.

    Example: `nastk.compare("darts", ["shapley"], executor=nastk.use("processes", workers=4))`
    """

    name = "processes"
    summary = "several processes of this machine, a run in each"

    class Options(nastk.Options):
        """Options of the executor."""

        workers: int | None = Field(
            None,
            ge=1,
            le=4096,
            description="processes; null: one for each CUDA device, else as many as have their "
            "threads on the cores, and fit into the memory",
        )
        threads: int | None = Field(
            None,
            ge=1,
            le=1024,
            description="CPU threads of each; null: those of `-t threads`, else an equal part of "
            "the cores (one, where `workers` is null too)",
        )

    def carry_out(self, work: Workload) -> Generator[JobReport, None, None]:
        """Called with the runs that are to be done: yields what the workers report of them."""
        options: Any = self.options
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        found = seats(work, options.workers, options.threads, cores or 1)
        crew = Crew(work.jobs)
        try:
            for seat in found:
                crew.begin(seat)
            while crew.workers:
                yield from crew.reports()
        finally:
            crew.end()


class Crew:
    """The workers on some jobs.

    Example: `crew = Crew(jobs); crew.begin(Seat()); list(crew.reports())`
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.workers: list[Worker] = []
        self._jobs = {job.title: job for job in jobs}
        self._pickled = pickle.dumps(list(jobs))
        self._killed: set[str] = set()

    def begin(self, seat: Seat) -> None:
        """Start a worker on a seat."""
        self.workers.append(Worker.begun(self._pickled, seat))

    def reports(self) -> Iterator[JobReport]:
        """Yields the next reports; waits for them."""
        ready = wait([each.reports for each in self.workers])
        for worker in [each for each in self.workers if each.reports in ready]:
            try:
                report: JobReport = worker.reports.recv()
            except (EOFError, OSError):
                self.workers.remove(worker)
                yield from self._ended(worker)
            else:
                worker.job = report.job if report.kind in ("began", "event") else None
                worker.has_begun = True
                yield report

    def end(self) -> None:
        """End all workers, each with a checkpoint of its run."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.end()

    def _ended(self, worker: Worker) -> Iterator[JobReport]:
        """Put another worker on the seat of one that was killed, and yield what becomes of its run.

        A run whose processes were killed twice has failed.

        Raises:
            NastkError: it had no run yet, so that any other would end like it.
        """
        worker.end()
        code = worker.process.exitcode
        if not code:
            return
        how = f"was ended by {Signals(-code).name}" if code < 0 else f"ended with code {code}"
        if not worker.has_begun:
            raise NastkError(
                f"A worker process {how} before it began with a run. What it printed says why; in "
                "a program, nastk.compare with an executor stands below `if __name__ == "
                "'__main__':`."
            )
        memory = ", perhaps for lack of memory" if code == -SIGKILL else ""
        reason = f"Its process {how}{memory}"
        if worker.job in self._killed:
            yield self._jobs[worker.job].failed(f"{reason}, and so was the one before.")
        elif worker.job is not None:
            self._killed.add(worker.job)
            yield JobReport(worker.job, "lost", reason=f"{reason}; another one goes on with it.")
        self.begin(worker.seat)
