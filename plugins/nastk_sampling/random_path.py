"""Random search with shared weights: one random path for each step, and a search at the end.

It is the baseline that every one-shot method has to beat. `choice.py` holds the search after the
last epoch.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from nastk import Mixture, Preset, Probe
from nastk.base import study_presets
from nastk_sampling.choice import Choice, ChoiceName, ChoiceOptions, PathUpdater

BY_RULE: dict[str, Choice] = {
    "rsps": Choice("sample", connected=True),
    "spos": Choice("evolution", connected=False),
}
"""The values of unset options: a sample of connected paths, or an evolution over all paths."""


class RandomPath(PathUpdater):
    """Uniform random paths, and a search among them with the supernet's weights.

    `rule="rsps"` takes the best of a random sample (Li and Talwalkar, UAI 2019, arXiv 1902.07638),
    `rule="spos"` the best that an evolution finds (Guo et al., ECCV 2020, arXiv 1904.00420).

    Example: `nastk.search(space="darts", updater=nastk.use("random", rule="spos"), data="cifar10")`
    """

    name = "random"
    summary = "trains a random path a step, then takes the best of some sampled architectures"

    class Options(ChoiceOptions):
        """The rule that is followed, and how architectures are scored."""

        rule: Literal["rsps", "spos"] = Field(
            "rsps", description="whose settings unset options take: RSPS's or SPOS's"
        )
        choice: ChoiceName | None = Field(
            None,
            description="best of a sample or an evolution; unset: sample (rsps), evolution (spos)",
        )
        connected: bool | None = Field(
            None,
            description="draw until a path joins input to output; unset: yes (rsps), no (spos)",
        )

    presets = (
        Preset(
            "paper",
            "RSPS in Dong and Yang, NAS-Bench-201, ICLR 2020; settings of the authors' code",
            space=("nasbench201",),
            data=("cifar10",),
            space_options={"channels": 16, "cells": 5},
            updater_options={
                "rule": "rsps",
                "candidates": 100,
                "connected": False,
                "batch_size": 64,
            },
            data_options={"train_fraction": 0.5},
            trainer_options={
                "epochs": 250,
                "resting": False,
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
            "not published: few candidates, for a first look",
            updater_options={"candidates": 10, "population": 5, "generations": 2, "parents": 2},
        ),
        *study_presets(
            {"nasbench201": 30, "nasbench-macro": 14}, candidates=100, batch_size=250, batches=4
        ),
    )

    @property
    def choice(self) -> Choice:
        """Called after the last epoch and by `max_cost`: the options, or the defaults of `rule`."""
        rule = BY_RULE[self.options.rule]
        connected = self.options.connected
        return Choice(
            self.options.choice or rule.kind, rule.connected if connected is None else connected
        )

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns a path, which the space draws."""
        return [Mixture.of(self.sampler(probe.subspace).draw(probe.rng))]
