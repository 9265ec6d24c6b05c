"""`Latency`, the evaluator `latency`, predicts the time of a forward pass from a table."""

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
    """Predicts the seconds of a forward pass of the stand-alone network on a timed device.

    latency(a) = rest + sum of the seconds that a's operations add. The table is read and checked
    when the evaluator is made: it must be made for the run's networks and images.

    Example: `Latency(context, Latency.Options(table="cpu.json")).evaluate(architecture, None)`
    """

    name = "latency"
    summary = "seconds of a forward pass, from a table timed by `nastk latency build`"
    needs_images = False
    looks_up = True

    class Options(nastk.Options):
        """The options of the evaluator: the latency table."""

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
        """Called at the end of a search and by `nastk evaluate`: sums the operations' seconds."""
        seconds = self.table.of(self.context.space.check(architecture))
        return Evaluation(self.name, {"latency": seconds}, self._notes())

    def _notes(self) -> tuple[str, ...]:
        """Returns the note that says how the seconds were predicted."""
        table = self.table
        images = "1 image" if table.batch == 1 else f"{table.batch} images"
        return (
            f"Foretold for a batch of {images} on {table.device}, threads: {table.threads}, from a "
            f"table of {table.date}; on {len(table.check.measured)} other networks timed whole it "
            f"was wrong by {100 * table.check.mean_relative_error:.1f} % on average.",
        )

    def _check(self, path: Path) -> None:
        """Raises a ConfigurationError if the table is of other networks or other images."""
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
            count = parameters(space, task, space.from_text(table.reference.text))
        except DataError as error:
            raise ConfigurationError(f"The latency table {path} is of no use: {error}") from error
        if count != table.reference.parameters:
            raise ConfigurationError(
                f"The latency table {path} timed other networks: its reference has "
                f"{table.reference.parameters:,} parameters, in this run it has {count:,}"
                f"{self._differing()}. Build one with this run's -s options."
            )

    def _differing(self) -> str:
        """Returns the space's options that differ from those of the table, for a message."""
        current, timed = (
            self.context.space.options.model_dump(mode="json"),
            self.table.space_options,
        )
        names = [name for name in current if name in timed and current[name] != timed[name]]
        words = ", ".join(f"{name}={timed[name]}, here {current[name]}" for name in names)
        return f" ({words})" if words else ""
