"""What `nastk compare` says on stderr of the runs that others carry out, and of those that fail."""

from dataclasses import dataclass, field

from nastk.base.events import RunStarted
from nastk.cli import output
from nastk.report.numbers import counted
from nastk.report.progress import Lines
from nastk.runs.job import JobReport
from nastk.runs.study_result import Study


@dataclass
class Reports:
    """Prints what is heard of the runs of a study; only failures if `quiet`.

    Example: `nastk.compare("toy", [], hear=Reports().of_executor)`
    """

    quiet: bool = False
    _lines: dict[str, Lines] = field(default_factory=dict)
    _waiting: int = 0

    def of_executor(self, report: JobReport) -> None:
        """Called with every report of runs in other processes: prints a line for what matters."""
        self.of_this_process(report)
        if self.quiet:
            return
        if report.kind in ("began", "finished"):
            output.note(f"{report.job}: {report.kind}")
        elif report.event is not None:
            lines = self._lines.setdefault(report.job, Lines())
            if isinstance(report.event, RunStarted):
                lines.epochs = report.event.epochs
            if line := lines.line(report.event):
                output.note(f"{report.job}: {line}")

    def of_this_process(self, report: JobReport) -> None:
        """Called with every report of runs that show their own progress: prints what went wrong."""
        if report.kind in ("failed", "lost"):
            words = "failed" if report.kind == "failed" else "was interrupted"
            output.warn([f"{report.job} {words}: {report.reason}"])

    def wait(self, number: int) -> None:
        """Called while only other processes work on the last runs: says so once a number."""
        if number != self._waiting and not self.quiet:
            runs = counted(number, "run")
            output.note(f"waiting for {runs} that others work on (Ctrl-C leaves them)")
        self._waiting = number


def failed_words(study: Study) -> str:
    """Returns the headline of a study of which runs failed."""
    first = study.failures[0]
    runs = f"{len(study.failures)} of {len(study.failures) + len(study.cells)} runs"
    return (
        f"{runs} of the study failed, the first of them {first.label}, seed {first.seed}: "
        f"{first.reason} Type the same command with --retry-failed to go on with them."
    )
