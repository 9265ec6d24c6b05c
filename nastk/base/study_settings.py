"""`study_preset` of a space and `study_presets` of an updater: the settings of nastk's study."""

from collections.abc import Mapping
from typing import Any

from nastk.base import defaults
from nastk.base.component import Preset

STUDY, CITATION = "study", "nastk: docs/studies/comparison.md"


def study_presets(
    epochs: Mapping[str, int], name: str = STUDY, /, **updater_options: Any
) -> tuple[Preset, ...]:
    """Returns the presets `study` of an updater: one for each space of the study of nastk.

    `epochs` has what fits into the study's CPU seconds, by space; the spaces' own presets have the
    size of the supernet, the images and the training (docs/studies/comparison.md). A preset of
    another `name` is for `nastk compare --preset study --updater UPDATER,preset=NAME`.

    Example: `presets = (*study_presets({"nasbench201": 40}, candidates=100),)`
    """
    return tuple(
        Preset(
            name,
            CITATION,
            space=(space,),
            data=(defaults.STUDY_DATA,),
            updater_options=updater_options,
            trainer_options={"epochs": number},
        )
        for space, number in epochs.items()
    )


def study_preset(space: str, **space_options: Any) -> Preset:
    """Returns the preset `study` of a space: its supernet's size, and what all spaces share.

    The images and the training are those that docs/studies/cheapest-supernet.md led to; updaters
    add theirs by `study_presets`.

    Example: `presets = (study_preset("nasbench201", channels=8, cells=1),)`
    """
    return Preset(
        STUDY,
        CITATION,
        space=(space,),
        data=(defaults.STUDY_DATA,),
        space_options=space_options,
        data_options={"size": 8, "train_fraction": 0.8},
        trainer_options={
            "batch_size": 64,
            "learning_rate": 0.025,
            "minimum_learning_rate": 0.025,
            "threads": 1,
        },
        evaluators=(defaults.COUNTER,),
    )
