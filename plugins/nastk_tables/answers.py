"""The accuracies of a table as one array with an axis for each edge: `Answers`, and `expected`.

Entry (c_1, ..., c_n) is the accuracy of the path that takes operation c_e on edge e, so that the
mean over the paths of a mixture is a product of the array with one vector an edge.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from nastk import ConfigurationError, DataError, SearchSpace
from nastk_tables.column import Column, dataset_name
from nastk_tables.storage import read
from nastk_tables.table import Scores, Table

MOST = 2**20
"""The most architectures of a space that an array is made for."""


@dataclass(frozen=True)
class Training:
    """Which training of a table is meant: `None` stands for what the table offers.

    Without a `split` it is valid where the table has it, else test; without `epochs` the longest
    training; without a `seed` the mean over the runs.

    Example: `Training("cifar10", seed=0).scores(table)`
    """

    dataset: str
    split: str | None = None
    epochs: int | None = None
    seed: int | None = None

    def scores(self, table: Table) -> Scores:
        """Returns the accuracies of this training.

        Raises:
            ConfigurationError: the table does not hold it; the message lists what it holds.
        """
        known = [column for column in table.trainings() if column.split in ("valid", "test")]
        of_data = [column for column in known if column.dataset == dataset_name(self.dataset)]
        splits = {column.split for column in of_data}
        split = self.split or ("valid" if "valid" in splits or not splits else "test")
        lengths = [column.epochs or 0 for column in of_data if column.split == split]
        epochs = self.epochs or max(lengths, default=200)
        return table.scores(self.dataset, split, epochs, self.seed)


@dataclass(frozen=True, eq=False)
class Answers:
    """The accuracy (0..1) of every path of a space, an axis for each edge; `answers` makes it.

    `column` is the table's column, and `digest` the table's sha256.
    """

    accuracies: Float64[Tensor, "*edges"]
    column: Column
    digest: str


def answers(space: SearchSpace, path: Path, training: Training) -> Answers:
    """Returns the accuracies of all paths of `space` from the table in `path`.

    They are kept for the next runs of this process, as long as the file is not changed.

    Raises:
        ConfigurationError: the file is no table of this space, or holds not this training of
            every path.
    """
    key = (space.name, space.options.model_dump_json(), str(path), str(path.stat().st_mtime_ns))
    return _remembered(key, _Given(space), path, training)


class _Given:
    """A space that is left out of the key of a memory, since its name and options are in it."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given)


@lru_cache(maxsize=8)
def _remembered(key: tuple[str, ...], given: _Given, path: Path, training: Training) -> Answers:
    """Returns `answers`, remembered by `key`."""
    space = given.space
    try:
        table = read(path)
    except DataError as error:
        raise ConfigurationError(str(error)) from error
    if table.space != space.name:
        raise ConfigurationError(
            f"The table {path} is of space {table.space!r}, not of {space.name!r}. "
            f"Use `-s of={table.space}`, or name another table."
        )
    scores = training.scores(table)
    names = [edge.operations for edge in space.edges]
    rows = _rows(space, table, names)
    values = np.asarray(scores.values, dtype=np.float64)[rows] / 100
    unknown = int(np.isnan(values).sum())
    if unknown:
        raise ConfigurationError(
            f"The table {path} has no value of {unknown:,} of the {len(rows):,} architectures in "
            f"column {scores.column.name}. A table that answers for a supernet holds them all."
        )
    shaped = torch.from_numpy(values).reshape([len(each) for each in names])
    return Answers(shaped, scores.column, table.digest)


def count_of(space: SearchSpace) -> int:
    """Returns the number of paths: one operation of every edge."""
    return prod(len(edge.operations) for edge in space.edges)


def _rows(space: SearchSpace, table: Table, names: Sequence[Sequence[str]]) -> list[int]:
    """Returns the table's index of every path, the last edge changing fastest."""
    rows, missing, example = [], 0, ""
    for chosen in product(*names):
        text = space.to_text(space.architecture((name,) for name in chosen))
        if text in table:
            rows.append(table.index_of(text))
        else:
            missing, example = missing + 1, text
    if missing:
        raise ConfigurationError(
            f"The table lacks {missing:,} of the {count_of(space):,} paths of space "
            f"{space.name!r}, such as {example!r}. A table that answers for a supernet holds all."
        )
    return rows


def expected(
    accuracies: Float64[Tensor, "*edges"], shares: Float64[Tensor, "mixtures edges ops"]
) -> Float64[Tensor, "mixtures"]:
    """Returns the mean accuracy of the paths of each mixture.

    A path has the product of the `shares` of its operations, which add up to one on every edge.
    The array is summed edge by edge, so that a mixture costs about 1 + 1/m + 1/m^2 + ...
    multiplications for each path, with m operations an edge.
    """
    first, *others = accuracies.shape
    values = shares[:, 0, :first] @ accuracies.reshape(first, -1)  # mixtures x other paths
    for edge, operations in enumerate(others, start=1):
        rest = values.reshape(len(shares), operations, -1)
        values = (shares[:, edge, :operations, None] * rest).sum(1)
    return values.flatten()
