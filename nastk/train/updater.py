"""Learns which operations to keep: `ArchitectureUpdater`, the interface of every search method.

The trainer asks in this order, for every weight step: `before_step`, `mixtures`, (it takes the
step), `after_step`; after every epoch: `after_epoch`; and `architecture` whenever somebody wants to
know. Answers are values. An updater never calls the trainer; what it wants to know of the supernet
it asks of the `Probe` (`probe.py`), which measures everything and changes nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.base.component import Component
from nastk.base.cost import PhaseCost
from nastk.base.renamed import RenamedMethods
from nastk.data.streams import Batch
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace
from nastk.train.probe import Probe


@dataclass(frozen=True)
class CosineRestart:
    """A learning rate that begins anew: from `base` to `minimum` over the next `epochs` epochs.

    What is None is the trainer's: its `learning_rate`, and its `minimum_learning_rate` (or `base`
    if that is lower). Equal ones make it constant. After its end it stays at `minimum`; a branch
    may also stop before. It counts from where it is answered, so an updater inside another, whose
    clock is not the run's, says the same.

    Example: `Continuation(subspace, schedule=CosineRestart(30, base=0.0025))`
    """

    epochs: int
    base: float | None = None
    minimum: float | None = None


@dataclass(frozen=True)
class Continuation:
    """Go on in this subspace, with the weights trained so far or with fresh ones.

    With a `schedule` the optimiser begins anew under it: the rate follows it from the next weight
    step on, and momentum starts at zero, whether weights are fresh or not. Without one, rate and
    momentum go on as they were; fresh weights begin anew with the trainer's own cosine over the
    epochs that are left. The trainer's `warmup_epochs` come before either, but only for fresh
    weights.
    """

    subspace: Subspace
    fresh: bool = False
    schedule: CosineRestart | None = None


@dataclass(frozen=True)
class Plan:
    """What a run intends, for checks and forecasts: epochs, steps an epoch, images by split.

    `decides` is False where an updater only trains and another one decides: the last epoch's
    `after_epoch` is then never called.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    train_images: int
    valid_images: int
    decides: bool = True


class ArchitectureUpdater(
    Component,
    RenamedMethods,
    ABC,
    renamed={"complaint": "incompatibility", "forecast": "max_cost"},
):
    """Learns which operations to keep, from a supernet that the trainer trains.

    Two questions must be answered (`mixtures`, `architecture`); everything else has a harmless
    default. State that must survive a resume or a fork goes through `state_dict` /
    `load_state_dict`: tensors, numbers, strings, None, and lists, tuples and dicts of them.

    Args (set by the trainer, kept as attributes):
        space: the space that is searched.
        options: this class's `Options`.
        rng: the branch's own random stream (CPU); during the search it is `probe.rng`.
        device: where the supernet lives; keep tensors that enter mixtures there.

    Example: a search that decides by a coin.

        class Coin(ArchitectureUpdater):
            name, summary = "coin", "tosses a coin"

            def mixtures(self, probe):
                return [Mixture.uniform(probe.subspace)]

            def architecture(self, probe):
                return self.space.sample(probe.subspace, torch.Generator().manual_seed(probe.epoch))
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    """Splits that this method needs to learn, e.g. {"valid"}; checked when the run is assembled."""

    def __init__(
        self,
        space: SearchSpace,
        options: Any,
        rng: torch.Generator,
        device: torch.device | str = "cpu",
    ) -> None:
        self.space = space
        self.options = options
        self.device = torch.device(device)
        self.setup(rng)

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made, before all else: create alpha and the like here."""

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when a run is assembled: why this plan cannot work, or None if it can.

        For example, whether the epochs suffice for its milestones.
        """
        return None

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run` and budgets: the most images beyond the weight steps of one branch.

        Those that the updater measures, and, where it splits, those that the other branches train
        on. None if unknown.
        """
        return None

    @abstractmethod
    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: what it trains (several: the mean of their losses).

        Must not learn. Random draws come from `probe.rng`. Weights that carry gradient get it.
        """

    @abstractmethod
    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the decision as of now, inside `probe.subspace`.

        Must not change the updater, nor draw from `probe.rng`.
        """

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called after an epoch by those who watch: how each operation is rated, higher is better.

        On the CPU, comparable within an edge; NaN where an operation is not rated. None where this
        method rates no operations, or not yet. Must not change the updater, nor draw from
        `probe.rng`.
        """
        return None

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step, with its batch: bi-level updates go here."""

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step; your own tensors' gradients are still there."""

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: in which subspaces to go on.

        The same subspace means continue, a smaller one shrink, several a split, none the end of the
        branch. `probe.epoch` is the number of epochs finished.
        """
        return [Continuation(probe.subspace)]

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: everything the updater has learned."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: go on exactly where `state` was taken."""
