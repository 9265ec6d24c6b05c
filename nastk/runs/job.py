"""A run of a study that is to be done: `Job`, which any process may carry out, and `JobReport`.

The study's folder is the queue. Who carries out a job holds the lock of its run folder until the
run is finished or failed; the system takes the lock from a process that is killed. Everything about
a job is in its folder, so that processes that know nothing of each other share a study.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, replace
from threading import Event as Flag
from typing import Any, Literal

from nastk.base.errors import BusyError, NastkError, ObserverError, StopRequested
from nastk.base.events import Event
from nastk.base.failures import RAISED, described
from nastk.base.files import write_atomically
from nastk.report.notebook import shown
from nastk.runs.config import resolve, to_json
from nastk.runs.folder import CONFIG, ERROR, RESULT, RunFolder
from nastk.runs.relay import Observer
from nastk.runs.run import Run
from nastk.runs.study_result import Cell

Around = Callable[[Cell, Run], AbstractContextManager[None]]
"""Makes a context for a run of a study, e.g. to show its progress."""

Kind = Literal["began", "event", "finished", "failed", "lost", "taken"]


@dataclass(frozen=True)
class JobReport:
    """What is heard of a job: it began, an event of its run, or how it ended.

    `kind` is `began`, `event`, `finished`, `failed` (with a `reason`), `lost`: its process was
    killed, and another goes on with it; or `taken`: another process works on it, or has done it
    meanwhile. `job` is the job's title.

    Example: `JobReport("darts, seed 1", "failed", reason="The loss is not finite.")`
    """

    job: str
    kind: Kind
    event: Event | None = None
    reason: str = ""


@dataclass(frozen=True)
class Job:
    """A run of a study that is to be done. It can be pickled and carried out in another process.

    `title` names it in messages.

    Example: `for report in job.carry_out(): print(report.kind)`
    """

    cell: Cell
    title: str
    trackers: Sequence[Any] = ()

    @classmethod
    def of(cls, cells: Sequence[Cell], trackers: Sequence[Any] = ()) -> "list[Job]":
        """Returns the jobs of a study's runs; each has another title, such as `darts, seed 1`."""
        several = len({cell.problem for cell in cells}) > 1
        return [
            cls(
                cell,
                f"{cell.label}, seed {cell.seed}{f', {cell.problem}' if several else ''}",
                trackers,
            )
            for cell in cells
        ]

    @property
    def folder(self) -> RunFolder:
        """The folder of the run."""
        return self.cell.folder

    def absolute(self) -> "Job":
        """Returns the job with the absolute path of its folder, for other working folders."""
        folder = RunFolder(self.folder.path.absolute())
        return replace(self, cell=replace(self.cell, folder=folder))

    def is_done(self) -> bool:
        """True if the run is finished, or has failed."""
        return (self.folder.path / RESULT).exists() or (self.folder.path / ERROR).exists()

    def carry_out(
        self,
        observers: Iterable[Observer] = (),
        around: Around = lambda cell, run: nullcontext(),
        stop: Flag | None = None,
    ) -> Generator[JobReport, None, None]:
        """Yields the reports of the run, which is begun or resumed, unless another process has it.

        An error of the run is kept in its folder as its reason, and is no error here. Where the
        caller leaves the loop, the run writes its checkpoint and can be resumed.

        Args:
            observers: functions that are called with the events of the run.
            around: makes the context of the run from its cell and the run.
            stop: once it is set, the run stops after its weight step.

        Raises:
            StopRequested: the run was asked to stop; its checkpoint is written.
            ObserverError: one of the observers failed.
        """
        with taken(self.folder) as folder:
            if folder is None or self.is_done():
                yield JobReport(self.title, "taken")
                return
            try:
                run = self._begun(folder, list(observers))
                _stop_at(stop, run)
                yield JobReport(self.title, "began")
                plan = run.assembly.plan
                view = shown(run.observers, plan.epochs, plan.steps_per_epoch, self.title)
                with around(self.cell, run), view, closing(run.events()) as events:
                    for event in events:
                        yield JobReport(self.title, "event", event)
            except (StopRequested, ObserverError) as error:
                # Neither is the run's own: it goes on when the study does.
                (folder.path / ERROR).unlink(missing_ok=True)
                if isinstance(error.__cause__, StopRequested):
                    raise error.__cause__ from None
                raise
            except RAISED as error:
                ending = self.failed(
                    str(error) if isinstance(error, NastkError) else described(error)
                )
            else:
                ending = JobReport(self.title, "finished")
        yield ending  # when the lock is free, so that the folder says the same

    def failed(self, reason: str) -> JobReport:
        """Returns the report of a run that failed, after writing the reason into its folder."""
        path = self.folder.path
        with suppress(OSError, NastkError):  # a full disk: the report still reaches the user
            if not (path / CONFIG).exists():
                write_atomically(path / CONFIG, to_json(self.cell.config).encode())
            if not (path / ERROR).exists():
                write_atomically(path / ERROR, f"{reason}\n".encode())
        return JobReport(self.title, "failed", reason=reason)

    def _begun(self, folder: RunFolder, observers: list[Observer]) -> Run:
        """Returns the run: resumed where its folder holds a configuration, else a new one.

        It goes on with the images where the study has them now: in another place, if they moved.
        """
        trackers = list(self.trackers)
        if (folder.path / CONFIG).exists():
            kept = resolve(folder.config())
            if kept.data != self.cell.config.data:
                moved = kept.model_copy(update={"data": self.cell.config.data})
                write_atomically(folder.path / CONFIG, to_json(moved).encode())
            return Run.resumed(folder, observers=observers, trackers=trackers)
        run = Run.new(self.cell.config, folder.path, observers=observers, trackers=trackers)
        run.folder = folder
        return run


class HeldFolder(RunFolder):
    """A run folder whose lock this process holds already, so that its run need not take it.

    Example: `with taken(folder) as held: Run.resumed(held)`
    """

    @contextmanager
    def locked(self, wait: float = 0) -> Iterator[None]:
        """Context that does nothing."""
        yield


@contextmanager
def taken(folder: RunFolder) -> Iterator[HeldFolder | None]:
    """Context that holds the lock of a run folder; None where another process holds it.

    Raises:
        NastkError: the folder cannot be written.
    """
    with ExitStack() as held:
        try:
            held.enter_context(folder.locked())
        except BusyError:
            free = False
        else:
            free = True
        yield HeldFolder(folder.path) if free else None


def _stop_at(stop: Flag | None, run: Run) -> None:
    """Have a run stop once `stop` is set, which is looked at with every event."""
    if stop is None:
        return

    def look(event: Event) -> None:
        if stop.is_set():
            run.stop()

    run.observers.append(look)
    if stop.is_set():
        run.stop()
