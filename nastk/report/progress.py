"""A run's events as lines and bars: `Lines` and `Bars`, which terminals and notebooks show."""

from collections.abc import Callable
from math import inf
from time import monotonic, time

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from nastk.base.events import (
    BranchContinued,
    EpochDone,
    Evaluated,
    EvaluationReport,
    EvaluatorWorking,
    Event,
    RunStarted,
    StepDone,
    UpdaterReported,
    UpdaterWorking,
)
from nastk.report.numbers import counted, metric, seconds

PAUSE, LONG_PAUSE = 10.0, 60.0
"""Least seconds between two lines about an evaluator's work: with a new message, with the same."""


class Bars:
    """The bar of a run's training, and below it that of the work of an updater or an evaluator.

    `progress` is what rich draws. `epochs` and `steps_per_epoch` come from the plan; without them
    only the second bar is shown. Without steps the first bar counts epochs.

    Example: `bars = Bars(console, 10, 50); bars.move(event); console.print(bars.progress)`
    """

    def __init__(self, console: Console, epochs: int = 0, steps_per_epoch: int = 0) -> None:
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            # `None` lets the bar shrink on a narrow terminal.
            BarColumn(bar_width=None, table_column=Column(max_width=24)),
            TextColumn("{task.fields[note]}"),
            TimeColumn(),
            console=console,
            transient=True,
        )
        self._epochs, self._steps = epochs, steps_per_epoch
        self._training = self.progress.add_task(
            "training" if steps_per_epoch else "searching",
            total=epochs * (steps_per_epoch or 1),
            note="",
            visible=epochs > 0,
        )
        self._work = self.progress.add_task("updater", total=None, note="", visible=False)

    def plan(self, epochs: int, steps_per_epoch: int) -> None:
        """Called where the plan is known only later: shows the training bar."""
        self._epochs, self._steps = epochs, steps_per_epoch
        total = epochs * (steps_per_epoch or 1)
        self.progress.update(self._training, total=total, visible=epochs > 0)

    def began(self, moment: float) -> None:
        """Called by those who come later: the training began at this time of `time.time`."""
        ago = max(time() - moment, 0.0)
        task = next(task for task in self.progress.tasks if task.id == self._training)
        task.start_time = self.progress.get_time() - ago

    def move(self, event: Event) -> None:
        """Move the bars to where an event says that the run is."""
        if isinstance(event, StepDone):
            branch = f" branch {event.branch}" if event.branch != "0" else ""
            self.progress.update(
                self._training,
                completed=event.step,
                description=f"epoch {event.epoch + 1}/{self._epochs}{branch}",
                note=f"loss {event.loss:.3f}, {event.accuracy:.1%}",
            )
        elif isinstance(event, UpdaterWorking):
            self.progress.update(
                self._work,
                visible=event.done < event.total,
                completed=event.done,
                total=event.total,
                description=event.message,
                note=f"{event.done}/{event.total}",
            )
        elif isinstance(event, EpochDone):
            self.progress.update(self._work, visible=False)
            if event.loss is None:
                done, words = event.epoch, f"evaluation {event.epoch}/{self._epochs}"
                self.progress.update(self._training, completed=done, description=words)
        elif (report := reported(event)) is not None and report.best is not None:
            self.progress.update(self._training, note=f"best {metric(report.metric, report.best)}")


class TimeColumn(ProgressColumn):
    """A column with the time that a bar has taken and has left: `6 s, 1 min 22 s left`."""

    def render(self, task: Task) -> Text:
        """Called by rich whenever a bar is drawn."""
        taken = seconds(round(task.elapsed or 0))
        left = task.time_remaining
        return Text(taken if left is None else f"{taken}, {seconds(round(left))} left", "dim")


class Lines:
    """Makes a line of each event that is worth one; `epochs` comes from the plan.

    `work` adds lines about an evaluator's long work, for output without bars.

    Example: `Lines(epochs=6).line(event)`
    """

    def __init__(self, epochs: int = 0, work: bool = False) -> None:
        self.epochs = epochs
        self._work = WorkLines() if work else None

    def line(self, event: Event) -> str | None:
        """Returns the line to print for an event, or None."""
        if isinstance(event, RunStarted):
            if not event.steps_per_epoch:
                return f"{counted(event.epochs, 'evaluation')}, no supernet"
            steps = counted(event.steps_per_epoch, "step")
            return f"{counted(event.epochs, 'epoch')} of {steps}"
        if (report := reported(event)) is not None:
            return self._evaluation(report)
        if isinstance(event, EpochDone) and event.loss is not None:
            branch = f"branch {event.branch}  " if event.branch != "0" else ""
            return (
                f"epoch {event.epoch}/{self.epochs}  {branch}"
                f"loss {event.loss:.3f}  accuracy {event.accuracy:.1%}  "
                f"learning rate {event.learning_rate or 0.0:.4f}  images {event.images_forward:,}"
            )
        if isinstance(event, BranchContinued):
            children = ", ".join(event.children) or "none: it ended"
            return f"branch {event.branch} goes on as {children}"
        if isinstance(event, Evaluated):
            return f"evaluated by {event.evaluator}"
        if isinstance(event, EvaluatorWorking) and self._work is not None:
            return self._work.line(event)
        return None

    def _evaluation(self, report: EvaluationReport) -> str:
        """Returns the line for an evaluated architecture."""
        value, best = (
            "none" if number is None else metric(report.metric, number)
            for number in (report.value, report.best)
        )
        return (
            f"evaluation {report.number}/{self.epochs}  {report.metric} {value}  best {best}  "
            f"{report.architecture}"
        )


def reported(event: Event) -> EvaluationReport | None:
    """Returns the report on an evaluated architecture that an event is; None for any other."""
    if not isinstance(event, UpdaterReported) or event.topic != EvaluationReport.topic:
        return None
    return EvaluationReport.read(event.to_json())


class WorkLines:
    """Makes lines about an evaluator's long work, for output without bars.

    `clock` returns seconds.

    Example: `print(lines.line(EvaluatorWorking("0", 6, 0, "epoch 3/600, loss 1.2", 60, 12000)))`
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._message = ""
        self._last = -inf
        self._first: tuple[float, int, int] | None = None

    def line(self, event: UpdaterWorking) -> str | None:
        """Returns the line for an event, or None where the last line is recent.

        A new message is printed after 10 s, the same one again after 60 s, with the time left.
        """
        now = self._clock()
        new = event.message != self._message
        if self._first is None or event.total != self._first[2] or event.done < self._first[1]:
            self._first, self._last = (now, event.done, event.total), -inf
        if now - self._last < (PAUSE if new else LONG_PAUSE):
            return None
        self._message, self._last = event.message, now
        began, done, total = self._first
        if event.done == done:
            return event.message
        left = (now - began) / (event.done - done) * (total - event.done)
        return f"{event.message}, {seconds(left)} left"
