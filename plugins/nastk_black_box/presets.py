"""The presets of searches without a supernet."""

from typing import Any

from nastk import Preset
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
