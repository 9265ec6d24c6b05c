"""GM-NAS's searches on ImageNet as presets: around ProxylessNAS, and Once-for-all's kernel stage.

Of the second only the partition is here: `docs/updaters/gm.md` says what it leaves out.
"""

from collections.abc import Mapping
from typing import Any

from nastk import Preset
from nastk.train import around

_SOURCE = "Hu et al., ICLR 2022"
_DATA = {"train_fraction": 0.9922}
"""About 10,000 of the 1,281,167 photos are held out."""

_TRAINER = {"minimum_learning_rate": 0.0, "momentum": 0.9, "nesterov": True, "gradient_clip": None}

_KEPT: Mapping[str, Any] = {
    "batches": 100,
    "restart": "none",
    # First convolution and block, every other layer's active operation, last convolution,
    # classifier: what is not active has no gradient, and adds nothing to a cosine.
    "scope": "all",
    "leave_out": [],
}
"""Branches inherit weights, momentum, learning rate and alpha."""

PROXYLESS: Mapping[str, Any] = {
    **_KEPT,
    **around(
        "proxyless",
        learning_rate=1e-3,
        beta1=0.0,
        beta2=0.999,
        weight_decay=0.0,
        alpha_init=1e-3,
        # 40 epochs of weights alone, and the first of both.
        warmup=41,
        every=5,
    ),
    # After 40 and 80 epochs of weights and alpha, which come after 40 of weights alone.
    "splits": [80, 120],
    "groups": [2, 3],
    "freeze": False,
}

OFFICIAL_PROXYLESS: Mapping[str, Any] = {
    "edge_rule": "smallest-within",
    "per_pair": False,
    # Of three groups the code takes the first that it looks at, kernel by kernel.
    "partition": ["min-within", "listed"],
    "listed": [["mb3_3x3", "mb6_3x3"], ["mb3_5x5", "mb6_5x5"], ["mb3_7x7", "mb6_7x7"]],
}
"""What the authors' code does around ProxylessNAS and the paper does not say."""


def _proxyless(name: str, what: str, updater: Mapping[str, Any]) -> Preset:
    return Preset(
        name,
        f"{_SOURCE}: {what}; settings of the authors' README and code",
        space=("mobilenet",),
        data=("imagenet",),
        space_options={"layout": "proxyless", "norm_epsilon": 1e-3},
        updater_options={**PROXYLESS, **updater},
        data_options=_DATA,
        trainer_options={
            **_TRAINER,
            "epochs": 160,
            "batch_size": 512,
            "learning_rate": 0.025,
            "weight_decay": 4e-5,
        },
    )


_KERNELS = Preset(
    "ofa-kernels",
    f"{_SOURCE}: the partition phase of the search around Once-for-all alone, on separate "
    "kernels and from fresh weights; settings of the authors' code",
    space=("mobilenet",),
    data=("imagenet",),
    space_options={
        "layout": "mobilenetv3",
        "kernels": [3, 5, 7],
        "expansions": [6],
        "skip": False,
        "norm_epsilon": 1e-5,
    },
    updater_options={
        **_KEPT,
        **around("random", rule="rsps", connected=True, candidates=100),
        "splits": [30, 60, 90],
        "groups": 2,
    },
    data_options=_DATA,
    trainer_options={
        **_TRAINER,
        "epochs": 120,
        # Eight devices of 128 images, and eight times their rate of 0.06.
        "batch_size": 1024,
        "learning_rate": 0.48,
        "weight_decay": 3e-5,
    },
)

IMAGENET: tuple[Preset, ...] = (
    _proxyless("paper-proxyless", "ProxylessNAS", {}),
    _proxyless("official-proxyless", "ProxylessNAS, with the code's own rules", OFFICIAL_PROXYLESS),
    _KERNELS,
)
