"""The published settings of EvNAS as presets, and a small preset for first runs."""

from typing import Any

from nastk import Preset
from nastk.base import study_presets

_UPDATER: dict[str, Any] = {
    "population": 50,
    "tournament": 10,
    "elites": 1,
    "mutation": 0.1,
    "batch_size": 1024,
}
_TRAINER: dict[str, Any] = {
    "epochs": 50,
    "batch_size": 64,
    "learning_rate": 0.025,
    "minimum_learning_rate": 0.001,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
}
_DARTS: dict[str, Any] = {"channels": 16, "cells": 8, "include_none": True}
_NASBENCH201: dict[str, Any] = {"channels": 16, "cells": 5}

PRESETS = (
    Preset(
        "paper",
        "Sinha and Chen, GECCO 2021; settings of the authors' code, fitness on plain images",
        space=("darts",),
        data=("cifar10",),
        space_options=_DARTS,
        updater_options=_UPDATER,
        data_options={"train_fraction": 0.5, "cutout": 16},
        trainer_options={**_TRAINER, "nesterov": False},
    ),
    Preset(
        "official",
        "the authors' code: as paper, with fitness on augmented images",
        space=("darts",),
        data=("cifar10",),
        space_options=_DARTS,
        updater_options={**_UPDATER, "augment": True},
        data_options={"train_fraction": 0.5, "cutout": 16},
        trainer_options={**_TRAINER, "nesterov": False},
    ),
    Preset(
        "paper",
        "Sinha and Chen, GECCO 2021; settings of the authors' code",
        space=("nasbench201",),
        data=("cifar10",),
        space_options=_NASBENCH201,
        updater_options=_UPDATER,
        data_options={"train_fraction": 0.5},
        trainer_options={**_TRAINER, "nesterov": True},
    ),
    Preset(
        "quick",
        "small enough to watch; not a published setting",
        updater_options={"population": 8, "tournament": 3, "batch_size": 256},
    ),
    *study_presets(
        {"nasbench201": 13, "nasbench-macro": 5},
        population=20,
        tournament=5,
        batch_size=250,
        batches=4,
    ),
)
