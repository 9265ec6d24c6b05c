"""The updater `shapley`: every epoch an estimate, and alpha moves along it.

`options.py` says what can be set, `measuring.py` estimates, `update.py` moves alpha. This module
puts them in order.
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
    alpha takes one step along a momentum average s of the normalised phi (equations 6 and 7).

    `Shapley` is the same where weights may be trained by another updater.
    """

    name = "shapley"
    summary = "moves alpha along the operations' Shapley values"
    needs = frozenset({"valid"})
    presets = PRESETS

    class Options(ShapleyOptions):
        """See `options.py`."""

    alpha: Float[Tensor, "edges ops"]
    """Logits of the mixture: float32, on the device of the supernet, never with gradient."""

    average: Float[Tensor, "edges ops"]
    """The momentum average s: float64, on the CPU."""

    values: Float[Tensor, "edges ops"] | None
    """The last Shapley values phi (float64, CPU; 0 where no player was); None before any."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: alpha near zero, s zero (official: near zero)."""
        self.settings: ShapleyOptions = self.options.resolved
        self.measuring = Measuring(self.space, self.settings)
        shape = len(self.space.edges), max(len(edge.operations) for edge in self.space.edges)
        alpha = self.settings.alpha_noise * torch.randn(shape, generator=rng)
        self.alpha = alpha.to(self.device)
        noise = torch.randn(shape, generator=rng, dtype=torch.float64)
        self.average = noise * float(self.settings.momentum_noise or 0.0)
        self.values = None

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: a warm-up without updates, options at odds."""
        if self.settings.penalty > 0 and self.space.costs is None:
            return (
                f"shapley: penalty={self.settings.penalty:g} is on shares of a limit, and the run "
                "has none. Give one, such as --limit params=4M, or leave the penalty out."
            )
        return self.settings.idle(plan.epochs) or self.measuring.incompatibility(self.name)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: at most samples * (1 + players) * batch images an estimate.

        They are counted forward only.
        """
        estimates = len(self.settings.updates(plan.epochs)) + (self.settings.discretise_by == "phi")
        return PhaseCost(images_forward=estimates * self.measuring.images(plan.valid_images))

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: softmax(alpha), without gradient."""
        return [Mixture.softmax(self.alpha, probe.subspace)]

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: past the warm-up, estimate and move alpha.

        The subspace stays as it is.
        """
        moves = probe.epoch in self.settings.updates(probe.epochs)
        if moves or (probe.epoch >= probe.epochs and self.settings.discretise_by == "phi"):
            estimate = self.estimate(probe)
            self.values = table(estimate.values, probe.subspace)
            steps = self._move(probe) if moves else []
            self.measuring.report(probe, estimate, update_norms=steps)
        return [Continuation(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the space's rule on softmax(alpha) or phi."""
        if self.settings.discretise_by == "phi" and self.values is not None:
            return self.space.decide(self._charged(self.values), probe.subspace)
        return self.space.decide(
            Mixture.softmax(self.alpha, probe.subspace).weights, probe.subspace
        )

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by those who watch: the last Shapley values phi of what is alive.

        `none` is at 0, but in the game of paths, where it is no null player.
        """
        if self.values is None:
            return None
        return self.values.masked_fill(~probe.subspace.mask, torch.nan)

    def estimate(self, probe: Probe) -> Estimate:
        """Called by `after_epoch`: the Shapley values of what is alive, in their order.

        Raises:
            DivergenceError: a coalition had no finite value.
        """
        equal = self.settings.mixing == "uniform"
        mixture = (
            Mixture.uniform(probe.subspace)
            if equal
            else Mixture.softmax(self.alpha, probe.subspace)
        )
        return self.measuring.estimate(probe, mixture.to(self.device))

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: alpha, s and the last phi."""
        return {"alpha": self.alpha, "average": self.average, "values": self.values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: go on exactly where `state` was taken."""
        self.alpha = state["alpha"].clone().to(self.device)
        self.average = state["average"].clone().cpu()
        self.values = None if state["values"] is None else state["values"].clone().cpu()

    def _move(self, probe: Probe) -> list[float]:
        """One step of alpha along the new s; its length for each cell type."""
        types = cell_types(self.space.edges)
        before = self.alpha.double().cpu()
        assert self.values is not None
        after, self.average = self.settings.update_rule().step(
            before, self.average, self._charged(self.values), probe.subspace.mask, types
        )
        self.alpha = after.to(self.alpha)
        return [float(torch.linalg.vector_norm((after - before)[rows])) for rows in types]

    def _charged(self, values: Float[Tensor, "edges ops"]) -> Float[Tensor, "edges ops"]:
        """The values that alpha moves along: less the penalty on what operations cost."""
        return charged(values, self.space.costs, self.settings.penalty)


class Shapley(TrainedBy, ShapleyValues):
    """The updater `shapley`: `ShapleyValues`, whose weights another updater may train (`train`).

    Example: `nastk.search(space="darts", updater=nastk.use("shapley", samples=20), data="cifar10")`
    """
