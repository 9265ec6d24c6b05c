"""DrNAS: every edge draws its mixture from a Dirichlet distribution with learned parameters."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from nastk import Batch, Mixture, PhaseCost, Plan, Preset, Probe
from nastk.base import study_presets
from nastk_gradient.dirichlet import divergence, mean, sample
from nastk_gradient.published import (
    ALPHA,
    BENCH_DATA,
    BENCH_SPACE,
    DARTS_SPACE,
    DARTS_TRAINER,
    HALVES,
    IMAGENET_PARTS,
    IMAGENET_TRAINER,
)
from nastk_gradient.relaxed import Relaxed
from nastk_gradient.validation import one_batch_a_step, slopes


class DrNas(Relaxed):
    """Dirichlet neural architecture search (Chen et al., ICLR 2021, arXiv 2006.10355).

    Alpha is the paper's beta. The paper's second stage, a wider supernet, is not implemented;
    partial channels are an option of the space.

    Example: `nastk.search(space="nasbench201", updater="drnas", data="cifar10")`
    """

    name = "drnas"
    summary = "draws mixtures from Dirichlet distributions whose concentrations learn"
    needs: ClassVar[frozenset[str]] = frozenset({"valid"})

    class Options(Relaxed.Options):
        """The options of `Relaxed`, the regulariser, and the ranking of operations."""

        regulariser: Literal["l2", "kl"] = Field(
            "l2",
            description="pulls to the even distribution: Adam's penalty on beta, or the divergence",
        )
        weight_decay: float = Field(
            1e-3, ge=0, le=1, description="strength of the regulariser, whichever it is"
        )
        ranking: Literal["mean", "softmax"] = Field(
            "mean",
            description="decide by the distribution's mean, or by the softmax of beta (the code)",
        )

    presets = (
        Preset(
            "paper",
            "Chen et al., ICLR 2021; xiangning-chen/DrNAS, 201-space/train_search.py",
            space=("nasbench201",),
            data=BENCH_DATA,
            space_options=BENCH_SPACE,
            updater_options={**ALPHA, "regulariser": "l2", "ranking": "softmax"},
            data_options=HALVES,
            trainer_options={**DARTS_TRAINER, "epochs": 100},
        ),
        Preset(
            "first-stage",
            "not published as such: the first stage of xiangning-chen/DrNAS, "
            "DARTS-space/train_search.py, run to the end; the second is a wider supernet",
            space=("darts",),
            data=("cifar10",),
            space_options={**DARTS_SPACE, "channels": 36, "cells": 20, "partial_channels": 6},
            updater_options={
                **ALPHA,
                "learning_rate": 6e-4,
                "warmup": 10,
                "regulariser": "l2",
                "ranking": "softmax",
            },
            data_options=HALVES,
            trainer_options={**DARTS_TRAINER, "learning_rate": 0.1, "minimum_learning_rate": 0.0},
        ),
        Preset(
            "first-stage",
            "not published as such: the first stage of xiangning-chen/DrNAS, "
            "DARTS-space/train_search_imagenet.py, run to the end; the second is a wider supernet",
            space=("darts",),
            data=("imagenet",),
            space_options={**DARTS_SPACE, "channels": 48, "cells": 14, "partial_channels": 6},
            updater_options={
                **ALPHA,
                "learning_rate": 6e-3,
                "warmup": 10,
                "regulariser": "l2",
                "ranking": "softmax",
            },
            data_options=IMAGENET_PARTS,
            trainer_options={**IMAGENET_TRAINER, "batch_size": 512, "warmup_cosine": "scaled"},
        ),
        Preset(
            "quick",
            "not published: ten times the paper's learning rate of beta, for runs of some hundred "
            "steps",
            updater_options={"learning_rate": 3e-3},
        ),
        *study_presets({"nasbench201": 6, "nasbench-macro": 2}, learning_rate=3e-3),
    )

    @property
    def decay(self) -> float:
        """Called when Adam is made: returns its L2 penalty, 0 with the divergence instead."""
        return super().decay if self.options.regulariser == "l2" else 0.0

    def mixture(self, probe: Probe) -> Mixture:
        """Called for every step of weights and of beta: returns a fresh sample."""
        return sample(self.alpha, probe.subspace, probe.rng)

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: beta takes a step on the next validation batch."""
        if self.learning(probe):
            (gradient,) = slopes(probe, self.mixture(probe), [self.alpha])
            self.learn(gradient + self.pull(probe), probe.subspace)

    def pull(self, probe: Probe) -> Float[Tensor, "edges ops"]:
        """Called for every step of beta: returns the divergence's gradient; zeros for Adam's L2."""
        if self.options.regulariser == "l2":
            return torch.zeros_like(self.alpha)
        strength: float = self.options.weight_decay
        (gradient,) = torch.autograd.grad(
            strength * divergence(self.alpha, probe.subspace), self.alpha
        )
        return gradient

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"]:
        """Called for every decision and by watchers: returns the mean, or the softmax of beta."""
        if self.options.ranking == "softmax":
            return super().scores(probe)
        return mean(self.alpha.detach(), probe.subspace).weights.cpu()

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: returns the images, exact if the batch size divides the splits."""
        return one_batch_a_step(plan, self.options.warmup)
