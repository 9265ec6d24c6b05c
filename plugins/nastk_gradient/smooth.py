"""SmoothDARTS by random smoothing: the weights train under a randomly perturbed mixture.

Alpha learns by the first-order gradient of DARTS, under the unperturbed mixture.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from nastk import Batch, Mixture, PhaseCost, Plan, Preset, Probe
from nastk_gradient.gumbel import annealed
from nastk_gradient.published import ALPHA, BENCH_SPACE, DARTS_SPACE, DARTS_TRAINER, HALVES
from nastk_gradient.relaxed import Relaxed
from nastk_gradient.validation import one_batch_a_step, slopes


def shaken(mixture: Mixture, radius: float, noise: Float[Tensor, "edges ops"]) -> Mixture:
    """Returns `mixture` plus `radius * noise`, clamped to 0 .. 1 and rescaled to a sum of one.

    `noise` lies in -1 .. 1. An edge whose weights are all clamped to 0 keeps its largest operation
    at weight one.
    """
    alive = mixture.active.to(mixture.weights.device)
    # edges x operations
    perturbed = (mixture.weights + radius * noise.to(mixture.weights.device)).detach()
    clamped = perturbed.clamp(0.0, 1.0) * alive
    total = clamped.sum(-1, keepdim=True)
    largest = perturbed.masked_fill(~alive, -torch.inf).argmax(-1, keepdim=True)
    single = torch.zeros_like(clamped).scatter(-1, largest, 1.0) * alive
    rescaled = clamped / total.clamp(min=1e-12)
    return Mixture(torch.where(total > 0, rescaled, single), mixture.active)


class Smooth(Relaxed):
    """SDARTS-RS (Chen and Hsieh, ICML 2020, arXiv 2002.05283): a smoother landscape for alpha.

    Example: `nastk.search(space="darts", updater="smooth", data="cifar10")`
    """

    name = "smooth"
    summary = "DARTS whose weights train under randomly perturbed mixtures (SDARTS-RS)"
    needs: ClassVar[frozenset[str]] = frozenset({"valid"})

    class Options(Relaxed.Options):
        """The options of `Relaxed` and the radius of the perturbation."""

        epsilon_start: float = Field(
            0.03, ge=0, le=1, description="largest perturbation of a weight in the first epoch"
        )
        epsilon_end: float = Field(
            0.3, ge=0, le=1, description="largest perturbation that the epochs grow towards"
        )

    presets = (
        Preset(
            "paper",
            "Chen and Hsieh, ICML 2020; xiangning-chen/SmoothDARTS, nasbench201/train_search.py",
            space=("nasbench201",),
            data=("cifar10", "cifar100"),
            space_options=BENCH_SPACE,
            updater_options={**ALPHA, "epsilon_start": 0.03, "epsilon_end": 0.3},
            data_options=HALVES,
            trainer_options={**DARTS_TRAINER, "epochs": 100},
        ),
        Preset(
            "paper",
            "Chen and Hsieh, ICML 2020; xiangning-chen/SmoothDARTS, sota/cnn, its space s5",
            space=("darts",),
            data=("cifar10",),
            space_options=DARTS_SPACE,
            updater_options={**ALPHA, "epsilon_start": 0.03, "epsilon_end": 0.3},
            data_options=HALVES,
            trainer_options=DARTS_TRAINER,
        ),
        Preset(
            "quick",
            "not published: ten times the paper's learning rate of alpha and one epoch of warm-up, "
            "for runs of some hundred steps",
            updater_options={"learning_rate": 3e-3, "warmup": 1},
        ),
    )

    def radius(self, probe: Probe) -> float:
        """Called for every weight step: returns the radius epsilon of this epoch."""
        start, end = self.options.epsilon_start, self.options.epsilon_end
        return annealed(start, end, probe.epoch, probe.epochs)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns the perturbed mixture."""
        noise = 2 * torch.rand(*self.alpha.shape, generator=probe.rng) - 1
        return [shaken(self.mixture(probe), self.radius(probe), noise)]

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: alpha learns under the unperturbed mixture."""
        if self.learning(probe):
            (gradient,) = slopes(probe, self.mixture(probe), [self.alpha])
            self.learn(gradient, probe.subspace)

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: returns the images, exact if the batch size divides the splits."""
        return one_batch_a_step(plan, self.options.warmup)
