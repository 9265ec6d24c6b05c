"""A benchmark's table in memory: `Table`, and `Scores`, one column of it to look up and rank in."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from nastk import ConfigurationError, DataError
from nastk.base import near_miss
from nastk_tables.column import ACCURACY, Column, dataset_name


@dataclass(frozen=True, eq=False)
class Table:
    """What training every architecture of a space gave, measured once and looked up ever after.

    `values` is columns x architectures, NaN where nothing is known; `texts` are the architectures,
    in the space's text form. Read one with `nastk_tables.storage.read`.

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

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {text: place for place, text in enumerate(self.texts)}

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {column.name: row for row, column in enumerate(self.columns)}

    def __contains__(self, text: object) -> bool:
        return text in self._places

    def place(self, text: str) -> int:
        """The position of an architecture.

        Raises:
            DataError: the table does not hold it.
        """
        try:
            return self._places[text]
        except KeyError:
            like = f" It has {self.texts[0]!r} and others." if self.texts else ""
            raise DataError(
                f"The table of {len(self):,} architectures of space {self.space!r} has no "
                f"{text!r}.{like} Import a table that holds it with `nastk table import`."
            ) from None

    def numbers(self, name: str) -> Float32[np.ndarray, "architectures"]:
        """The column of that name, in the order of `texts`; read-only, NaN where nothing is known.

        Raises:
            ConfigurationError: there is none; says the near miss and what there is.
        """
        if name not in self._rows:
            means = [column.name for column in self.columns if column.seed is None]
            raise ConfigurationError(
                f"The table has no column {name!r}.{near_miss(name, means)} It has: "
                f"{', '.join(means)}."
            )
        found: Float32[np.ndarray, "architectures"] = self.values[self._rows[name]]
        return found

    def scores(
        self,
        dataset: str = "cifar10",
        split: str = "test",
        epochs: int = 200,
        seed: int | None = None,
    ) -> "Scores":
        """Accuracies in percent of one training: the mean over its runs, or that of one `seed`.

        Raises:
            ConfigurationError: the table does not hold that training; says what it holds.
        """
        column = Column(ACCURACY, "%", dataset_name(dataset), split, epochs, seed)
        values = self.numbers(column.name)
        return Scores(self, self.columns[self._rows[column.name]], values)

    def others(self, text: str, dataset: str, split: str, epochs: int) -> dict[str, float]:
        """What else is known of an architecture: costs and latencies by quantity, in their units.

        Columns of other trainings, of single runs, and missing values are left out.
        """
        place = self.place(text)
        asked = (dataset_name(dataset), split, epochs)
        found = {
            column.quantity: float(self.values[row, place])
            for row, column in enumerate(self.columns)
            if column.quantity != ACCURACY and column.seed is None and column.fits(*asked)
        }
        return {quantity: value for quantity, value in found.items() if value == value}

    def simulated_seconds(
        self, text: str, dataset: str = "cifar10", epochs: int = 200
    ) -> float | None:
        """What a search would have paid to train `text` and validate it once; None where unknown.

        Training seconds on the part of the images that leaves a valid split, plus one pass over
        that split: the account that NATS-Bench (Dong et al. 2022) simulates searches with.
        """
        known = self.others(text, dataset, "valid", epochs)
        if not {"train_seconds", "pass_seconds"} <= set(known):
            return None
        return known["train_seconds"] + known["pass_seconds"]

    def trainings(self) -> Iterator[Column]:
        """The accuracy columns that are means over runs."""
        return (each for each in self.columns if each.quantity == ACCURACY and each.seed is None)


@dataclass(frozen=True, eq=False)
class Scores:
    """Accuracies of one training, in percent, to look up and rank in. `Table.scores` makes one."""

    table: Table
    column: Column
    values: Float32[np.ndarray, "architectures"]

    def of(self, text: str) -> float:
        """The accuracy of an architecture, in percent.

        Raises:
            DataError: the table does not hold the architecture, or nothing for it in this column.
        """
        value = float(self.values[self.table.place(text)])
        if value != value:
            raise DataError(f"The table has no value of {text!r} in column {self.column.name!r}.")
        return value

    def rank(self, text: str) -> int:
        """How many architectures are better; 0 for the best. Equal ones share a rank."""
        self.of(text)
        return int((self.values > self.values[self.table.place(text)]).sum())

    def count(self) -> int:
        """How many architectures have a value."""
        return int((~np.isnan(self.values)).sum())

    def top_share(self, text: str) -> float:
        """The share (0..1) of architectures that are better: at most 0.01 is the top 1 %."""
        return self.rank(text) / self.count()

    def best(self) -> tuple[str, float]:
        """The best architecture, the first of equal ones, and its accuracy in percent."""
        place = int(np.nanargmax(self.values))
        return self.table.texts[place], float(self.values[place])
