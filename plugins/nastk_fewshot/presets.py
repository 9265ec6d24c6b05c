"""The published settings of GM-NAS, those of the authors' code, and a small preset for first runs.

The presets of its searches on ImageNet are in `imagenet.py`.
"""

from collections.abc import Mapping
from typing import Any

from nastk import Preset
from nastk.base import study_presets
from nastk.train import around

_SOURCE = "Hu et al., ICLR 2022"
_DATA = {"train_fraction": 0.5}
_TRAINER = {
    "learning_rate": 0.025,
    "minimum_learning_rate": 0.001,
    "momentum": 0.9,
    "gradient_clip": 5.0,
}
_ALPHA = {"learning_rate": 3e-4, "beta1": 0.5, "beta2": 0.999, "weight_decay": 1e-3}
_COUNTS = {"groups": 2, "batches": 100, "restart": "final", "freeze": True}


# ---------------------------------------------------------------- NAS-Bench-201

BENCH = {
    **_COUNTS,
    "splits": [15, 30],
    # Compares all weights but stem, last norm and classifier: the cells and the two blocks between.
    "scope": "all",
    "leave_out": ["stem", "head"],
}
BENCH_DARTS = around("darts", **_ALPHA, alpha_init=1e-3, warmup=0, order=2)
BENCH_SNAS = around(
    "snas",
    **_ALPHA,
    loss="alternating",
    alpha_init=0.01,
    alpha_mean=1.0,
    temperature_start=1.0,
    temperature_end=0.1,
)
BENCH_RSPS = around("random", rule="rsps", connected=True, candidates=200, batch_size=48)


def _bench(
    name: str, what: str, epochs: int, updater: Mapping[str, Any], weight_decay: float = 5e-4
) -> Preset:
    """Returns a search on NAS-Bench-201's space."""
    return Preset(
        name,
        f"{_SOURCE}: {what}; settings of the authors' scripts",
        space=("nasbench201",),
        data=("cifar10", "cifar100", "imagenet16-120"),
        space_options={"channels": 16, "cells": 5, "affine": False, "exclude_none": False},
        updater_options={**BENCH, **updater},
        data_options=_DATA,
        trainer_options={
            **_TRAINER,
            "epochs": epochs,
            "batch_size": 48,
            "nesterov": True,
            "weight_decay": weight_decay,
            # On paths, undrawn operations have zero gradients in the authors' loop, so that SGD
            # still updates them.
            "resting": updater["inner"] != "random",
        },
    )


# ---------------------------------------------------------------- DARTS

CELLS = {
    **_COUNTS,
    "splits": [2, 4, 6],
    "cells": ["normal"],
    "frozen_mixture": "uniform",
    "scope": "cells",
    # The decision of the authors' code. The default `level` is in neither the paper nor the code.
    "derive": "inner",
}
OFFICIAL = {
    "forcing": "soft",
    "partition": "min-within",
    "edge_rule": "smallest-within",
}
"""Rules of the authors' code on the DARTS space that the paper does not give."""


def cells_darts(order: int) -> dict[str, Any]:
    """Returns the options of DARTS as the inner updater, with equal alpha at first."""
    return around("darts", **_ALPHA, alpha_init=0.0, warmup=0, order=order)


CELLS_SNAS = around(
    "snas",
    **_ALPHA,
    loss="alternating",
    alpha_init=0.0,
    alpha_mean=0.0,
    temperature_start=1.0,
    temperature_end=0.03,
)


def darts_cells(name: str, source: str, epochs: int, updater: Mapping[str, Any]) -> Preset:
    """Returns a search on DARTS's space and CIFAR-10."""
    return Preset(
        name,
        source,
        space=("darts",),
        data=("cifar10",),
        space_options={
            "channels": 16,
            "cells": 8,
            "partial_channels": 1,
            "include_none": False,
            "pool_norm": True,
        },
        updater_options=updater,
        data_options=_DATA,
        trainer_options={
            **_TRAINER,
            "epochs": epochs,
            "batch_size": 64,
            "nesterov": False,
            "weight_decay": 3e-4,
        },
    )


def _cells(name: str, what: str, updater: Mapping[str, Any]) -> Preset:
    """Returns a search of the paper on DARTS's space."""
    source = f"{_SOURCE}: {what}; settings of the authors' scripts"
    return darts_cells(name, source, 21, {**CELLS, **updater})


_HALF_WAY = "leaves end half-way down a cosine as long as the run"

PRESETS: tuple[Preset, ...] = (
    _bench("paper", "DARTS, second order", 60, BENCH_DARTS),
    _bench("paper-snas", "SNAS", 60, BENCH_SNAS),
    _bench("paper-rsps", "RSPS", 90, {**BENCH_RSPS, "splits": [20, 40]}, 1e-4),
    _bench("official", f"DARTS, {_HALF_WAY}", 60, {**BENCH_DARTS, "restart_cosine": 60}),
    _bench("official-snas", f"SNAS, {_HALF_WAY}", 60, {**BENCH_SNAS, "restart_cosine": 60}),
    _bench(
        "official-rsps",
        f"RSPS, {_HALF_WAY}",
        90,
        {**BENCH_RSPS, "splits": [20, 40], "restart_cosine": 90},
        1e-4,
    ),
    _cells("paper", "DARTS, second order", cells_darts(2)),
    _cells("paper-first-order", "DARTS, first order", cells_darts(1)),
    _cells("paper-snas", "SNAS", CELLS_SNAS),
    _cells(
        "official", "DARTS, second order, with the code's own rules", {**cells_darts(2), **OFFICIAL}
    ),
    _cells(
        "official-first-order",
        "DARTS, first order, with the code's own rules",
        {**cells_darts(1), **OFFICIAL},
    ),
    _cells("official-snas", "SNAS, with the code's own rules", {**CELLS_SNAS, **OFFICIAL}),
    Preset(
        "quick",
        "small enough to watch; not a published setting",
        updater_options={"inner_preset": "quick", "batches": 4},
    ),
    *study_presets(
        {"nasbench201": 8, "nasbench-macro": 4},
        **around("random", candidates=100, batch_size=250, batches=4),
        batches=20,
    ),
)
