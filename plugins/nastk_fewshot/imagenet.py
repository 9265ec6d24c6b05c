"""GM-NAS's searches on ImageNet as presets: around ProxylessNAS, and Once-for-all's kernel stage.

The second is the partition phase only: `docs/updaters/gm.md` says what it leaves out.
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
    # Compares the first convolution and block, the active operation of every other layer, the last
    # convolution and the classifier: inactive operations have zero gradients, which add nothing.
    "scope": "all",
    "leave_out": [],
}
"""Settings of both searches: branches inherit weights, momentum, learning rate and alpha."""

PROXYLESS: Mapping[str, Any] = {
    **_KEPT,
    **around(
        "proxyless",
        learning_rate=1e-3,
        beta1=0.0,
        beta2=0.999,
        weight_decay=0.0,
        alpha_init=1e-3,
        # 40 epochs train weights alone; alpha does not learn in the first epoch after them either.
        warmup=41,
        every=5,
    ),
    # After 40 and 80 epochs that train weights and alpha; 40 of weights alone come before them.
    "splits": [80, 120],
    "groups": [2, 3],
    "freeze": False,
}

OFFICIAL_PROXYLESS: Mapping[str, Any] = {
    "edge_rule": "smallest-within",
    "per_pair": False,
    # For three groups the authors' code takes the first partition it looks at: by kernel size.
    "partition": ["min-within", "listed"],
    "listed": [["mb3_3x3", "mb6_3x3"], ["mb3_5x5", "mb6_5x5"], ["mb3_7x7", "mb6_7x7"]],
}
"""Rules of the authors' code around ProxylessNAS that the paper does not give."""


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
        # Eight devices with 128 images each, and eight times the rate of one, 0.06.
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
