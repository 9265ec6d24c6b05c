"""The presets of searches without a supernet."""

from collections.abc import Mapping
from typing import Any

from nastk import Preset
from nastk.base import study_presets
from nastk.train import evaluator_option

NATS = "Dong et al., NATS-Bench, TPAMI 2021: settings of the authors' code"


def quick(**options: Any) -> Preset:
    """Returns the preset for a first look: twenty trainings of one epoch each."""
    evaluator = evaluator_option("retrain", epochs=1, batch_size=32, learning_rate=0.1)
    return Preset(
        "quick",
        "not published: twenty evaluations by one epoch of training, for a first look",
        updater_options={**evaluator, **options},
        trainer_options={"epochs": 20},
    )


NETWORKS = {
    "nasbench201": {"network_channels": 8, "network_cells": 1},
    "nasbench-macro": {"network_channels": 8, "network_head_channels": 128},
}
"""Options of spaces for networks as small as the supernets of the study of nastk."""


def study(epochs: Mapping[str, int], **options: Any) -> tuple[Preset, ...]:
    """Returns the presets `study`: every evaluation is an epoch of training a small network."""
    return tuple(
        preset
        for space, number in epochs.items()
        for preset in study_presets(
            {space: number},
            **evaluator_option(
                "retrain", epochs=1, batch_size=64, learning_rate=0.1, network=NETWORKS[space]
            ),
            **options,
        )
    )
