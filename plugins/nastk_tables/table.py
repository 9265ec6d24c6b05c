"""`Table` is a benchmark's table in memory; `Scores` ranks architectures by one column of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float32

from nastk import ConfigurationError, DataError
from nastk.base import near_miss
from nastk_tables.column import ACCURACY, Column, dataset_name


@dataclass(frozen=True, eq=False)
class Table:
    """The measured results of training the architectures of a space.

    `values` is columns x architectures, NaN for unknown values; `texts` are the architectures in
    the space's text form. `provenance` says how the networks of a table of one's own were trained
    (`nastk table build`); it is empty for a benchmark's. `nastk_tables.storage.read` reads a table
    from a file.

    Example:
        table = read(find("nasbench201"))
        scores = table.scores("cifar10", "test", 200)
        scores.of(text), scores.rank(text), scores.best()
        table.simulated_seconds(text, "cifar10", 200)
    """

    space: str
    texts: tuple[str, ...]
    columns: tuple[Column, ...]
    values: Float32[np.ndarray, "columns architectures"]
    sources: tuple[str, ...] = ()
    digest: str = field(default="")
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def is_sample(self) -> bool:
        """True if it is known that the space has other architectures than those in the table."""
        return not self.provenance.get("whole", True)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {text: index for index, text in enumerate(self.texts)}

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {column.name: row for row, column in enumerate(self.columns)}

    def __contains__(self, text: object) -> bool:
        return text in self._indices

    def index_of(self, text: str) -> int:
        """Returns the index of an architecture in `texts` and in every column.

        Raises:
            DataError: the table does not hold the architecture.
        """
        try:
            return self._indices[text]
        except KeyError:
            like = f" It has {self.texts[0]!r} and others." if self.texts else ""
            raise DataError(
                f"The table of {len(self):,} architectures of space {self.space!r} has no "
                f"{text!r}.{like} Import a table that holds it with `nastk table import`."
            ) from None

    def numbers(self, name: str) -> Float32[np.ndarray, "architectures"]:
        """Returns the values of column `name`, in the order of `texts`; NaN for unknown values.

        The array is read-only.

        Raises:
            ConfigurationError: there is no such column; the message names similar and all columns.
        """
        if name not in self._rows:
            means = [column.name for column in self.columns if column.seed is None]
            raise ConfigurationError(
                f"The table has no column {name!r}.{near_miss(name, means)} It has: "
                f"{', '.join(means)}."
            )
        values: Float32[np.ndarray, "architectures"] = self.values[self._rows[name]]
        return values

    def scores(
        self,
        dataset: str = "cifar10",
        split: str = "test",
        epochs: int | None = 200,
        seed: int | None = None,
    ) -> "Scores":
        """Returns the accuracies (%) of a training: means over its runs, or those of one `seed`.

        Raises:
            ConfigurationError: the table does not hold this training; the message lists those that
                it holds.
        """
        column = Column(ACCURACY, "%", dataset_name(dataset), split, epochs, seed)
        values = self.numbers(column.name)
        return Scores(self, self.columns[self._rows[column.name]], values)

    def others(self, text: str, dataset: str, split: str, epochs: int | None) -> dict[str, float]:
        """Returns an architecture's costs and latencies by quantity, in the columns' units.

        Columns of other trainings and of single runs are left out, and so are unknown values.
        """
        index = self.index_of(text)
        training = (dataset_name(dataset), split, epochs)
        costs = {
            column.quantity: float(self.values[row, index])
            for row, column in enumerate(self.columns)
            if column.quantity != ACCURACY and column.seed is None and column.fits(*training)
        }
        return {quantity: value for quantity, value in costs.items() if value == value}

    def simulated_seconds(
        self, text: str, dataset: str = "cifar10", epochs: int | None = 200
    ) -> float | None:
        """Returns the seconds to train `text` and validate it once, or None if unknown.

        These are the training seconds on the images outside of the valid split, plus one pass over
        that split: the cost with which NATS-Bench (Dong et al. 2022) simulates searches. In a table
        of one's own the seconds of a training hold its measurements.
        """
        known = self.others(text, dataset, "valid", epochs)
        if not self._parts <= set(known):
            return None
        return sum(known[part] for part in self._parts)

    def most_simulated_seconds(self, dataset: str, epochs: int | None) -> float:
        """Returns the largest of all `simulated_seconds`; 0 if none is known."""
        training = (dataset_name(dataset), "valid", epochs)
        parts = {
            column.quantity: self.values[row].astype(np.float64)
            for row, column in enumerate(self.columns)
            if column.seed is None and column.fits(*training)
        }
        if not self._parts <= set(parts):
            return 0.0
        seconds = np.sum([parts[part] for part in self._parts], axis=0)
        known = seconds[~np.isnan(seconds)]
        return float(known.max()) if len(known) else 0.0

    @property
    def _parts(self) -> set[str]:
        """The columns that are the cost of an architecture together."""
        return {"train_seconds"} if self.provenance else {"train_seconds", "pass_seconds"}

    def trainings(self) -> Iterator[Column]:
        """Returns the accuracy columns that are means over runs."""
        return (
            column for column in self.columns if column.quantity == ACCURACY and column.seed is None
        )


@dataclass(frozen=True, eq=False)
class Scores:
    """The accuracies of one training in percent, with ranks; `Table.scores` makes it."""

    table: Table
    column: Column
    values: Float32[np.ndarray, "architectures"]

    def of(self, text: str) -> float:
        """Returns the accuracy of an architecture, in percent.

        Raises:
            DataError: the table does not hold the architecture, or has no value in this column.
        """
        value = float(self.values[self.table.index_of(text)])
        if value != value:
            raise DataError(f"The table has no value of {text!r} in column {self.column.name!r}.")
        return value

    def rank(self, text: str) -> int:
        """Returns how many architectures are better; equal ones share a rank, the best has 0."""
        self.of(text)
        return int((self.values > self.values[self.table.index_of(text)]).sum())

    def count(self) -> int:
        """Returns how many architectures have a value."""
        return int((~np.isnan(self.values)).sum())

    def top_share(self, text: str) -> float:
        """Returns the share (0..1) of architectures that are better; the top 1 % have <= 0.01."""
        return self.rank(text) / self.count()

    def best(self) -> tuple[str, float]:
        """Returns the best architecture, the first of equal ones, and its accuracy in percent."""
        index = int(np.nanargmax(self.values))
        return self.table.texts[index], float(self.values[index])
