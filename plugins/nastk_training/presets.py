"""The published trainings from scratch as presets of `retrain`, and a small one for a first look.

`paper` is the training of the space's authors; the others are named after the method whose authors
trained that way. Options that are given override the preset.
"""

from collections.abc import Mapping
from typing import Any

from nastk import Preset

CELLS = ("darts", "s1", "s2", "s3", "s4")
CIFAR = ("cifar10", "cifar100")

_HEAD = {"network": {"auxiliary": True}, "auxiliary_weight": 0.4, "split": "train+valid"}
_DARTS = {
    **_HEAD,
    "epochs": 600,
    "batch_size": 96,
    "learning_rate": 0.025,
    "weight_decay": 3e-4,
    "gradient_clip": 5.0,
    "drop_path": 0.2,
    "cutout": 16,
}
_WIDER_PATHS = {**_DARTS, "batch_size": 64, "drop_path": 0.3}
_ISDARTS = {**_DARTS, "nesterov": True, "gradient_clip": None, "warmup_epochs": 5}
# Only the networks for CIFAR-10 have 36 channels and 20 cells; those for other data are smaller.
_SMALLER = {
    **_DARTS,
    "network": {"auxiliary": True, "network_channels": 16, "network_cells": 8},
}
_IMAGENET = {
    **_HEAD,
    "epochs": 250,
    "batch_size": 128,
    "learning_rate": 0.1,
    "weight_decay": 3e-5,
    "gradient_clip": 5.0,
    "label_smoothing": 0.1,
    "schedule": "exponential",
    "rate_decay": 0.97,
}
_LINEAR = {**_IMAGENET, "schedule": "linear"}
_LARGE_BATCHES = {**_LINEAR, "batch_size": 1024, "learning_rate": 0.5, "warmup_epochs": 5}
_NASBENCH201 = {
    "epochs": 200,
    "batch_size": 256,
    "learning_rate": 0.1,
    "nesterov": True,
    "weight_decay": 5e-4,
    "gradient_clip": None,
    "split": "train+valid",
}
# Takes seconds on `digits`, and reaches about the accuracy that these images allow.
_QUICK = {"epochs": 15, "batch_size": 32, "learning_rate": 0.1}


def _preset(
    name: str,
    source: str,
    space: tuple[str, ...],
    data: tuple[str, ...],
    options: Mapping[str, Any],
) -> Preset:
    """Returns a preset that sets options of the evaluator."""
    return Preset(name, source, space=space, data=data, evaluator_options=options)


PRESETS = (
    _preset("paper", "DARTS, Liu et al., ICLR 2019: train.py", ("darts",), CIFAR, _DARTS),
    _preset(
        "paper",
        "DARTS-PT, Wang et al., ICLR 2021: eval.sh",
        ("s1", "s2", "s3", "s4"),
        ("cifar10",),
        _DARTS,
    ),
    _preset(
        "paper",
        "DARTS-PT, Wang et al., ICLR 2021: eval-c100.sh, eval-svhn.sh",
        ("s1", "s2", "s3", "s4"),
        ("cifar100", "svhn"),
        _SMALLER,
    ),
    _preset(
        "paper",
        "DARTS, Liu et al., ICLR 2019: train_imagenet.py",
        CELLS,
        ("imagenet",),
        _IMAGENET,
    ),
    _preset(
        "paper",
        "NAS-Bench-201, Dong and Yang, ICLR 2020: CIFAR.config, ImageNet-16.config",
        ("nasbench201",),
        (),
        _NASBENCH201,
    ),
    _preset("shapley", "Shapley-NAS, Xiao et al., CVPR 2022: train.py", CELLS, CIFAR, _WIDER_PATHS),
    _preset(
        "shapley",
        "Shapley-NAS, Xiao et al., CVPR 2022: train_imagenet.py",
        CELLS,
        ("imagenet",),
        _LARGE_BATCHES,
    ),
    _preset("isdarts", "IS-DARTS, He et al., AAAI 2024: NAS-CIFAR.config", CELLS, CIFAR, _ISDARTS),
    _preset(
        "isdarts",
        "IS-DARTS, He et al., AAAI 2024: NAS-IMAGENET.config",
        CELLS,
        ("imagenet",),
        {
            **_IMAGENET,
            "schedule": "cosine",
            "nesterov": True,
            "gradient_clip": None,
            "warmup_epochs": 5,
        },
    ),
    _preset(
        "gm",
        "GM-NAS, Hu et al., ICLR 2022: sota/cnn/train.py, as DARTS",
        CELLS,
        CIFAR,
        _DARTS,
    ),
    _preset("evnas", "EvNAS, Sinha and Chen, 2021: train.py, as DARTS", CELLS, CIFAR, _DARTS),
    _preset(
        "evnas",
        "EvNAS, Sinha and Chen, 2021: train_imagenet.py",
        CELLS,
        ("imagenet",),
        {**_LINEAR, "batch_size": 256},
    ),
    _preset(
        "pcdarts",
        "PC-DARTS, Xu et al., ICLR 2020: train.py",
        CELLS,
        CIFAR,
        {**_DARTS, "drop_path": 0.3},
    ),
    _preset(
        "pcdarts",
        "PC-DARTS, Xu et al., ICLR 2020: train_imagenet.py",
        CELLS,
        ("imagenet",),
        _LARGE_BATCHES,
    ),
    _preset("drnas", "DrNAS, Chen et al., ICLR 2021: train.py", CELLS, CIFAR, _WIDER_PATHS),
    _preset(
        "drnas",
        "DrNAS, Chen et al., ICLR 2021: train_imagenet.py",
        CELLS,
        ("imagenet",),
        {**_LARGE_BATCHES, "batch_size": 768},
    ),
    _preset(
        "quick",
        "nastk: seconds on the digits; a small network, not a published setting",
        CELLS,
        (),
        {**_QUICK, "network": {"network_channels": 8, "network_cells": 4}},
    ),
    _preset(
        "quick",
        "nastk: seconds on the digits; a small network, not a published setting",
        ("nasbench201",),
        (),
        {**_QUICK, "network": {"network_channels": 8, "network_cells": 1}},
    ),
    _preset(
        "quick",
        "nastk: seconds on the digits; a small network, not a published setting",
        ("nasbench-macro",),
        (),
        {**_QUICK, "network": {"network_channels": 8, "network_head_channels": 128}},
    ),
    _preset("quick", "nastk: seconds on the digits; not a published setting", (), (), _QUICK),
)
