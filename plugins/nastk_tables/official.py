"""`sheet` reads the official files of NAS-Bench-201 (`.pth`) and NATS-Bench (`.pickle.pbz2`).

All files hold the same records: for each architecture and each of two schedules (12 epochs, called
`less` or `12`, and 200, called `full` or `200`) the runs by training set and seed. NATS-Bench also
has a folder with a file per architecture. Facts from Dong & Yang 2020 (NAS-Bench-201) and Dong et
al. 2022 (NATS-Bench) and from their published code (MIT).
"""

import bz2
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import isinf
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from nastk import DataError
from nastk_tables.column import ACCURACY, Column
from nastk_tables.sheet import Sheet
from nastk_tables.torch_file import load_torch
from nastk_tables.unpickle import load

Progress = Callable[[int, int], None]
Row = dict[Column, float]
Runs = Mapping[int, Mapping[str, Any]]
PICKLED = ".pickle.pbz2"
META = f"meta{PICKLED}"
TRUSTED_SEED = 888
"""The run whose parameters and multiply-adds the benchmark's own reader uses if runs disagree."""


@dataclass(frozen=True)
class Part:
    """The data set and split of ours that belong to a training and evaluation set of the benchmark.

    `trained` and `evaluated` are the benchmark's names of these sets, `dataset` and `split` ours.
    On CIFAR-10 the valid accuracy is of a network trained on half of the training images, the test
    accuracy of a network trained on all of them; `training` tells these two trainings apart. The
    other data sets have a single training.
    """

    trained: str
    evaluated: str
    dataset: str
    split: str
    training: str | None = None


PARTS = (
    Part("cifar10-valid", "x-valid", "cifar10", "valid", "valid"),
    Part("cifar10", "ori-test", "cifar10", "test", "test"),
    Part("cifar100", "x-valid", "cifar100", "valid"),
    Part("cifar100", "x-test", "cifar100", "test"),
    Part("ImageNet16-120", "x-valid", "imagenet16", "valid"),
    Part("ImageNet16-120", "x-test", "imagenet16", "test"),
)


def sheet(path: Path, progress: Progress) -> Sheet:
    """Returns the content of `path`: a `.pth` file, a `.pickle.pbz2` file, or a folder of these.

    `progress` is called with (architectures read, architectures in all).

    Raises:
        DataError: a file is damaged, names an object that is not admitted, or has another
            structure.
    """
    try:
        texts, records, total = _folder(path) if path.is_dir() else _file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    rows: dict[str, Row] = {}
    for done, (index, numbers) in enumerate(records, start=1):
        text = _text(texts, index, path)
        if text in rows:
            raise DataError(f"{path} holds an architecture twice: {text!r}. Download it again.")
        rows[text] = numbers
        progress(done, total)
    if not rows:
        raise DataError(f"{path} lists {len(texts):,} architectures and holds results of none.")
    known = dict.fromkeys(column for numbers in rows.values() for column in numbers)
    columns = {
        column: np.array([numbers.get(column, np.nan) for numbers in rows.values()])
        for column in sorted(known, key=_position)
    }
    return Sheet(tuple(rows), columns, path.resolve().name)


def _file(path: Path) -> tuple[list[str], Iterator[tuple[int, Row]], int]:
    """Returns (texts, records, number of records) of a single file.

    The file is read whole, which takes as much memory as the official reader.
    """
    if path.name.endswith(PICKLED):
        with bz2.open(path, "rb") as file:
            content = load(file, str(path))
    else:
        content = load_torch(path)
    texts, records = _entry(content, "meta_archs", path), _entry(content, "arch2infos", path)
    strange = [key for key in records if type(key) is not int]
    if strange:
        raise DataError(
            f"{path} has another structure than NAS-Bench-201's and NATS-Bench's files: it numbers "
            f"an architecture {strange[0]!r}. Download it again."
        )
    numbers = ((index, _numbers(record, path)) for index, record in sorted(records.items()))
    return texts, numbers, len(records)


def _folder(path: Path) -> tuple[list[str], Iterator[tuple[int, Row]], int]:
    """Returns (texts, records, number of records) of a folder with a file per architecture.

    A file is named by the number of its architecture; missing files are left out.
    """
    with bz2.open(path / META, "rb") as file:
        texts = _entry(load(file, str(path / META)), "meta_archs", path)
    files = {index: path / f"{index:06d}{PICKLED}" for index in range(len(texts))}
    files = {index: file for index, file in files.items() if file.is_file()}
    return texts, _rows(files), len(files)


def _rows(files: Mapping[int, Path]) -> Iterator[tuple[int, Row]]:
    """Yields the number of each architecture and the row that its file holds."""
    # Most of the time goes into decompression, during which other threads can run.
    with ThreadPoolExecutor() as pool:
        yield from zip(files, pool.map(_numbers_of_file, files.values()), strict=True)


def _numbers_of_file(path: Path) -> Row:
    """Returns the row of the architecture whose file is at `path`."""
    try:
        content = bz2.decompress(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}). Download it again.") from None
    return _numbers(load(io.BytesIO(content), str(path)), path)


def _entry(content: Any, key: str, path: Path) -> Any:
    """Returns the list `meta_archs` or the dict `arch2infos` of a file's content."""
    kind = list if key == "meta_archs" else dict
    entry = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entry, kind):
        raise DataError(
            f"{path} is no file of NAS-Bench-201 or NATS-Bench: it lacks {key!r}. Give the "
            "official file, the folder with meta.pickle.pbz2, or a CSV file."
        )
    return entry


def _text(texts: list[str], index: int, path: Path) -> str:
    """Returns the text of architecture `index`, checked to be of the topology space."""
    text = texts[index] if 0 <= index < len(texts) else None
    if not isinstance(text, str) or not text.startswith("|"):
        raise DataError(
            f"{path}: architecture {index} reads {text!r}; expected the topology space's form "
            "`|nor_conv_3x3~0|+...`. The size space of NATS-Bench (sss) is another space."
        )
    return text


def _position(column: Column) -> tuple[Any, ...]:
    """Returns the sort key of a column: means before runs, accuracies before costs."""
    return (
        column.seed is not None,
        column.quantity != ACCURACY,
        column.epochs != 200,
        column.quantity,
        column.dataset or "",
        column.split or "",
        column.epochs or 0,
        column.seed or 0,
    )


def _numbers(record: Any, path: Path) -> Row:
    """Returns all numbers in one architecture's record.

    Raises:
        DataError: the record has another structure.
    """
    row: Row = {}
    try:
        for results in record.values():
            for part in PARTS:
                runs = _runs(results, part)
                if runs:
                    row |= _accuracies(part, runs) | _costs(part, runs)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise DataError(
            f"{path} has another structure than NAS-Bench-201's and NATS-Bench's records "
            f"({type(error).__name__}: {error})."
        ) from None
    return row


def _runs(results: Mapping[str, Any], part: Part) -> Runs:
    """Returns the runs trained and evaluated on `part`, by seed; old files lack some."""
    seeds = results["dataset_seed"].get(part.trained, ())
    runs = {int(seed): results["all_results"][part.trained, seed] for seed in seeds}
    return {seed: run for seed, run in runs.items() if _last(part, run) in run["eval_acc1es"]}


def _last(part: Part, run: Mapping[str, Any]) -> str:
    """Returns the records' key of the measurement after the last epoch."""
    return f"{part.evaluated}@{run['epochs'] - 1}"


def _accuracies(part: Part, runs: Runs) -> Row:
    """Returns the accuracies after the last epoch: the mean over runs, and that of every run."""
    accuracies = {
        Column(ACCURACY, "%", part.dataset, part.split, run["epochs"], seed): _number(
            run["eval_acc1es"][_last(part, run)]
        )
        for seed, run in runs.items()
    }
    mean = replace(next(iter(accuracies)), seed=None)
    return {mean: fmean(accuracies.values()), **accuracies}


def _costs(part: Part, runs: Runs) -> Row:
    """Returns size, work, seconds and latency as means over runs; unknown values are left out."""
    epochs = next(iter(runs.values()))["epochs"]
    latencies = [fmean(map(_number, run["latency"])) for run in runs.values() if run["latency"]]
    known = {
        Column("parameters", "M", part.dataset): [_agreed(runs, "params")],
        Column("multiply_adds", "M", part.dataset): [_agreed(runs, "flop")],
        Column("train_seconds", "s", part.dataset, part.training, epochs): [
            sum(map(_number, run["train_times"].values()))
            for run in runs.values()
            if run["train_times"]
        ],
        Column("pass_seconds", "s", part.dataset, part.split, epochs): [
            seconds for run in runs.values() if (seconds := _pass_seconds(run, part.evaluated))
        ],
        Column("latency", "ms", part.dataset): [
            1000 * seconds for seconds in latencies if seconds > 0
        ],
    }
    return {column: fmean(values) for column, values in known.items() if values}


def _pass_seconds(run: Mapping[str, Any], evaluated: str) -> float | None:
    """Returns the mean seconds of a pass over an evaluation set, or None if not recorded."""
    times = run["eval_times"] or {}
    seconds = [_number(value) for key, value in times.items() if key.split("@")[0] == evaluated]
    return fmean(seconds) if seconds else None


def _agreed(runs: Runs, key: str) -> float:
    """Returns the runs' mean of `key`, or the value of `TRUSTED_SEED` if the runs disagree.

    Some runs recorded wrong values.
    """
    values = {seed: _number(run[key]) for seed, run in runs.items()}
    if len({round(value, 5) for value in values.values()}) > 1 and TRUSTED_SEED in values:
        return values[TRUSTED_SEED]
    return fmean(values.values())


def _number(value: Any) -> float:
    """Returns `value` as a float, if it is a finite number."""
    if not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {type(value).__name__}")
    if isinf(value):
        raise ValueError("a number is infinite")
    return float(value)
