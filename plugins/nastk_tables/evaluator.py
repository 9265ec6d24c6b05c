"""`TableAccuracy`, the evaluator `table`, looks architectures up in a benchmark's table."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32
from pydantic import Field, field_validator

import nastk
from nastk import (
    Architecture,
    ConfigurationError,
    DataError,
    Evaluation,
    EvaluationContext,
    Evaluator,
    PhaseCost,
    Probe,
)
from nastk_tables.column import Column, dataset_name
from nastk_tables.places import find, is_name
from nastk_tables.storage import read

LOOKED_AT = 100
"""The number of a table's architectures that are tried in the space's text form."""

USUAL_EPOCHS = 200
"""The epochs of the benchmark's trainings, for tables that list no training on the data set."""

DATASET = "cifar10"
"""The data set of most benchmarks."""


class TableAccuracy(Evaluator):
    """Evaluates an architecture by the accuracy that the benchmark's authors measured for it.

    The table is read and checked when the evaluator is made. Metrics: `table_test_accuracy` and
    `table_valid_accuracy` (0..1, if the table has them), `rank` (the number of architectures that
    are better in the chosen split; 0 is the best), `regret` (0..1, the accuracy that the best one
    has more in that split), `architectures` (the number of ranked ones), and
    every cost in the table (`table_parameters` and `table_multiply_adds` as counts; in seconds
    `table_train_seconds`, `table_simulated_seconds` and `table_latency_<device>`).

    Example: `TableAccuracy(context).evaluate(architecture, None).metrics["rank"]`
    """

    name = "table"
    summary = "accuracy and rank in a benchmark's table; trains nothing"
    needs_images = False
    looks_up = True

    class Options(nastk.Options):
        """The options of the evaluator: the table, and which of its trainings to use."""

        table: str | None = Field(
            None, description="name of an imported table, or its path; unset: the space's name"
        )
        dataset: str = Field(
            DATASET,
            description="data set of the benchmark: cifar10, cifar100, imagenet16; a table "
            "of one's own (`nastk table build`) needs no name",
        )
        split: Literal["test", "valid"] = Field(
            "test", description="split whose accuracy ranks the architectures"
        )
        epochs: int | None = Field(
            None,
            ge=1,
            description="epochs for which the networks were trained; unset: the most in the table",
        )

        @field_validator("table")
        @classmethod
        def _absolute(cls, table: str | None) -> str | None:
            """Makes a path absolute, so that it stays valid if the run continues elsewhere."""
            named = table is None or is_name(table)
            return table if named else str(Path(str(table)).expanduser().absolute())

    def __init__(self, context: EvaluationContext, options: Options | None = None) -> None:
        super().__init__(context, options)
        path = find(self.options.table or context.space.name)
        try:
            self.table = read(path)
        except DataError as error:
            raise ConfigurationError(str(error)) from error
        self._check_space(str(path))
        self.dataset = self._dataset()
        self.epochs = self.options.epochs or self._most_epochs()
        self.scores = self.table.scores(self.dataset, self.options.split, self.epochs)
        self._accuracies = {
            column.split: self.table.scores(self.dataset, str(column.split), self.epochs)
            for column in self.table.trainings()
            if column.split != "train"
            and (column.dataset, column.epochs) == (self.dataset, self.epochs)
        }
        self._runs = {split: self._runs_of(each.column) for split, each in self._accuracies.items()}

    def _dataset(self) -> str:
        """Returns the name of the data set; where none was named, that of a table of one's own."""
        named = dataset_name(self.options.dataset)
        known = {str(column.dataset) for column in self.table.trainings()}
        one = named == DATASET and len(known) == 1 and self.table.provenance
        return known.pop() if one else named

    def _most_epochs(self) -> int | None:
        """Returns the most epochs of the trainings on the data set, else `USUAL_EPOCHS`.

        None for a table of one's own whose evaluator trains without epochs.
        """
        found = [
            column.epochs for column in self.table.trainings() if column.dataset == self.dataset
        ]
        if found and None in found and self.table.provenance:
            return None
        return max((epochs or 0 for epochs in found), default=USUAL_EPOCHS)

    def _check_space(self, path: str) -> None:
        """Raises a ConfigurationError for a table of another space, or with other text forms."""
        space, table = self.context.space, self.table
        if table.space != space.name:
            raise ConfigurationError(
                f"The table {path} is of space {table.space!r}, the run searches space "
                f"{space.name!r}. Use `--space {table.space}`, or name another table."
            )
        # The space may be a part of the table's space (without `none`) and read only some of them.
        if not any(self._reads(text) for text in table.texts[:LOOKED_AT]):
            raise ConfigurationError(
                f"The table {path} writes architectures like {table.texts[0]!r}, which is not the "
                f"form of space {space.name!r}. Import it with the `--space` that it belongs to."
            )

    def _reads(self, text: str) -> bool:
        """True if `text` is an architecture in the space's own text form."""
        space = self.context.space
        try:
            return space.to_text(space.from_text(text)) == text
        except DataError:
            return False

    @property
    def criteria(self) -> tuple[str, ...]:
        """See `Evaluator.criteria`: the valid accuracy, but not `rank` or `regret` of test."""
        return tuple(f"table_{split}_accuracy" for split in self._accuracies if split == "valid")

    def of_test(self, metric: str) -> bool:
        """See `Evaluator.of_test`: `rank` and `regret` are of the option `split`."""
        return super().of_test(metric) or (
            metric in ("rank", "regret") and self.options.split == "test"
        )

    def max_cost(self) -> PhaseCost:
        """See `Evaluator.max_cost`: no image, and the seconds of the longest recorded training."""
        return PhaseCost(seconds=self.table.most_simulated_seconds(self.dataset, self.epochs))

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search, and by `nastk evaluate`: looks the architecture up.

        There is no metric, and a note, where the table is a sample without the architecture.

        Raises:
            DataError: the architecture is of another space, or a whole table does not hold it.
        """
        text = self._text(architecture)
        if self.table.is_sample and text not in self.table:
            return Evaluation(self.name, {}, (self._not_in_sample(),))
        index = self.table.index_of(text)
        accuracies = {
            f"table_{split}_accuracy": float(scores.values[index]) / 100
            for split, scores in sorted(self._accuracies.items(), key=lambda pair: str(pair[0]))
        }
        # Table values are float32; more digits, here and in costs, would only look precise.
        metrics = {name: round(value, 6) for name, value in accuracies.items() if value == value}
        metrics["rank"] = self.scores.rank(text)
        metrics["regret"] = round((self.scores.best()[1] - self.scores.of(text)) / 100, 6)
        metrics["architectures"] = self.scores.count()
        costs = self._costs(text)
        return Evaluation(
            self.name,
            {**metrics, **costs},
            self._notes(),
            trainings=self._trainings(index),
            recorded_seconds=costs.get("table_simulated_seconds", 0.0),
        )

    def known(self) -> Sequence[Architecture] | None:
        """See `Evaluator.known`: those of a table that was built of a sample of its space."""
        if not self.table.is_sample:
            return None
        values = zip(self.table.texts, self.scores.values.tolist(), strict=True)
        return [
            self.context.space.from_text(text)
            for text, value in values
            if value == value and self._reads(text)
        ]

    def _text(self, architecture: Architecture) -> str:
        """Returns the text of an architecture in the table, else of another of the same network.

        Only tables of one's own say that such architectures were trained as one.
        """
        space = self.context.space
        text = space.to_text(space.check(architecture))
        if text in self.table or not self.table.provenance:
            return text
        return self._networks.get(space.canonical(architecture), text)

    @cached_property
    def _networks(self) -> dict[str, str]:
        """The text of an architecture of each network in the table."""
        space = self.context.space
        texts = filter(self._reads, self.table.texts)
        return {space.canonical(space.from_text(text)): text for text in texts}

    def _not_in_sample(self) -> str:
        """Returns the note on an architecture that a sample lacks: a search may find any."""
        return (
            f"The table is of {self.table.provenance['architectures']}, without this architecture. "
            "`nastk table build` with --architectures trains more."
        )

    def _runs_of(self, mean: Column) -> list[Float32[np.ndarray, "architectures"]]:
        """Returns the accuracies (%) of the single runs that the table has of a mean."""
        training = replace(mean, seeds=())
        return [
            self.table.numbers(column.name)
            for column in self.table.columns
            if column.seed is not None and replace(column, seed=None) == training
        ]

    def _trainings(self, index: int) -> dict[str, tuple[float, ...]]:
        """Returns the accuracies (0..1) of single runs, where the table has several.

        Architectures of NAS-Bench-201 were trained one to three times.
        """
        found = {}
        for split, runs in self._runs.items():
            accuracies = [float(values[index]) / 100 for values in runs]
            known = tuple(round(accuracy, 6) for accuracy in accuracies if accuracy == accuracy)
            if len(known) > 1:
                found[f"table_{split}_accuracy"] = known
        return found

    def _costs(self, text: str) -> dict[str, float]:
        """Returns the metrics of all costs that the table knows of an architecture."""
        units = {column.quantity: column.unit for column in self.table.columns}
        known = self.table.others(text, self.dataset, self.options.split, self.epochs)
        costs = {
            f"table_{quantity}": _in_metrics(value, units[quantity])
            for quantity, value in known.items()
        }
        seconds = self.table.simulated_seconds(text, self.dataset, self.epochs)
        return costs if seconds is None else {**costs, "table_simulated_seconds": round(seconds, 3)}

    def _notes(self) -> tuple[str, ...]:
        """Returns the notes that explain the metrics."""
        seeds = self.scores.column.seeds
        runs = f", mean over the runs with seeds {', '.join(map(str, seeds))}" if seeds else ""
        after = "" if self.epochs is None else f" after {self.epochs} epochs"
        return (
            f"`rank` counts the architectures of the table with a higher {self.options.split} "
            f"accuracy on {self.dataset}{after}{runs}.",
            "The numbers are of the benchmark's own networks and training, whatever this search "
            "used.",
        )


def _in_metrics(value: float, unit: str) -> float:
    """Returns a column's value in the units of metrics: counts for millions, seconds for ms."""
    exact = float(f"{value * {'M': 1e6, 'ms': 1e-3}.get(unit, 1.0):.8g}")
    return float(round(exact)) if unit == "M" else exact
