"""Alpha and its Adam: `Relaxed`, the base of updaters that learn one logit for each operation.

A subclass computes the gradient of alpha (in `before_step`, which passes it to `learn`) and, if its
mixture is not the softmax of alpha, overrides `mixture`. The simplest of them is `darts.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

import nastk
from nastk import (
    Architecture,
    ArchitectureUpdater,
    Continuation,
    DivergenceError,
    Mixture,
    Plan,
    Probe,
    Subspace,
)
from nastk_gradient.learned import Learned


class Relaxed(ArchitectureUpdater):
    """Learns `alpha` (edges x operations) with Adam; the softmax of a row is its edge's mixture.

    Operations that were removed from the subspace keep their logit: neither gradient nor weight
    decay moves it.

    Example: `class Mine(Relaxed)` whose `before_step` calls `self.learn(gradient, probe.subspace)`.
    """

    class Options(nastk.Options):
        """Alpha's optimiser; the defaults are those of DARTS (Liu et al. 2019, appendix A.1.1)."""

        learning_rate: float = Field(
            3e-4, gt=0, le=10, description="Adam's learning rate for alpha"
        )
        beta1: float = Field(0.5, ge=0, lt=1, description="Adam's decay of the mean gradient")
        beta2: float = Field(
            0.999, ge=0, lt=1, description="Adam's decay of the mean squared gradient"
        )
        weight_decay: float = Field(
            1e-3, ge=0, le=1, description="L2 penalty on alpha, added to its gradient"
        )
        alpha_init: float = Field(
            1e-3,
            ge=0,
            le=10,
            description="standard deviation of the normal noise alpha starts from",
        )
        warmup: int = Field(
            0, ge=0, description="epochs that train weights only, before alpha learns"
        )
        penalty: float = Field(
            0.0,
            ge=0,
            description="loss added for the expected cost, as a share of the run's limits",
        )

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: draws alpha from `rng` and makes its optimiser."""
        rows, columns = (
            len(self.space.edges),
            max(len(edge.operations) for edge in self.space.edges),
        )
        noise = torch.randn(rows, columns, generator=rng)
        self._alpha = self.learned((self.options.alpha_init * noise).to(self.device))
        self.alpha: Float[Tensor, "edges ops"] = self._alpha.value

    def learned(self, start: Float[Tensor, "..."]) -> Learned:
        """Called for alpha and for other learned tensors: returns `start` with its own Adam."""
        betas = (self.options.beta1, self.options.beta2)
        return Learned(start, self.options.learning_rate, betas, self.decay)

    @property
    def decay(self) -> float:
        """Called when Adam is made: returns its L2 penalty."""
        return float(self.options.weight_decay)

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses a penalty without a limit, or all warm-up."""
        if self.options.penalty > 0 and self.space.costs is None:
            return (
                f"{self.name}: penalty={self.options.penalty:g} is on shares of a limit, and the "
                "run has none. Give one, such as --limit params=4M, or leave the penalty out."
            )
        if self.options.warmup < plan.epochs:
            return None
        return (
            f"{self.name}: warmup={self.options.warmup} leaves alpha no epoch of {plan.epochs} to "
            f"learn in. Use `-u warmup={plan.epochs - 1}` or less, or "
            f"`--epochs {self.options.warmup + 1}` or more."
        )

    def mixture(self, probe: Probe) -> Mixture:
        """Called for every mixture: returns the softmax of alpha, differentiable in alpha."""
        return Mixture.softmax(self.alpha, probe.subspace)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns the mixture, detached from alpha."""
        return [self.mixture(probe).detach()]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: applies the space's rule to `scores`."""
        return self.space.decide(self.scores(probe), probe.subspace)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"]:
        """Called for every decision and by watchers: returns the softmax of alpha, on the CPU."""
        return Mixture.softmax(self.alpha.detach(), probe.subspace).weights.cpu()

    def learning(self, probe: Probe) -> bool:
        """Called before a gradient is computed: True if the warm-up is over."""
        return probe.epoch >= int(self.options.warmup)

    def learn(self, gradient: Float[Tensor, "edges ops"], subspace: Subspace) -> None:
        """Called with each gradient of alpha: takes an Adam step on the alive operations."""
        if self.options.penalty > 0 and self.space.costs is not None:
            slope = expected_cost_slope(self.alpha.detach(), self.space.costs, subspace)
            gradient = gradient + self.options.penalty * slope
        self._alpha.step(gradient, subspace.mask)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: goes on in the same subspace, if alpha is finite.

        Raises:
            DivergenceError: alpha is no longer finite.
        """
        if not torch.isfinite(self.alpha).all():
            raise DivergenceError(
                f"{self.name}: alpha is not finite after epoch {probe.epoch} (step {probe.step}). "
                f"Lower the learning rate of the weights, or of alpha (`-u learning_rate`, now "
                f"{self.options.learning_rate:g})."
            )
        return [Continuation(probe.subspace)]

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns alpha and the state of its Adam."""
        return {"alpha": self.alpha.detach().clone(), "adam": self._alpha.moments()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores alpha and Adam, copied from `state`."""
        self._alpha.load(state["alpha"], state["adam"])


def expected_cost_slope(
    alpha: Float[Tensor, "edges ops"], costs: Float[Tensor, "edges ops"], subspace: Subspace
) -> Float[Tensor, "edges ops"]:
    """Returns d/dalpha of the expected cost E = sum of p * C, p the softmax of alpha.

    On an edge dE/dalpha_o = p_o * (C_o - sum_q p_q * C_q), over alive operations. C_o is the share
    of the limits that operation o takes, so this is the latency term of ProxylessNAS (Cai et al.
    2019, section 3.3).
    """
    shares = Mixture.softmax(alpha, subspace).weights
    costs = costs.to(shares)
    return shares * (costs - (shares * costs).sum(-1, keepdim=True))
