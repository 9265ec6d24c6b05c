"""The file of NAS-Bench-Macro (`.json`, also gzipped): `sheet`.

One object for each of the 6,561 texts of digits: the test accuracies of three trainings on
CIFAR-10, parameters, multiply-adds, and mean and deviation of the accuracies, which are made anew
here. Facts of the authors' release (Su et al. 2021), whose training script has 50 epochs and the
seeds 0, 1, 2, and records the best test accuracy of any epoch.
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
"""Of the trainings of each network."""

LARGEST = 64 * 2**20
"""Bytes of the unpacked file; the authors' has 1.4 million."""


def sheet(path: Path) -> Sheet:
    """What the file says.

    Raises:
        DataError: it cannot be read, or an entry has another form (names the network).
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
        **{replace(mean, seed=seed): accuracies[:, place] for place, seed in enumerate(SEEDS)},
        Column("parameters", "M", "cifar10"): parameters,
        Column("multiply_adds", "M", "cifar10"): multiply_adds,
    }
    return Sheet(tuple(content), columns, path.name)


def _content(path: Path) -> dict[str, Any]:
    try:
        packed = path.suffix == ".gz"
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST // 2**20} MiB")
        found = json_value(text.decode())
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path} is no JSON file of NAS-Bench-Macro: {error}.") from None
    if not isinstance(found, dict) or not found:
        raise DataError(
            f"{path} holds no networks by their digits, as NAS-Bench-Macro's file does."
        )
    return found


def _numbers(path: Path, digits: str, row: Any, key: str, count: int | None) -> list[float]:
    """The number, or the `count` numbers, that an entry has under `key`."""
    found = row.get(key) if isinstance(row, Mapping) else None
    numbers: list[Any] = found if count is not None and isinstance(found, list) else [found]
    fine = all(type(one) in (int, float) and isfinite(one) for one in numbers)
    if len(numbers) != (count or 1) or not fine:
        expected = "a number" if count is None else f"{count} numbers"
        raise DataError(f"{path}: network {digits!r} has no {key!r} of {expected}; got {found!r}.")
    return [float(one) for one in numbers]
