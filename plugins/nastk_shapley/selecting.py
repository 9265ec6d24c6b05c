"""The updater `shapley-select`: another updater searches, then Shapley values decide."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from nastk import Architecture, Continuation, Mixture, PhaseCost, Plan, Preset, Probe, Wrapper
from nastk.train import around, as_weights
from nastk_shapley.measuring import Measuring, table
from nastk_shapley.options import EstimateOptions
from nastk_shapley.presets import ESTIMATE, robust

PRESETS = (
    robust(
        "paper",
        "DARTS+Shapley",
        {
            **around(
                "darts",
                order=1,
                learning_rate=3e-4,
                beta1=0.5,
                beta2=0.999,
                weight_decay=1e-3,
                alpha_init=1e-3,
                warmup=0,
            ),
            **ESTIMATE,
            "risk": 0.0,
        },
    ),
    Preset(
        "quick",
        "small enough to watch; not a published setting",
        updater_options={
            **around("darts", learning_rate=3e-3, warmup=1),
            "samples": 2,
            "batch_size": 64,
        },
    ),
)


class ShapleySelect(Wrapper):
    """Decides by Shapley values after another updater has searched (Xiao et al., CVPR 2022).

    Around `darts` it is the row "DARTS+Shapley" of the paper's table 1.

    Example: `nastk.search(space="s2", updater=nastk.use("shapley-select", inner="drnas"))`
    """

    name = "shapley-select"
    summary = "lets another updater search, then keeps the operations of largest Shapley value"
    needs: ClassVar[frozenset[str]] = frozenset({"valid"})
    presets = PRESETS

    class Options(EstimateOptions, Wrapper.Options):
        """The inner updater, and how values are estimated at the end."""

        keep_last: bool | None = Field(
            False, description="never take out the last operation of an edge"
        )
        mixing: Literal["scores", "uniform"] = Field(
            "scores",
            description="weights to measure under: the inner updater's scores where they are "
            "weights, or all equal",
        )

    values: Float[Tensor, "edges ops"] | None
    """The Shapley values phi (float64, CPU; 0 for dead operations); None until the end."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: makes the inner updater, without values yet."""
        super().setup(rng)
        self.measuring = Measuring(self.space, self.options)
        self.values = None

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: refuses conflicting options, then asks inner."""
        return self.measuring.incompatibility(self.name) or super().incompatibility(plan)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: returns the inner cost plus that of one estimate, forward only."""
        inner = super().max_cost(plan)
        if inner is None:
            return None
        return inner + PhaseCost(images_forward=self.measuring.images(plan.valid_images))

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: asks the inner updater; after the last, estimates values.

        The last epoch is that of the run, or the one in which the inner updater ends its branch.
        """
        continuations = list(super().after_epoch(probe))
        if probe.epoch >= probe.epochs or not continuations:
            estimate = self.measuring.estimate(probe, self._mixture(probe))
            self.values = table(estimate.values, probe.subspace)
            self.measuring.report(probe, estimate)
        return continuations

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: decides by the values, before them as inner."""
        if self.values is None:
            return super().architecture(probe)
        return self.space.decide(self.values, probe.subspace)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by watchers: returns the values, before them the inner updater's scores."""
        if self.values is None:
            return super().scores(probe)
        return self.values.masked_fill(~probe.subspace.mask, torch.nan)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the inner state and the values."""
        return {**super().state_dict(), "values": self.values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the inner updater and the values."""
        super().load_state_dict(state)
        self.values = None if state["values"] is None else state["values"].clone().cpu()

    def _mixture(self, probe: Probe) -> Mixture:
        """Returns the mixture under which values are estimated."""
        scores = self.inner.scores(probe) if self.options.mixing == "scores" else None
        weights = as_weights(scores, probe.subspace)
        return Mixture(weights, probe.subspace.mask).to(self.device)
