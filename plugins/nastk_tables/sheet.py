"""`Sheet` is the content of one benchmark file; `merge` makes a `Table` from sheets."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from nastk import DataError
from nastk_tables.column import ACCURACY, Column
from nastk_tables.table import Table

UNRELIABLE = {"latency_raspi4": 0.1, "latency_pixel3": 0.1}
"""The smallest credible values (ms): failed measurements on these devices lie far below them."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """The architectures of a file, their numbers in each column (NaN: unknown), name and notes.

    Example: `Sheet(("a", "b"), {Column("params", "M"): np.array([0.1, 0.2])}, "my.csv")`
    """

    texts: tuple[str, ...]
    columns: Mapping[Column, Float64[np.ndarray, "architectures"]]
    source: str
    notes: tuple[str, ...] = ()


def merge(sheets: Sequence[Sheet], space: str) -> Table:
    """Returns one table with the columns of all `sheets`, in the first sheet's order.

    Columns without any number are left out.

    Raises:
        DataError: an architecture or a column occurs twice, an architecture is not in the first
            sheet, an accuracy is no percentage, or there is no accuracy at all.
    """
    first = sheets[0]
    merged: dict[Column, Float64[np.ndarray, "architectures"]] = {}
    names: dict[str, str] = {}
    for sheet in sheets:
        order = _order(first, sheet)
        for column, values in sheet.columns.items():
            if np.isnan(values).all():
                continue
            if column.name in names:
                raise DataError(
                    f"{names[column.name]} and {sheet.source} both have a column {column.name!r}. "
                    "Import one of them."
                )
            names[column.name] = sheet.source
            merged[column] = np.full(len(first.texts), np.nan)
            merged[column][order] = _credible(column, values, sheet.source)
    if not any(column.quantity == ACCURACY for column in merged):
        raise DataError(
            f"{first.source} holds no accuracy. Expected a column such as `cifar10_test` in one "
            "of the files."
        )
    columns = tuple(_with_seeds(column, merged) for column in merged)
    # No test split resolves the sixth decimal of a percentage. Rounding there makes equal
    # accuracies equal, whatever the order of summation in a mean.
    values = np.stack([np.round(column, 6) for column in merged.values()]).astype(np.float32)
    return Table(space, first.texts, columns, values, tuple(sheet.source for sheet in sheets))


def _order(first: Sheet, sheet: Sheet) -> list[int]:
    """Returns the index in `first` of each architecture of `sheet`."""
    indices = {text: index for index, text in enumerate(first.texts)}
    if len(indices) != len(first.texts) or len(set(sheet.texts)) != len(sheet.texts):
        raise DataError(f"{sheet.source} holds an architecture twice: {_double(sheet.texts)!r}.")
    strangers = [text for text in sheet.texts if text not in indices]
    if strangers:
        raise DataError(
            f"{sheet.source} holds {len(strangers):,} architectures that {first.source} does not, "
            f"such as {strangers[0]!r}. Give the file with all architectures first."
        )
    return [indices[text] for text in sheet.texts]


def _double(texts: Iterable[str]) -> str | None:
    """Returns the first text that occurs more than once, or None."""
    return next((text for text, times in Counter(texts).items() if times > 1), None)


def _credible(
    column: Column, values: Float64[np.ndarray, "architectures"], source: str
) -> Float64[np.ndarray, "architectures"]:
    """Returns `values` with NaN for incredible ones; accuracies must be percentages."""
    if column.quantity == ACCURACY:
        known = values[~np.isnan(values)]
        if known.size and not (known.min() >= 0 and known.max() <= 100):
            raise DataError(
                f"{source}: column {column.name!r} lies between {known.min():g} and "
                f"{known.max():g}; expected accuracies in percent (0 to 100)."
            )
    if np.nanmax(np.abs(values), initial=0.0) > np.finfo(np.float32).max:
        raise DataError(f"{source}: column {column.name!r} holds numbers too great to keep.")
    least = UNRELIABLE.get(column.quantity, -np.inf)
    return np.where(values < least, np.nan, values)


def _with_seeds(column: Column, columns: Iterable[Column]) -> Column:
    """Returns a mean's column with the seeds of its runs; other columns as they are."""
    if column.seed is not None:
        return column
    runs = {run.seed for run in columns if replace(run, seed=None) == column} - {None}
    return replace(column, seeds=tuple(sorted(seed for seed in runs if seed is not None)))
