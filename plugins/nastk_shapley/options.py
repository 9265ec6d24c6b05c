"""The options of an estimate, and those of the updater `shapley` with its variants."""

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

from pydantic import Field

from nastk import Options
from nastk.base import EXPERIMENTAL
from nastk.train import NormMode, TrainedByOptions
from nastk_shapley.coalitions import ValueName, likelihood_left
from nastk_shapley.estimate import Rules, share_left
from nastk_shapley.exact import MOST_PLAYERS
from nastk_shapley.update import Normalisation, UpdateRule

Variant = Literal["paper", "official", "official-imagenet"]
GameName = Literal["mixtures", "paths"]

MOST_PATHS = 2**MOST_PLAYERS
"""The most paths that `exact` measures, the same number as of coalitions."""

BY_VARIANT: dict[str, dict[str, Any]] = {
    "paper": {
        "risk": 0.0,
        "normalise": "l2",
        "normalise_momentum": True,
        "momentum_noise": 0.0,
        "warmup": 15,
        "keep_last": False,
    },
    "official": {
        "risk": 1.0,
        "normalise": "zscore",
        "normalise_momentum": False,
        "momentum_noise": 1e-3,
        "warmup": 25,
        "keep_last": False,
    },
}
BY_VARIANT["official-imagenet"] = {**BY_VARIANT["official"], "keep_last": True}
"""The values of unset options: the paper's, or those of the authors' CIFAR or ImageNet script."""


class EstimateOptions(Options):
    """How Shapley values are estimated: the game, the orders and the images."""

    game: GameName = Field(
        "mixtures",
        description=(
            "what a set of operations is worth: the supernet that mixes them, as published, or the "
            "mean path drawn from them (paths)"
        ),
    )
    samples: int = Field(
        10,
        ge=1,
        description=(
            "removal orders for each estimate; game=paths: sets of paths, each with every operation"
        ),
    )
    min_ratio: float = Field(
        0.5,
        ge=0,
        le=1,
        description=(
            "an order stops once less than this share of its full value is left; 0 never stops"
        ),
    )
    unvisited: Literal["zero", "skip"] = Field(
        "zero",
        json_schema_extra=EXPERIMENTAL,
        description="operations that a stopped order did not reach count as zero, or not at all",
    )
    risk: float | None = Field(
        0.0, ge=0, description="standard deviations over orders taken off the mean"
    )
    batch_size: int = Field(
        1024, ge=2, description="images of the valid split for each order; at most all of them"
    )
    share_batch: bool = Field(
        False,
        json_schema_extra=EXPERIMENTAL,
        description="one batch for all orders of an estimate, not a fresh one for each",
    )
    augment: bool = Field(True, description="estimate on augmented images, as the authors do")
    value: ValueName = Field(
        "accuracy",
        json_schema_extra=EXPERIMENTAL,
        description="what a coalition is worth: its accuracy or minus its loss",
    )
    norms: NormMode = Field(
        "batch",
        description=(
            "normalise by the batch's statistics under each coalition, or (frozen) by those that "
            "it has under the grand coalition: faster"
        ),
    )
    antithetic: bool = Field(
        False,
        description=(
            "follow each order by its reverse; needs an even number of samples; game=paths: rounds "
            "of as many sets as an edge has operations, which hold different pairs of operations"
        ),
    )
    connected: bool = Field(
        False,
        description="game=paths: only paths that join input and output count and are measured",
    )
    keep_last: bool | None = Field(False, description="never take out the last of an edge")
    exact: Literal["never", "auto", "always"] = Field(
        "never",
        description=(
            "evaluate all coalitions (or paths) instead of sampling: always, or where it costs no "
            "more (auto)"
        ),
    )
    stable_gap: float = Field(
        0.0,
        ge=0,
        json_schema_extra=EXPERIMENTAL,
        description=(
            "stop sampling once each edge's best leads by this many standard errors; 0 takes all"
        ),
    )

    def rules(self) -> Rules:
        """Returns the rules by which orders are walked and reduced."""
        stops = share_left if self.value == "accuracy" else likelihood_left
        return Rules(self.min_ratio, self.unvisited, self.risk or 0.0, self.antithetic, stops)

    def takes_exact(self, players: int) -> bool:
        """True if all coalitions are evaluated: always, or (auto) if sampling costs no less."""
        if self.exact == "auto":
            return players <= MOST_PLAYERS and 2**players <= self.samples * (1 + players)
        return self.exact == "always"

    def takes_all_paths(self, operations: Sequence[int]) -> bool:
        """True if all paths are measured; `operations` are the numbers on each edge."""
        if self.exact == "auto":
            return bool(prod(operations) <= min(MOST_PATHS, self.samples * max(operations)))
        return self.exact == "always"

    def conflict_of_paths(self, name: str, operations: Sequence[int]) -> str | None:
        """Returns why updater `name` cannot use game=paths with these numbers of `operations`."""
        widest, paths = max(operations), prod(operations)
        if self.norms == "frozen":
            return (
                f"{name}: norms=frozen keeps the statistics of the grand coalition, and game=paths "
                "has none: its paths compute different operations. Use norms=batch."
            )
        if self.antithetic and self.samples % widest:
            return (
                f"{name}: with game=paths, antithetic sets of paths come in rounds of {widest}, "
                f"got samples={self.samples}. Use "
                f"`-u samples={self.samples + widest - self.samples % widest}` or antithetic=false."
            )
        if self.exact == "always" and paths > MOST_PATHS:
            return (
                f"{name}: exact=always measures at most {MOST_PATHS} paths, this space has "
                f"{paths}. Use exact=auto or exact=never."
            )
        return None

    def conflict(self, name: str, players: int) -> str | None:
        """Returns why updater `name` cannot estimate with `players` players; None if it can."""
        if self.connected:
            return (
                f"{name}: connected=true says which paths count, and game=mixtures has no paths. "
                "Use `-u game=paths` or connected=false."
            )
        if self.antithetic and self.samples % 2:
            return (
                f"{name}: antithetic orders come in pairs, got samples={self.samples}. "
                f"Use `-u samples={self.samples + 1}` or antithetic=false."
            )
        if self.keep_last and self.exact != "never":
            return (
                f"{name}: with keep_last a coalition's worth depends on the order, got "
                f"exact={self.exact}. Use exact=never or keep_last=false."
            )
        if self.exact == "always" and players > MOST_PLAYERS:
            return (
                f"{name}: exact=always takes at most {MOST_PLAYERS} operations, this space has "
                f"{players} (2^{players} coalitions). Use exact=auto or exact=never."
            )
        return None


class ShapleyOptions(TrainedByOptions, EstimateOptions):
    """Options of `shapley`. Those that may be unset follow `variant`; `resolved` fills them in."""

    variant: Variant = Field(
        "paper",
        description=(
            "whose settings unset options take: the paper's text, or the authors' script for CIFAR "
            "(official) or for ImageNet (official-imagenet)"
        ),
    )
    risk: float | None = Field(
        None,
        ge=0,
        description=(
            "standard deviations over orders taken off the mean; unset: 0 (paper), 1 (official)"
        ),
    )
    momentum: float = Field(
        0.8, ge=0, lt=1, description="share of the old momentum average kept at each update"
    )
    step_size: float = Field(
        0.1, ge=0, description="how far alpha moves at each update; 0 keeps it where it is"
    )
    warmup: int | None = Field(
        None,
        ge=0,
        description=(
            "epochs of weight training before the first update; unset: 15 (paper), 25 (official)"
        ),
    )
    every: int = Field(1, ge=1, description="epochs from one update to the next")
    normalise: Normalisation | None = Field(
        None,
        description="how values are scaled in each cell type; unset: l2 (paper), zscore (official)",
    )
    normalise_momentum: bool | None = Field(
        None,
        description=(
            "step along the momentum average at length 1; unset: true (paper), false (official)"
        ),
    )
    momentum_noise: float | None = Field(
        None,
        ge=0,
        description=(
            "standard deviation of the first momentum average; unset: 0 (paper), 0.001 (official)"
        ),
    )
    keep_last: bool | None = Field(
        None,
        description=(
            "never take out the last operation of an edge; unset: true (official-imagenet), false"
        ),
    )
    penalty: float = Field(
        0.0,
        ge=0,
        description="taken off a value for each share of the run's limits that its operation takes",
    )
    alpha_noise: float = Field(1e-3, ge=0, description="standard deviation of the first alpha")
    mixing: Literal["alpha", "uniform"] = Field(
        "alpha",
        description="weights under which coalitions are measured: softmax of alpha, or all equal",
    )
    discretise_by: Literal["alpha", "phi"] = Field(
        "alpha",
        description=(
            "decide by alpha, or by the last Shapley values (then estimated once more at the end)"
        ),
    )

    @property
    def resolved(self) -> "ShapleyOptions":
        """A copy in which `variant` fills in unset options; given ones override it."""
        unset = {
            name: value
            for name, value in BY_VARIANT[self.variant].items()
            if getattr(self, name) is None
        }
        return self.model_copy(update=unset)

    def rules(self) -> Rules:
        """Returns the rules by which orders are walked and reduced."""
        return EstimateOptions.rules(self.resolved)

    def update_rule(self) -> UpdateRule:
        """Returns the rule by which values move alpha."""
        full = self.resolved
        assert full.normalise is not None and full.normalise_momentum is not None
        return UpdateRule(self.momentum, self.step_size, full.normalise, full.normalise_momentum)

    def updates(self, epochs: int) -> range:
        """Returns the numbers of finished epochs after which alpha moves, in a run of `epochs`.

        The authors estimate before they train epoch e, counted from 0, which is after e epochs.
        """
        return range(max(self.resolved_warmup, 1), epochs, self.every)

    @property
    def resolved_warmup(self) -> int:
        """The number of epochs before the first update."""
        warmup = self.resolved.warmup
        assert warmup is not None
        return warmup

    def idle(self, epochs: int) -> str | None:
        """Returns why alpha would not move in a run of `epochs`; None if it does, or need not."""
        if self.discretise_by == "phi" or self.updates(epochs):
            return None
        warmup = self.resolved_warmup
        return (
            f"shapley: warmup={warmup} leaves none of {epochs} epochs for alpha to move in. "
            f"Use `-u warmup={epochs // 2}`, or `--epochs {max(warmup, 1) + 1}` or more."
        )
