"""The options of `gm` and `fewshot`, and the objects that are built from them."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nastk.base import EXPERIMENTAL
from nastk.train import InnerName, InnerOptions, TrainedByOptions
from nastk_fewshot.cut import EdgeRule
from nastk_fewshot.matching import Forcing, Matching, Scope
from nastk_fewshot.partition import Partitioner, Rule
from nastk_fewshot.split_schedule import Restart, SplitSchedule, shares

Parts = Annotated[int, Field(ge=2)]


class GmOptions(TrainedByOptions):
    """Options of `gm`; the defaults follow the text of Hu et al. (2022), see `docs/updaters`."""

    shares: ClassVar[tuple[float, ...]] = (0.25, 0.5)
    """The fractions of the run after which it splits if `splits` is unset."""

    inner: InnerName = Field(
        "darts", description="updater that searches in every part, by its name"
    )
    inner_preset: str | None = Field(
        None, description="its preset, for what inner_options leaves open"
    )
    inner_options: InnerOptions = Field(
        default_factory=dict, description='its options, such as {"order": 1}'
    )
    splits: tuple[int, ...] | None = Field(
        None,
        description=(
            "epochs after which every branch splits; empty: never; unset: a quarter and half of all"
        ),
    )
    groups: Parts | tuple[Parts, ...] | Literal["all"] = Field(
        2,
        description=(
            "parts of a split, at least 2; all: one for each operation; or a list, one a split"
        ),
    )
    restart: Restart = Field(
        "final", description="after which splits weights and inner updater start anew"
    )
    restart_cosine: int | None = Field(
        None,
        ge=1,
        description=(
            "epochs of the learning rate's cosine in branches that start anew; unset: those left"
        ),
    )
    freeze: bool = Field(
        True, description="the inner updater learns after the last split only; weights train before"
    )
    frozen_mixture: Literal["inner", "uniform"] = Field(
        "inner", description="what trains while it is frozen: what it would train, or all equally"
    )
    final: int | None = Field(
        None,
        ge=1,
        json_schema_extra=EXPERIMENTAL,
        description="epochs that each leaf trains; unset: to the end of the run",
    )
    edge_rule: EdgeRule = Field(
        "largest-cross",
        description=(
            "edge to split: most distance between groups, least within (official on darts), the "
            "first, a random one, or listed"
        ),
    )
    edges: tuple[str, ...] = Field(
        (),
        json_schema_extra=EXPERIMENTAL,
        description="edge_rule=listed: the edge of each split, by its name",
    )
    cells: tuple[str, ...] = Field(
        (), description="cell types whose edges may be split; empty: all"
    )
    per_pair: bool | None = Field(
        None,
        description=(
            "edges compare by mean distance, not sum; unset: where they differ in operations"
        ),
    )
    partition: Rule | tuple[Rule, ...] = Field(
        "balanced",
        description=(
            "groups: of equal size with least distance within; of any size, cutting least "
            "similarity; of 2 or more with least distance within (official on darts); or listed; "
            "or a list of these, one a split"
        ),
    )
    listed: tuple[tuple[str, ...], ...] = Field(
        (), description="partition=listed: operations of each group by name; the last takes others"
    )
    batches: int = Field(100, ge=1, description="R: training batches that distances are means over")
    batch_size: int | None = Field(
        None, ge=2, description="images in such a batch; unset: the trainer's"
    )
    augment: bool = Field(True, description="measure on augmented images, as the authors do")
    forcing: Forcing = Field(
        "hard",
        description="a forced operation weighs one, or what it weighs in the mixture (official)",
    )
    scope: Scope = Field(
        "cells", description="weights compared: of the other edges' operations, or all others"
    )
    leave_out: tuple[str, ...] = Field(
        (), description="weights whose names begin so are not compared"
    )
    derive: Literal["level", "inner"] = Field(
        "level",
        description=(
            "edges compete for a node's inputs on an equal footing, or as the inner updater decides"
        ),
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        splits = self.splits or ()
        if any(epoch < 1 for epoch in splits) or list(splits) != sorted(set(splits)):
            raise ValueError(f"splits of 1 or more that rise, such as [15, 30] (got {splits})")
        if (self.edge_rule == "listed") != bool(self.edges):
            raise ValueError("edges together with edge_rule=listed, one without the other is void")
        if ("listed" in self._of_splits("partition")) != (len(self.listed) > 1):
            raise ValueError("two or more groups in listed, together with partition=listed")
        if self.restart == "none" and self.restart_cosine is not None:
            raise ValueError("restart=final or all with restart_cosine: none starts nothing anew")
        return self

    def _of_splits(self, name: str) -> tuple[Any, ...]:
        """Returns the values of an option that may be a list with one entry for each split."""
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,)

    @property
    def uniform(self) -> bool:
        """True if all splits follow the same rule: neither groups nor partition is a list."""
        return not isinstance(self.groups, tuple) and not isinstance(self.partition, tuple)

    def miscounted(self, splits: int) -> str | None:
        """Returns which list lacks an entry for each of `splits` splits; None if all fit."""
        for name in ("groups", "partition"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != splits:
                return f"{name} has {len(value)} entries for {splits} splits; it needs one for each"
        return None

    def schedule(self, epochs: int) -> SplitSchedule:
        """Returns when a run of `epochs` splits, and which branches start anew."""
        splits = shares(epochs, self.shares) if self.splits is None else self.splits
        return SplitSchedule(epochs, splits, self.restart, self.freeze, self.final)

    def partitioner(self, split: int) -> Partitioner:
        """Returns the grouping of operations in split number `split`, from 1."""
        groups, rules = self._of_splits("groups"), self._of_splits("partition")
        return Partitioner(
            groups[min(split, len(groups)) - 1], rules[min(split, len(rules)) - 1], self.listed
        )

    @property
    def matching(self) -> Matching:
        """The measurement of distances."""
        return Matching(
            self.batches,
            self.batch_size,
            self.augment,
            self.forcing,
            self.scope,
            self.leave_out,
        )

    @property
    def compares(self) -> bool:
        """True if the rule compares edges, so that all must be measured."""
        return self.edge_rule in ("largest-cross", "smallest-within")
