"""The published settings of Shapley-NAS as presets, and a small one to try it with."""

from nastk.component import Preset

_SPACE = {
    "channels": 16,
    "cells": 8,
    "partial_channels": 4,
    "pool_norm": False,
    "include_none": False,
}
_UPDATER = {"samples": 10, "min_ratio": 0.5, "momentum": 0.8, "step_size": 0.1, "batch_size": 1024}
_TRAINER = {
    "epochs": 50,
    "minimum_learning_rate": 0.0,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
}

PRESETS = (
    Preset(
        "paper",
        "Xiao et al., CVPR 2022, section 4.1",
        space=("darts",),
        data=("cifar10", "cifar100"),
        space_options=_SPACE,
        updater_options={**_UPDATER, "warmup": 15},
        data_options={"train_fraction": 0.5},
        trainer_options={**_TRAINER, "batch_size": 256, "learning_rate": 0.1},
    ),
    Preset(
        "paper",
        "Xiao et al., CVPR 2022, section 4.1, and the authors' ImageNet script",
        space=("darts",),
        data=("imagenet",),
        space_options=_SPACE,
        updater_options={**_UPDATER, "warmup": 25},
        # 10 % of the 1,281,167 training images for the weights and 2.5 % for the values.
        data_options={"limit": 160_146, "train_fraction": 0.8},
        trainer_options={**_TRAINER, "batch_size": 1024, "learning_rate": 0.5, "warmup_epochs": 5},
    ),
    Preset(
        "paper",
        "Xiao et al., CVPR 2022, section 4.1; what it leaves open here (how weights are "
        "trained) as the benchmark's authors trained DARTS",
        space=("nasbench201",),
        data=("cifar10", "cifar100", "imagenet16-120"),
        space_options={"channels": 16, "cells": 5},
        updater_options={**_UPDATER, "warmup": 15},
        data_options={"train_fraction": 0.5},
        trainer_options={
            "epochs": 50,
            "batch_size": 64,
            "learning_rate": 0.025,
            "minimum_learning_rate": 0.001,
            "momentum": 0.9,
            "nesterov": True,
            "weight_decay": 5e-4,
            "gradient_clip": 5.0,
        },
    ),
    Preset(
        "quick",
        "small enough to watch; not a published setting",
        updater_options={"samples": 2, "batch_size": 64, "warmup": 2, "every": 2},
    ),
)
