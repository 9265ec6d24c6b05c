"""DARTS: alpha descends the validation loss while the weights descend the training loss.

Before each weight step alpha takes one Adam step on a fresh validation batch. `hypergradient.py`
computes the gradient, first or second order. `relaxed.py` holds alpha, its Adam and the decision.
"""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from nastk import Batch, PhaseCost, Plan, Preset, Probe
from nastk.base import study_presets
from nastk_gradient.hypergradient import first_order, second_order
from nastk_gradient.published import (
    ALPHA,
    BENCH_SPACE,
    BENCH_TRAINER,
    DARTS_SPACE,
    DARTS_TRAINER,
    HALVES,
)
from nastk_gradient.relaxed import Relaxed


def _paper(name: str, what: str, **options: int | float) -> Preset:
    """Returns the paper's search on CIFAR-10; `options` set the order of the gradient."""
    return Preset(
        name,
        f"Liu et al., ICLR 2019, section 3.1 and appendix A.1.1: {what}",
        space=("darts",),
        data=("cifar10",),
        space_options={**DARTS_SPACE, "include_none": True},
        updater_options={**ALPHA, **options},
        data_options=HALVES,
        trainer_options=DARTS_TRAINER,
    )


def _bench(name: str, what: str, **options: int | float) -> Preset:
    """Returns the NAS-Bench-201 authors' search on CIFAR-10; `options` set the gradient's order."""
    return Preset(
        name,
        f"{what} in Dong and Yang, NAS-Bench-201, ICLR 2020; D-X-Y/AutoDL-Projects, "
        "configs/nas-benchmark/algos/DARTS.config and scripts-search/NAS-Bench-201-algos",
        space=("nasbench201",),
        data=("cifar10",),
        space_options=BENCH_SPACE,
        updater_options={**ALPHA, **options},
        data_options=HALVES,
        trainer_options=BENCH_TRAINER,
    )


_ROBUST = Preset(
    "paper",
    "DARTS, second order, in Zela et al., ICLR 2020; automl/RobustDARTS, scripts/DARTS_search.sh "
    "without drop path (and so without cutout): the row DARTS of the tables on S1 to S4",
    space=("s1", "s2", "s3", "s4"),
    data=("cifar10", "cifar100", "svhn"),
    space_options={"channels": 16, "cells": 8, "partial_channels": 1, "pool_norm": True},
    updater_options={**ALPHA, "order": 2, "epsilon": 0.01},
    data_options=HALVES,
    trainer_options=DARTS_TRAINER,
)


class Darts(Relaxed):
    """Differentiable architecture search (Liu, Simonyan and Yang, ICLR 2019, arXiv 1806.09055).

    With `order=1` the gradient of alpha takes the weights as constants. With `order=2` it also
    follows alpha's effect on the next weight step.

    Example: `nastk.search(space="darts", updater=nastk.use("darts", order=2), data="cifar10")`
    """

    name = "darts"
    summary = "learns a softmax over operations by gradient descent on validation loss"
    needs = frozenset({"valid"})

    class Options(Relaxed.Options):
        """The options of `Relaxed`, and the order of the gradient."""

        order: Literal[1, 2] = Field(
            1, description="1: weights are constants for alpha; 2: look one weight step ahead"
        )
        epsilon: float = Field(
            0.01,
            gt=0,
            le=1,
            description="order 2: length of the finite-difference step in weight space",
        )
        double_precision: bool = Field(
            False,
            description="order 2: compute look-ahead, validation gradient and difference in "
            "float64; on a CPU about 3 times the time",
        )

    presets = (
        _bench("paper", "DARTS, second order,", order=2, epsilon=0.01),
        _bench("paper-first-order", "DARTS, first order,", order=1),
        _paper("paper", "second order, its best result", order=2, epsilon=0.01),
        _paper("paper-first-order", "first order", order=1),
        _ROBUST,
        Preset(
            "quick",
            "not published: ten times the paper's learning rate of alpha, for runs of some hundred "
            "steps",
            updater_options={"order": 1, "learning_rate": 3e-3, "warmup": 1},
        ),
        *study_presets({"nasbench201": 6, "nasbench-macro": 2}, learning_rate=3e-3),
    )

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: alpha takes a step on the next validation batch."""
        if self.learning(probe):
            self.learn(self.gradient(probe, batch), probe.subspace)

    def gradient(self, probe: Probe, batch: Batch) -> Float[Tensor, "edges ops"]:
        """Called for every step of alpha: returns the validation loss's gradient, by `order`."""
        valid = probe.valid.at(probe.step)
        if self.options.order == 1:
            return first_order(probe, self.alpha, valid)
        return second_order(
            probe,
            self.alpha,
            batch,
            valid,
            self.options.epsilon,
            self.options.double_precision,
        )

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: returns the images, exact if the batch size divides the splits."""
        steps = max(plan.epochs - self.options.warmup, 0) * plan.steps_per_epoch
        valid, train = (
            min(plan.batch_size, plan.valid_images),
            min(plan.batch_size, plan.train_images),
        )
        # Second order: the look-ahead step and both sides of the difference are on a train batch.
        images = steps * (valid if self.options.order == 1 else valid + 3 * train)
        return PhaseCost(images_forward=images, images_backward=images)
