"""GDAS: every step trains one operation an edge, drawn by Gumbel's trick so that alpha learns."""

from typing import ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from nastk import Batch, Mixture, PhaseCost, Plan, Preset, Probe
from nastk_gradient.gumbel import annealed, gumbel, relaxed, straight_through
from nastk_gradient.published import ALPHA, BENCH_SPACE, BENCH_TRAINER, DARTS_SPACE, HALVES
from nastk_gradient.relaxed import Relaxed
from nastk_gradient.undrawn import published_slope
from nastk_gradient.validation import one_batch_a_step, slopes

_ALPHA = {**ALPHA, "temperature_start": 10.0, "temperature_end": 0.1}
# In the authors' loop undrawn operations have zero gradients, so that SGD still updates them.
_TRAINER = {**BENCH_TRAINER, "epochs": 250, "resting": False}


class Gdas(Relaxed):
    """Gradient-based search using a differentiable architecture sampler (Dong and Yang, CVPR 2019).

    arXiv 1910.04465. A step computes one operation an edge, which saves time and memory.

    Example: `nastk.search(space="nasbench201", updater="gdas", data="cifar10")`
    """

    name = "gdas"
    summary = "draws one operation an edge by Gumbel's trick; alpha learns through the draw"
    needs: ClassVar[frozenset[str]] = frozenset({"valid"})

    class Options(Relaxed.Options):
        """The options of `Relaxed`, the temperature, and the gradient of undrawn operations."""

        temperature_start: float = Field(
            10.0, gt=0, le=100, description="temperature of the draws in the first epoch"
        )
        temperature_end: float = Field(
            0.1, gt=0, le=100, description="temperature of the draws in the last epoch"
        )
        undrawn: Literal["absent", "constant"] = Field(
            "absent",
            description=(
                "what an operation that was not drawn is for alpha's gradient: not there, or (the "
                "published runs on NAS-Bench-201) one whose output is one everywhere"
            ),
        )

    presets = (
        Preset(
            "paper",
            "GDAS in Dong and Yang, NAS-Bench-201, ICLR 2020; D-X-Y/AutoDL-Projects, "
            "configs/nas-benchmark/algos/GDAS.config and scripts-search/NAS-Bench-201-algos",
            space=("nasbench201",),
            data=("cifar10",),
            space_options=BENCH_SPACE,
            # The authors' cell of NAS-Bench-201 adds the bare weights of undrawn operations to
            # the sum (see `undrawn.py`); their cell of the DARTS space does not.
            updater_options={**_ALPHA, "undrawn": "constant"},
            data_options=HALVES,
            trainer_options=_TRAINER,
        ),
        Preset(
            "paper",
            "the authors' search in the DARTS space; D-X-Y/AutoDL-Projects, "
            "configs/search-opts/GDAS-NASNet-CIFAR.config and configs/search-archs",
            space=("darts",),
            data=("cifar10",),
            space_options={
                **DARTS_SPACE,
                "cells": 6,
                "include_none": True,
                "pool_norm": False,
                "distinct_inputs": False,
            },
            updater_options={**_ALPHA, "undrawn": "absent"},
            data_options=HALVES,
            trainer_options={**_TRAINER, "batch_size": 256},
        ),
        Preset(
            "quick",
            "not published: ten times the paper's learning rate of alpha, for runs of some hundred "
            "steps",
            updater_options={"learning_rate": 3e-3},
        ),
    )

    def temperature(self, probe: Probe) -> float:
        """Called for every draw: returns the temperature of this epoch."""
        start, end = self.options.temperature_start, self.options.temperature_end
        return annealed(start, end, probe.epoch, probe.epochs - 1)

    def mixture(self, probe: Probe) -> Mixture:
        """Called for every step of weights and of alpha: draws one operation for each edge."""
        noise = gumbel(self.alpha.shape, probe.rng)
        return straight_through(relaxed(self.alpha, probe.subspace, self.temperature(probe), noise))

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: alpha takes a step on the next validation batch."""
        if self.learning(probe):
            self.learn(self.gradient(probe), probe.subspace)

    def gradient(self, probe: Probe) -> Float[Tensor, "edges ops"]:
        """Called for every step of alpha: returns the validation loss's gradient, on a new draw.

        Raises:
            PluginError: `undrawn=constant` in a space that computes operations without calling
                their modules.
        """
        drawn = self.mixture(probe)
        if self.options.undrawn == "absent":
            (gradient,) = slopes(probe, drawn, [self.alpha])
            return gradient
        batch = probe.valid.at(probe.step)
        return published_slope(probe, self.space.edges, drawn, self.alpha, batch)

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: returns the images, exact if the batch size divides the splits."""
        return one_batch_a_step(plan, self.options.warmup)
