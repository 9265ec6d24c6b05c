"""The published settings of Shapley-NAS, those of its code, and a small preset for first runs.

Options that `variant` decides are left unset, except for warm-ups of a single data set. So a preset
with another `variant` follows that variant in everything.
"""

from collections.abc import Mapping
from typing import Any

from nastk import Preset
from nastk.base import study_presets

_PAPER = "Xiao et al., CVPR 2022"
_CODE = "Euphoria16/Shapley-NAS"
_SPACE = {
    "channels": 16,
    "cells": 8,
    "partial_channels": 4,
    "pool_norm": False,
    "include_none": False,
}
ESTIMATE = {"samples": 10, "min_ratio": 0.5, "batch_size": 1024}
_UPDATER = {**ESTIMATE, "momentum": 0.8, "step_size": 0.1}
_HALVES = {"train_fraction": 0.5}
_TRAINER = {
    "epochs": 50,
    "minimum_learning_rate": 0.0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
}
# The authors' code steps its scheduler before each epoch.
_CODE_TRAINER = {**_TRAINER, "cosine_ahead": True}

# ---------------------------------------------------------------- DARTS


def _cifar(name: str, source: str, variant: str, trainer: Mapping[str, Any]) -> Preset:
    """Returns a search on CIFAR in the space of DARTS."""
    return Preset(
        name,
        source,
        space=("darts",),
        data=("cifar10", "cifar100"),
        space_options=_SPACE,
        updater_options={**_UPDATER, "variant": variant},
        data_options=_HALVES,
        trainer_options={**trainer, "batch_size": 256, "learning_rate": 0.1},
    )


def _imagenet(name: str, source: str, variant: str, trainer: Mapping[str, Any]) -> Preset:
    """Returns a search on a part of ImageNet; its cosine starts with the warm-up of the rate."""
    return Preset(
        name,
        source,
        space=("darts",),
        data=("imagenet",),
        space_options=_SPACE,
        updater_options={**_UPDATER, "variant": variant, "warmup": 25},
        # 10 % of the 1,281,167 training images for the weights and 2.5 % for the values.
        data_options={"limit": 160_146, "train_fraction": 0.8},
        trainer_options={
            **trainer,
            "batch_size": 1024,
            "learning_rate": 0.5,
            "warmup_epochs": 5,
            "warmup_cosine": "scaled",
        },
    )


_DARTS = (
    _cifar("paper", f"{_PAPER}, section 4.1", "paper", _TRAINER),
    _cifar("official", f"the authors' code: {_CODE}, train_search.py", "official", _CODE_TRAINER),
    _imagenet(
        "paper", f"{_PAPER}, section 4.1, and the authors' ImageNet script", "paper", _TRAINER
    ),
    _imagenet(
        "official",
        f"the authors' code: {_CODE}, train_search_imagenet.py",
        "official-imagenet",
        _CODE_TRAINER,
    ),
)

# ---------------------------------------------------------------- NAS-Bench-201

_BENCH = Preset(
    "paper",
    f"{_PAPER}, section 4.1; what it leaves open here (how weights are "
    "trained) as the benchmark's authors trained DARTS",
    space=("nasbench201",),
    data=("cifar10", "cifar100", "imagenet16-120"),
    space_options={"channels": 16, "cells": 5},
    updater_options={**_UPDATER, "variant": "paper"},
    data_options=_HALVES,
    trainer_options={
        **_TRAINER,
        "batch_size": 64,
        "learning_rate": 0.025,
        "minimum_learning_rate": 0.001,
        "nesterov": True,
        "weight_decay": 5e-4,
    },
)

# ---------------------------------------------------------------- S1 to S4, table 1


def robust(name: str, row: str, updater: Mapping[str, Any]) -> Preset:
    """Returns a row of the paper's table 1; the paper gives the table without settings."""
    return Preset(
        name,
        f"{_PAPER}, table 1, row {row}; settings not published: values as in section 4.1, supernet "
        "and weights as ruocwang/darts-pt (darts-sota.sh), on which their code builds",
        space=("s1", "s2", "s3", "s4"),
        data=("cifar10", "cifar100", "svhn"),
        space_options={"channels": 16, "cells": 8, "partial_channels": 1, "pool_norm": True},
        updater_options=updater,
        data_options=_HALVES,
        trainer_options={
            **_TRAINER,
            "batch_size": 64,
            "learning_rate": 0.025,
            "minimum_learning_rate": 0.001,
            "nesterov": False,
        },
    )


_ROBUST = (
    robust("paper", "Shapley-NAS", {**_UPDATER, "variant": "paper"}),
    # Alpha does not move in any of the 50 epochs.
    robust(
        "paper-frozen",
        "DARTS+Shapley*",
        {**ESTIMATE, "variant": "paper", "warmup": 50, "discretise_by": "phi"},
    ),
)


def _study(space: str, epochs: int) -> tuple[Preset, ...]:
    """Returns the preset of the study of nastk: values of paths, measured after all training.

    420 removal orders are whole sets of antithetic ones with three and with five operations.
    """
    return study_presets(
        {space: epochs},
        game="paths",
        train="random",
        connected=True,
        antithetic=True,
        samples=420,
        batch_size=250,
        warmup=epochs,
        discretise_by="phi",
    )


_PUBLISHED_GAME = study_presets(
    {"nasbench201": 11, "nasbench-macro": 4},
    "study-mixtures",
    game="mixtures",
    train=None,
    connected=False,
    antithetic=False,
    samples=10,
    batch_size=250,
    warmup=3,
    discretise_by="alpha",
)

PRESETS = (
    *_DARTS,
    _BENCH,
    *_ROBUST,
    Preset(
        "quick",
        "small enough to watch; not a published setting",
        updater_options={"samples": 2, "batch_size": 64, "warmup": 2, "every": 2},
    ),
    *_study("nasbench201", 28),
    *_study("nasbench-macro", 11),
    *_PUBLISHED_GAME,
)
