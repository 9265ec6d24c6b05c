"""`sheet` reads the file of NAS-Bench-Macro (`.json`, also gzipped).

The file has one object for each of the 6,561 texts of digits: the test accuracies of three
trainings on CIFAR-10, parameters, multiply-adds, and mean and deviation of the accuracies, which
are ignored; the mean is computed here. Facts of the authors' release (Su et al. 2021): its training
script has 50 epochs and the seeds 0, 1, 2, and records the best test accuracy of any epoch.
"""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from nastk import DataError
from nastk.base import json_value
from nastk_tables.column import ACCURACY, Column
from nastk_tables.sheet import Sheet

EPOCHS, SEEDS = 50, (0, 1, 2)
"""The epochs and the seeds of the trainings of every network."""

LARGEST = 64 * 2**20
"""The most bytes of an unpacked file; the authors' file has 1.4 million."""


def sheet(path: Path) -> Sheet:
    """Returns the content of the file at `path`.

    Raises:
        DataError: the file cannot be read, or an entry has another form; the message names the
            network.
    """
    content = _content(path)
    accuracies = np.array(
        [_numbers(path, digits, row, "test_acc", len(SEEDS)) for digits, row in content.items()]
    )
    sizes = [
        [_numbers(path, digits, row, key, None)[0] / 1e6 for key in ("params", "flops")]
        for digits, row in content.items()
    ]
    parameters, multiply_adds = np.array(sizes).T
    mean = Column(ACCURACY, "%", "cifar10", "test", EPOCHS)
    columns = {
        mean: accuracies.mean(1),
        **{replace(mean, seed=seed): accuracies[:, index] for index, seed in enumerate(SEEDS)},
        Column("parameters", "M", "cifar10"): parameters,
        Column("multiply_adds", "M", "cifar10"): multiply_adds,
    }
    return Sheet(tuple(content), columns, path.name)


def _content(path: Path) -> dict[str, Any]:
    """Returns the JSON object in the file, unpacked if it is gzipped."""
    try:
        packed = path.suffix == ".gz"
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST // 2**20} MiB")
        content = json_value(text.decode())
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path} is no JSON file of NAS-Bench-Macro: {error}.") from None
    if not isinstance(content, dict) or not content:
        raise DataError(
            f"{path} holds no networks by their digits, as NAS-Bench-Macro's file does."
        )
    return content


def _numbers(path: Path, digits: str, row: Any, key: str, count: int | None) -> list[float]:
    """Returns the number, or the `count` numbers, of an entry's `key`, as a list."""
    value = row.get(key) if isinstance(row, Mapping) else None
    numbers: list[Any] = value if count is not None and isinstance(value, list) else [value]
    fine = all(type(number) in (int, float) and isfinite(number) for number in numbers)
    if len(numbers) != (count or 1) or not fine:
        expected = "a number" if count is None else f"{count} numbers"
        raise DataError(f"{path}: network {digits!r} has no {key!r} of {expected}; got {value!r}.")
    return [float(number) for number in numbers]
