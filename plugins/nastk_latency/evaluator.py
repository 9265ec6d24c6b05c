"""Foretells the time of a forward pass from a table: `Latency`, the evaluator `latency`."""

from pathlib import Path

from pydantic import Field

import nastk
from nastk import (
    Architecture,
    ConfigurationError,
    DataError,
    Evaluation,
    EvaluationContext,
    Evaluator,
    Probe,
)
from nastk_latency.build import parameters
from nastk_latency.table import LatencyTable, read


class Latency(Evaluator):
    """Seconds of a forward pass of the stand-alone network, by the table of one device.

    latency(a) = rest + sum of the seconds that a's operations add. The table is read and checked
    when the evaluator is made: it must be of these networks, for these images.

    Example: `Latency(context, Latency.Options(table="cpu.json")).evaluate(architecture, None)`
    """

    name = "latency"
    summary = "seconds of a forward pass, from a table timed by `nastk latency build`"
    needs_images = False

    class Options(nastk.Options):
        """Which table."""

        table: Path | None = Field(
            None, description="the file that `nastk latency build` wrote; it must be given"
        )

    def __init__(self, context: EvaluationContext, options: Options | None = None) -> None:
        super().__init__(context, options)
        if self.options.table is None:
            raise ConfigurationError(
                "Evaluator 'latency' reads times from a table. Make one with `nastk latency "
                f"build --space {context.space.name} --out FILE`, and name it with its option "
                "table, as in --limit latency=20ms:latency,table=FILE."
            )
        self.table: LatencyTable = read(self.options.table)
        self._check(self.options.table)

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search, and by `nastk evaluate`: adds up; times nothing."""
        seconds = self.table.of(self.context.space.check(architecture))
        return Evaluation(self.name, {"latency": seconds}, self._notes())

    def _notes(self) -> tuple[str, ...]:
        table = self.table
        images = "1 image" if table.batch == 1 else f"{table.batch} images"
        return (
            f"Foretold for a batch of {images} on {table.device}, threads: {table.threads}, from a "
            f"table of {table.date}; on {len(table.check.measured)} other networks timed whole it "
            f"was wrong by {100 * table.check.mean_relative_error:.1f} % on average.",
        )

    def _check(self, path: Path) -> None:
        """Refuse a table of other networks."""
        space, task, table = self.context.space, self.context.task, self.table
        if table.space != space.name:
            raise ConfigurationError(
                f"The latency table {path} is of space {table.space!r}, the run searches space "
                f"{space.name!r}. Build one for it with `nastk latency build`."
            )
        if [(row.name, row.operations) for row in table.edges] != [
            (edge.name, edge.operations) for edge in space.edges
        ]:
            raise ConfigurationError(
                f"The latency table {path} has other edges or operations than the run's space"
                f"{self._differing()}. Build one for it with `nastk latency build`."
            )
        timed = table.task.task
        if (timed.classes, timed.shape) != (task.classes, task.shape):
            raise ConfigurationError(
                f"The latency table {path} is for {timed.classes} classes and images of "
                f"{timed.form}, the run has {task.classes} classes and images of {task.form}. "
                "Build one for its data with `nastk latency build`."
            )
        try:
            found = parameters(space, task, space.from_text(table.reference.text))
        except DataError as error:
            raise ConfigurationError(f"The latency table {path} is of no use: {error}") from error
        if found != table.reference.parameters:
            raise ConfigurationError(
                f"The latency table {path} timed other networks: its reference has "
                f"{table.reference.parameters:,} parameters, in this run it has {found:,}"
                f"{self._differing()}. Build one with this run's -s options."
            )

    def _differing(self) -> str:
        """The space's options that are not those of the table, in words."""
        here, then = self.context.space.options.model_dump(mode="json"), self.table.space_options
        names = [name for name in here if name in then and here[name] != then[name]]
        words = ", ".join(f"{name}={then[name]}, here {here[name]}" for name in names)
        return f" ({words})" if words else ""
