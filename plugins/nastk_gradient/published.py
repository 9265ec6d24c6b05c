"""Settings that several published searches share, for the presets of the updaters."""

from collections.abc import Mapping
from typing import Any

HALVES: Mapping[str, Any] = {"train_fraction": 0.5}
"""Half of the training images trains the weights, the other half the architecture."""

IMAGENET_PARTS: Mapping[str, Any] = {"limit": 160_146, "train_fraction": 0.8}
"""10 % of ImageNet's 1,281,167 training images for weights, 2.5 % for alpha (first in PC-DARTS)."""

IMAGENET_TRAINER: Mapping[str, Any] = {
    "epochs": 50,
    "learning_rate": 0.5,
    "minimum_learning_rate": 0.0,
    "warmup_epochs": 5,
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
}
"""Weight training on `IMAGENET_PARTS`, in train_search_imagenet.py of PC-DARTS and DrNAS."""

ALPHA: Mapping[str, Any] = {
    "learning_rate": 3e-4,
    "beta1": 0.5,
    "beta2": 0.999,
    "weight_decay": 1e-3,
    "alpha_init": 1e-3,
    "warmup": 0,
}
"""Alpha and its Adam in DARTS (Liu et al. 2019, appendix A.1.1) and many later methods."""

DARTS_SPACE: Mapping[str, Any] = {
    "channels": 16,
    "cells": 8,
    "partial_channels": 1,
    "include_none": False,
    "pool_norm": True,
}
"""The supernet of DARTS, with the seven operations that RobustDARTS's followers call S5."""

DARTS_TRAINER: Mapping[str, Any] = {
    "epochs": 50,
    "batch_size": 64,
    "learning_rate": 0.025,
    "minimum_learning_rate": 0.001,
    "momentum": 0.9,
    "nesterov": False,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
}
"""Weight training of DARTS on CIFAR-10 (Liu et al. 2019, appendix A.1.1)."""

BENCH_SPACE: Mapping[str, Any] = {
    "channels": 16,
    "cells": 5,
    "affine": False,
    "exclude_none": False,
}
"""The supernet of NAS-Bench-201's own searches: D-X-Y/AutoDL-Projects, scripts-search."""

BENCH_DATA = ("cifar10", "cifar100", "imagenet16-120")
"""The data sets of NAS-Bench-201, for code that searches on halves of the training images."""

BENCH_TRAINER: Mapping[str, Any] = {**DARTS_TRAINER, "nesterov": True, "weight_decay": 5e-4}
"""Weight training in NAS-Bench-201's own searches: configs/nas-benchmark/algos/DARTS.config."""
