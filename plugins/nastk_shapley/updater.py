"""The updater `shapley`: estimates Shapley values after every epoch and moves alpha by them.

`options.py` holds the options, `measuring.py` estimates, `update.py` moves alpha. This module
combines them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Architecture, ArchitectureUpdater, Continuation, Mixture, PhaseCost, Plan, Probe
from nastk.train import TrainedBy
from nastk_shapley.estimate import Estimate
from nastk_shapley.measuring import Measuring, table
from nastk_shapley.options import ShapleyOptions
from nastk_shapley.presets import PRESETS
from nastk_shapley.update import cell_types, charged


class ShapleyValues(ArchitectureUpdater):
    """Moves alpha along the Shapley values of the operations (Xiao et al., CVPR 2022).

    Alpha is never trained by gradient. The weights train under softmax(alpha); after each epoch
    from `warmup` on, the Shapley value phi of every operation is estimated on the valid split, and
    alpha takes a step along a momentum average s of the normalised phi (equations 6 and 7).

    `Shapley` adds the option to train the weights by another updater.
    """

    name = "shapley"
    summary = "moves alpha along the operations' Shapley values"
    needs = frozenset({"valid"})
    presets = PRESETS

    class Options(ShapleyOptions):
        """The options, see `options.py`."""

    alpha: Float[Tensor, "edges ops"]
    """The logits of the mixture: float32, on the device of the supernet, without gradient."""

    average: Float[Tensor, "edges ops"]
    """The momentum average s: float64, on the CPU."""

    values: Float[Tensor, "edges ops"] | None
    """The last Shapley values phi (float64, CPU; 0 for dead operations); None at first."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: draws alpha near 0; s is 0 (official: near 0)."""
        self.settings: ShapleyOptions = self.options.resolved
        self.measuring = Measuring(self.space, self.settings)
        shape = len(self.space.edges), max(len(edge.operations) for edge in self.space.edges)
        alpha = self.settings.alpha_noise * torch.randn(shape, generator=rng)
        self.alpha = alpha.to(self.device)
        noise = torch.randn(shape, generator=rng, dtype=torch.float64)
        self.average = noise * float(self.settings.momentum_noise or 0.0)
        self.values = None

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses runs without updates, conflicting options."""
        if self.settings.penalty > 0 and self.space.costs is None:
            return (
                f"shapley: penalty={self.settings.penalty:g} is on shares of a limit, and the run "
                "has none. Give one, such as --limit params=4M, or leave the penalty out."
            )
        return self.settings.idle(plan.epochs) or self.measuring.incompatibility(self.name)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: returns the most images of all estimates, forward only."""
        estimates = len(self.settings.updates(plan.epochs)) + (self.settings.discretise_by == "phi")
        return PhaseCost(images_forward=estimates * self.measuring.images(plan.valid_images))

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns softmax(alpha)."""
        return [Mixture.softmax(self.alpha, probe.subspace)]

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: after the warm-up, estimates values and moves alpha.

        The subspace does not change.
        """
        moves = probe.epoch in self.settings.updates(probe.epochs)
        if moves or (probe.epoch >= probe.epochs and self.settings.discretise_by == "phi"):
            estimate = self.estimate(probe)
            self.values = table(estimate.values, probe.subspace)
            steps = self._move(probe) if moves else []
            self.measuring.report(probe, estimate, update_norms=steps)
        return [Continuation(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: applies the space's rule to alpha or phi."""
        if self.settings.discretise_by == "phi" and self.values is not None:
            return self.space.decide(self._charged(self.values), probe.subspace)
        return self.space.decide(
            Mixture.softmax(self.alpha, probe.subspace).weights, probe.subspace
        )

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by watchers: returns the last Shapley values phi; NaN for dead operations.

        `none` has 0, except in the game of paths, where it is not a null player.
        """
        if self.values is None:
            return None
        return self.values.masked_fill(~probe.subspace.mask, torch.nan)

    def estimate(self, probe: Probe) -> Estimate:
        """Called by `after_epoch`: returns the Shapley values of the alive operations.

        Raises:
            DivergenceError: the value of a coalition is not finite.
        """
        uniform = self.settings.mixing == "uniform"
        mixture = (
            Mixture.uniform(probe.subspace)
            if uniform
            else Mixture.softmax(self.alpha, probe.subspace)
        )
        return self.measuring.estimate(probe, mixture.to(self.device))

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns alpha, s and the last phi."""
        return {"alpha": self.alpha, "average": self.average, "values": self.values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores alpha, s and the last phi."""
        self.alpha = state["alpha"].clone().to(self.device)
        self.average = state["average"].clone().cpu()
        self.values = None if state["values"] is None else state["values"].clone().cpu()

    def _move(self, probe: Probe) -> list[float]:
        """Moves alpha one step along the new s; returns the step's length for each cell type."""
        types = cell_types(self.space.edges)
        before = self.alpha.double().cpu()
        assert self.values is not None
        after, self.average = self.settings.update_rule().step(
            before, self.average, self._charged(self.values), probe.subspace.mask, types
        )
        self.alpha = after.to(self.alpha)
        return [float(torch.linalg.vector_norm((after - before)[rows])) for rows in types]

    def _charged(self, values: Float[Tensor, "edges ops"]) -> Float[Tensor, "edges ops"]:
        """Returns the values less the penalty on the costs of operations."""
        return charged(values, self.space.costs, self.settings.penalty)


class Shapley(TrainedBy, ShapleyValues):
    """The updater `shapley`: `ShapleyValues` with weights that another updater may train (`train`).

    Example: `nastk.search(space="darts", updater=nastk.use("shapley", samples=20), data="cifar10")`
    """
