"""The settings of the authors' scripts as presets, and a small preset for first runs."""

from nastk import Preset
from nastk.base import study_presets

_SOURCE = "He et al., AAAI 2024, by the authors' code"
_DATA = {"train_fraction": 1.0}
_DARTS = {
    "channels": 16,
    "cells": 8,
    "nodes": 4,
    "stem_multiplier": 3,
    "partial_channels": 1,
    "include_none": True,
    "pool_norm": False,
    "distinct_inputs": False,
}
_TRAINER = {
    "batch_size": 64,
    "learning_rate": 0.025,
    "minimum_learning_rate": 0.001,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
}

PRESETS = (
    Preset(
        "paper",
        f"{_SOURCE} (isdarts_darts.sh)",
        space=("darts",),
        data=("cifar10", "cifar100"),
        space_options=_DARTS,
        updater_options={"shrinks": 7, "interval": 3},
        data_options=_DATA,
        trainer_options={**_TRAINER, "epochs": 50},
    ),
    Preset(
        "paper",
        f"{_SOURCE} (isdarts_darts.sh with imagenet-1k, configs/search-opts/"
        "DARTS-NASNet-IMAGENET.config; as released it stops at its first shrink)",
        space=("darts",),
        data=("imagenet",),
        space_options=_DARTS,
        updater_options={"shrinks": 7, "interval": 3},
        # A tenth of the 1,281,167 training images, all of them for the weights.
        data_options={**_DATA, "limit": 128_116},
        trainer_options={
            **_TRAINER,
            "epochs": 50,
            "batch_size": 256,
            "learning_rate": 0.05,
            "gradient_clip": None,
        },
    ),
    Preset(
        "paper",
        f"{_SOURCE} (isdarts_nasbench.sh)",
        space=("nasbench201",),
        data=("cifar10", "cifar100"),
        space_options={"channels": 16, "cells": 5},
        updater_options={"shrinks": 4, "interval": 2},
        data_options=_DATA,
        trainer_options={**_TRAINER, "epochs": 30},
    ),
    Preset(
        "quick",
        "small enough to watch; not a published setting",
        updater_options={"interval": 1, "batches": 4},
        data_options=_DATA,
        # Eight operations on an edge need seven shrinks, and the first comes after one epoch.
        trainer_options={"epochs": 8},
    ),
    *study_presets({"nasbench201": 26, "nasbench-macro": 13}, train="random", batches=50),
)
