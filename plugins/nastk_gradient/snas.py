"""SNAS: every step trains a soft sample of the architecture, at a temperature that falls.

`gumbel.py` draws the sample. Alpha learns either from the same loss as the weights (`joint`, as
published) or from validation batches in turn with them (`alternating`).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field

from nastk import Batch, Mixture, PhaseCost, Plan, Preset, Probe
from nastk_gradient.gumbel import annealed, gumbel, relaxed
from nastk_gradient.published import ALPHA, BENCH_SPACE, BENCH_TRAINER, DARTS_SPACE, DARTS_TRAINER
from nastk_gradient.relaxed import Relaxed
from nastk_gradient.validation import one_batch_a_step, slopes


class Snas(Relaxed):
    """Stochastic neural architecture search (Xie et al., ICLR 2019, arXiv 1812.09926).

    The option `penalty` together with a limit is a resource penalty like the paper's.

    Example: `nastk.search(space="darts", updater="snas", data="cifar10")`
    """

    name = "snas"
    summary = "learns a distribution over operations from soft Gumbel samples that cool down"

    class Options(Relaxed.Options):
        """The options of `Relaxed`, the loss that alpha descends, and the temperature."""

        loss: Literal["joint", "alternating"] = Field(
            "joint",
            description="joint: alpha descends the weight step's own loss; "
            "alternating: validation batches",
        )
        alpha_init: float = Field(
            0.01,
            ge=0,
            le=10,
            description="standard deviation of the normal noise alpha starts from",
        )
        alpha_mean: float = Field(
            1.0, ge=-10, le=10, description="mean of the normal noise alpha starts from"
        )
        temperature_start: float = Field(
            1.0, gt=0, le=100, description="temperature of the samples in the first epoch"
        )
        temperature_end: float = Field(
            0.03, gt=0, le=100, description="temperature that the samples cool down to"
        )

    presets = (
        Preset(
            "gm",
            "Hu et al. (GM-NAS), ICLR 2022: the SNAS of its search on NAS-Bench-201, without "
            "splits; skhu101/GM-NAS, WS-GM/nasbench201",
            space=("nasbench201",),
            data=("cifar10",),
            space_options=BENCH_SPACE,
            updater_options={
                **ALPHA,
                "loss": "alternating",
                "alpha_init": 0.01,
                "alpha_mean": 1.0,
                "temperature_start": 1.0,
                "temperature_end": 0.1,
            },
            data_options={"train_fraction": 0.5},
            trainer_options={**BENCH_TRAINER, "epochs": 60, "batch_size": 48},
        ),
        Preset(
            "paper",
            "Xie et al., ICLR 2019: settings of the authors' code, SNAS-Series/SNAS-Series, "
            "without its resource penalty and drop path",
            space=("darts",),
            data=("cifar10",),
            space_options={**DARTS_SPACE, "include_none": True},
            updater_options={
                **ALPHA,
                "loss": "joint",
                "alpha_init": 0.01,
                "alpha_mean": 1.0,
                "temperature_start": 1.0,
                "temperature_end": 0.03,
            },
            data_options={"train_fraction": 1.0},
            trainer_options={**DARTS_TRAINER, "epochs": 150},
        ),
        Preset(
            "quick",
            "not published: ten times the paper's learning rate of alpha, for runs of some hundred "
            "steps",
            updater_options={"learning_rate": 3e-3},
        ),
    )

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: draws alpha around `alpha_mean`."""
        super().setup(rng)
        with torch.no_grad():
            self.alpha.add_(self.options.alpha_mean)

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses a missing split, or as `Relaxed` does."""
        if self.options.loss == "alternating" and plan.valid_images < 2:
            return (
                "snas: loss=alternating learns alpha on the valid split, which is empty. "
                "Set -d train_fraction=0.5, or use `-u loss=joint`."
            )
        return super().incompatibility(plan)

    def temperature(self, probe: Probe) -> float:
        """Called for every sample: returns the temperature of this epoch."""
        start, end = self.options.temperature_start, self.options.temperature_end
        return annealed(start, end, probe.epoch, probe.epochs)

    def mixture(self, probe: Probe) -> Mixture:
        """Called for every step of weights and of alpha: returns a fresh soft sample."""
        noise = gumbel(self.alpha.shape, probe.rng)
        return relaxed(self.alpha, probe.subspace, self.temperature(probe), noise)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns a sample; joint, with a path to alpha."""
        sample = self.mixture(probe)
        joint = self.options.loss == "joint" and self.learning(probe)
        return [sample if joint else sample.detach()]

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: alternating, alpha takes its own step."""
        self.alpha.grad = None
        if self.options.loss == "alternating" and self.learning(probe):
            (gradient,) = slopes(probe, self.mixture(probe), [self.alpha])
            self.learn(gradient, probe.subspace)

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step: joint, alpha steps along that step's gradient."""
        if self.alpha.grad is not None:
            self.learn(self.alpha.grad, probe.subspace)

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: joint, no further image; alternating, a batch for each step."""
        if self.options.loss == "joint":
            return PhaseCost()
        return one_batch_a_step(plan, self.options.warmup)
