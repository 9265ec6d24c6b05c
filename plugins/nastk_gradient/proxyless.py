"""ProxylessNAS: weights train on one drawn path, alpha on two, never on all operations at once.

`gates.py` draws the paths and computes the gradient of alpha from the gates of two.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field

from nastk import Batch, Mixture, PhaseCost, Plan, Preset, Probe, Subspace
from nastk_gradient.gates import path, rescaled, slope_of_alpha, two_paths
from nastk_gradient.relaxed import Relaxed
from nastk_gradient.validation import one_batch_a_step


class Proxyless(Relaxed):
    """ProxylessNAS by gradient, two paths an edge (Cai, Zhu and Han, ICLR 2019, arXiv 1812.00332).

    The option `penalty` together with a limit on latency is the paper's latency term.

    Example: `nastk.search(space="nasbench201", updater="proxyless", data="cifar10")`
    """

    name = "proxyless"
    summary = "draws one path for the weights and two for alpha, whose binary gates have slopes"
    needs: ClassVar[frozenset[str]] = frozenset({"valid"})

    class Options(Relaxed.Options):
        """The options of `Relaxed` with the authors' Adam, and the interval of alpha's steps."""

        learning_rate: float = Field(
            1e-3, gt=0, le=10, description="Adam's learning rate for alpha"
        )
        beta1: float = Field(0.0, ge=0, lt=1, description="Adam's decay of the mean gradient")
        weight_decay: float = Field(
            0.0, ge=0, le=1, description="L2 penalty on alpha, added to its gradient"
        )
        warmup: int = Field(
            1, ge=0, description="epochs that train weights only, before alpha learns"
        )
        every: int = Field(5, ge=1, description="weight steps from one step of alpha to the next")

    presets = (
        Preset(
            "paper",
            "Cai et al., ICLR 2019: settings of the authors' search on ImageNet, "
            "mit-han-lab/proxylessnas, search/imagenet_arch_search.py; 40 of the epochs are its "
            "warm-up",
            data=("imagenet",),
            updater_options={
                "learning_rate": 1e-3,
                "beta1": 0.0,
                "beta2": 0.999,
                "weight_decay": 0.0,
                "alpha_init": 1e-3,
                "warmup": 41,
                "every": 5,
            },
            data_options={"train_fraction": 0.961},
            trainer_options={
                "epochs": 160,
                "batch_size": 256,
                "learning_rate": 0.025,
                "minimum_learning_rate": 0.0,
                "momentum": 0.9,
                "nesterov": True,
                "weight_decay": 4e-5,
                "gradient_clip": None,
            },
        ),
        Preset(
            "quick",
            "not published: ten times the learning rate, and a step of alpha for every weight "
            "step, for runs of some hundred steps",
            updater_options={"learning_rate": 1e-2, "every": 1},
        ),
    )

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns one path, drawn from alpha."""
        return [path(self.alpha.detach(), probe.subspace, probe.rng)]

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: alpha takes a step at every `every`-th of them."""
        if self.learning(probe) and (probe.step + 1) % self.options.every == 0:
            self.compare(probe)

    def compare(self, probe: Probe) -> None:
        """Called for every step of alpha: two operations an edge compete on a validation batch."""
        both, open_gates = two_paths(self.alpha, probe.subspace, probe.rng)
        gates = open_gates.to(self.device, torch.float32).requires_grad_()
        batch = probe.valid.at(probe.step // self.options.every)
        loss = probe.loss(Mixture(gates, both), batch)
        (slopes,) = torch.autograd.grad(loss, gates)  # dL/dg, edges x operations
        before = self.alpha.detach().clone()
        self.learn(slope_of_alpha(slopes, self.alpha.detach(), both), Subspace.of(both))
        # Only the balance between the two may change, not their joint probability.
        with torch.no_grad():
            self.alpha.copy_(rescaled(self.alpha, before, both))

    def max_cost(self, plan: Plan) -> PhaseCost:
        """Called by `--dry-run`: returns the images, exact if the batch size divides the splits."""
        return one_batch_a_step(plan, self.options.warmup, self.options.every)
