"""`sheet` reads CSV files, plain or gzipped, with one row per architecture.

A file has a column of architectures (`arch`, `architecture` or `arch_str`) and columns of numbers,
whose names `RULES` interprets. If the file's name contains `latency`, all other numbers are
milliseconds.
"""

import csv
import gzip
import io
import re
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from nastk import DataError
from nastk_tables.column import ACCURACY, Column, dataset_name
from nastk_tables.sheet import Sheet

KEYS = ("arch", "architecture", "arch_str")
RULES = (
    (r"(?P<dataset>.+)_(?P<split>train|valid|test)", ACCURACY, "%"),
    (r"(?P<dataset>.+?)(valid)?_params_M(_\w+)?", "parameters", "M"),
    (r"(?P<dataset>.+?)(valid)?_flops_M(_\w+)?", "multiply_adds", "M"),
    (r"(?P<dataset>.+?)(?P<split>valid)?_train_time_s", "train_seconds", "s"),
    (r"(?P<dataset>.+?)(valid)?_(?P<split>valid|test)_time_per_epoch_s", "pass_seconds", "s"),
)
"""Pattern of a CSV column's whole name, its quantity and its unit; the first match counts."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan", re.ASCII | re.IGNORECASE)
"""Matches a number; `float` would also accept `9_0` and digits of other scripts."""
GREATEST = float(np.finfo(np.float32).max)
"""The greatest number that a table keeps."""
SCHEDULED = (ACCURACY, "train_seconds", "pass_seconds")
"""The quantities that depend on how long the networks were trained."""


def sheet(path: Path, epochs: int) -> Sheet:
    """Returns the content of a CSV file about networks trained for `epochs`.

    Columns of text are left out; a note names them.

    Raises:
        DataError: the file is no CSV file, lacks the architectures, has no number where a number is
            expected (the message names the row), or has accuracies that are fractions.
    """
    header, *rows = _rows(path)
    key = next((name for name in KEYS if name in header), None)
    if key is None or not rows:
        raise DataError(
            f"{path} has no column of architectures with rows below it. Expected a header with "
            f"`arch`, got: {', '.join(header)[:200]}."
        )
    key_position = header.index(key)
    columns, skipped = {}, []
    for position, name in enumerate(header):
        column = _column(name, path, epochs)
        if position == key_position:
            continue
        if column.quantity == name and not _is_number(rows[0][position]):
            skipped.append(name)
            continue
        if column in columns:
            raise DataError(f"{path} has the column {name!r} twice, under one name or two.")
        columns[column] = np.array(
            [_number(row[position], path, line, name) for line, row in enumerate(rows, start=2)]
        )
        _check_percent(column, columns[column], path)
    notes = (f"Left out, since they are no numbers: {', '.join(skipped)}.",) if skipped else ()
    return Sheet(tuple(row[key_position] for row in rows), columns, path.name, notes)


def _rows(path: Path) -> list[list[str]]:
    """Returns header and rows, all of the same length."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error}).") from None
    for line, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{path}, row {line}: expected {len(rows[0])} values, got {len(row)}. Is the file "
                "whole?"
            )
    return rows or [[]]


def _column(name: str, path: Path, epochs: int) -> Column:
    """Returns the meaning of the column called `name`."""
    for pattern, quantity, unit in RULES:
        match = re.fullmatch(pattern, name)
        if match:
            parts = match.groupdict()
            scheduled = epochs if quantity in SCHEDULED else None
            return Column(
                quantity, unit, dataset_name(parts["dataset"]), parts.get("split"), scheduled
            )
    return Column(f"latency_{name}", "ms") if "latency" in path.name.lower() else Column(name)


def _check_percent(
    column: Column, values: Float64[np.ndarray, "architectures"], path: Path
) -> None:
    """Raises a DataError for fractions, which later could be the percentages of bad networks."""
    if column.quantity == ACCURACY and values.size and np.nanmax(values, initial=0.0) <= 1:
        raise DataError(
            f"{path}: no value of column {column.name!r} is above 1; expected accuracies in "
            "percent (0 to 100). Multiply them by 100."
        )


def _is_number(cell: str) -> bool:
    """True if a cell is empty or a number."""
    return not cell.strip() or NUMBER.fullmatch(cell.strip()) is not None


def _number(cell: str, path: Path, line: int, name: str) -> float:
    """Returns a cell's number, NaN for an empty cell."""
    value = float(cell.strip() or "nan") if _is_number(cell) else np.inf
    if abs(value) > GREATEST:
        raise DataError(
            f"{path}, row {line}, column {name!r}: expected a number or nothing, got {cell!r}."
        )
    return value
