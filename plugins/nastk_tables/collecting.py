"""`collected` makes a table of the trainings of a `Building`, with where its numbers come from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from nastk import ConfigurationError
from nastk_tables.building import Building
from nastk_tables.column import ACCURACY, Column, dataset_name
from nastk_tables.sheet import Sheet, merge
from nastk_tables.table import Table
from nastk_tables.trainings import FAILED

SPLIT_ACCURACY = re.compile("(train|valid|test)_accuracy")
MILLIONS = ("parameters", "multiply_adds")
"""Counts that tables hold in millions."""

Values = Float64[np.ndarray, "seeds architectures"]


def collected(building: Building) -> Table:
    """Returns the table of what is trained: a row for each architecture, in the selection's order.

    Accuracies have a column for each seed, and the mean over those that did not fail. Architectures
    of one network have equal rows. Where not all is trained, the table holds the networks that have
    every seed behind them, as a sample.

    Raises:
        ConfigurationError: no network is that far, or all of them failed.
    """
    contents = {
        network.key: [building.trainings.of(network.key, seed) for seed in building.seeds]
        for network in building.selection.networks
    }
    done = {
        key: [content for content in found if content is not None]
        for key, found in contents.items()
        if None not in found
    }
    keys = {text: each.key for each in building.selection.networks for text in each.texts}
    texts = tuple(text for text in building.selection.texts if keys[text] in done)
    rows: list[Sequence[Any]] = [done[keys[text]] for text in texts]
    metrics = {name: None for row in rows for content in row for name in content.get("metrics", ())}
    if not metrics:
        failed = sum(FAILED in content for found in done.values() for content in found)
        raise ConfigurationError(
            f"No network is trained with every seed ({failed} trainings failed), so there is "
            "nothing to make a table of. The same command without --so-far trains them."
        )
    columns = _columns(building, rows, list(metrics))
    source = f"nastk table build, {building.origin['evaluator']['name']}"
    table = merge([Sheet(texts, columns, source)], building.subject.space.name)
    return replace(table, provenance=_provenance(building, done))


def _columns(
    building: Building, rows: Sequence[Sequence[Mapping[str, Any]]], metrics: Sequence[str]
) -> dict[Column, Float64[np.ndarray, "architectures"]]:
    """Returns the columns of the metrics and of the time that a training took."""
    values = {name: _values(rows, name) for name in metrics}
    # Time that is not a metric must not be taken for one.
    seconds = np.array(
        [[content.get("seconds", np.nan) for content in row] for row in rows], dtype=float
    ).T
    epochs = values.pop("epochs", None)
    length = None if epochs is None or np.isnan(epochs).all() else int(np.nanmax(epochs))
    dataset = dataset_name(building.subject.data.name)
    columns = {}
    for name, found in values.items():
        split = SPLIT_ACCURACY.fullmatch(name)
        if split:
            column = Column(ACCURACY, "%", dataset, split[1], length)
            columns[column] = _mean(100 * found)
            for seed, single in zip(building.seeds, found, strict=True):
                columns[replace(column, seed=seed)] = 100 * single
        elif name in MILLIONS:
            columns[Column(name, "M", dataset)] = _mean(found) / 1e6
        else:
            columns[Column(name, "", dataset, None, length)] = _mean(found)
    columns[Column("train_seconds", "s", dataset, None, length)] = _mean(seconds)
    return columns


def _values(rows: Sequence[Sequence[Mapping[str, Any]]], metric: str) -> Values:
    """Returns a metric of every training, NaN where it failed."""
    values = [[content.get("metrics", {}).get(metric, np.nan) for content in row] for row in rows]
    return np.array(values, dtype=float).T


def _mean(values: Values) -> Float64[np.ndarray, "architectures"]:
    """Returns the mean over the seeds that have a value; NaN where none has."""
    known = ~np.isnan(values)
    count = known.sum(0)
    total: Float64[np.ndarray, "architectures"] = np.where(known, values, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _provenance(
    building: Building, done: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """Returns where the numbers of a table come from, as JSON."""
    contents = [content for found in done.values() for content in found]
    complete = len(done) == len(building.selection.networks)
    how = building.selection.how
    environments: list[Any] = []
    for content in contents:
        if (one := content.get("environment")) and one not in environments:
            environments.append(one)
    return {
        **building.origin,
        "seeds": list(building.seeds),
        "networks": len(done),
        "whole": complete and building.selection.whole,
        "architectures": how if complete else f"those trained so far of {how}",
        "seconds": round(sum(content.get("seconds", 0.0) for content in contents), 1),
        "failed": [
            {"architecture": one["architecture"], "seed": one["seed"], "reason": one[FAILED]}
            for one in contents
            if FAILED in one
        ],
        "environments": environments,
    }
