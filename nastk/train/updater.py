"""`ArchitectureUpdater`: the interface of search methods, which learn the operations to keep.

For every weight step the trainer calls `before_step`, `mixtures` and, when the step is taken,
`after_step`. After every epoch it calls `after_epoch` and then `architecture`. The results are
values. An updater never calls the trainer; it measures the supernet with the `Probe` (`probe.py`),
which changes nothing.
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
from nastk.train.criterion import CriterionSpec
from nastk.train.probe import Probe


@dataclass(frozen=True)
class CosineRestart:
    """A new cosine learning rate, from `base` to `minimum` over the next `epochs` epochs.

    `base=None` stands for the trainer's `learning_rate`, `minimum=None` for its
    `minimum_learning_rate` (or `base`, if that is lower). If both are equal the rate is constant.
    After the last of `epochs` the rate stays at `minimum`; a branch may also end before. Epochs
    count from the epoch that returned it, so the clock of an updater inside another is irrelevant.

    Example: `Continuation(subspace, schedule=CosineRestart(30, base=0.0025))`
    """

    epochs: int
    base: float | None = None
    minimum: float | None = None


@dataclass(frozen=True)
class Continuation:
    """How a branch goes on: its next subspace, with the present weights or with `fresh` ones.

    With a `schedule` the optimiser restarts: the learning rate follows the schedule from the next
    weight step on, and momentum starts at zero, for fresh and present weights alike. Without a
    schedule present weights keep rate and momentum, and fresh weights start the trainer's own
    cosine over the epochs that are left. Fresh weights begin with the trainer's `warmup_epochs` in
    both cases.
    """

    subspace: Subspace
    fresh: bool = False
    schedule: CosineRestart | None = None


@dataclass(frozen=True)
class Plan:
    """The size of a run, for checks and cost estimates: epochs, steps per epoch, images by split.

    `decides` is False for an updater that only trains the weights while another one decides; its
    `after_epoch` is then not called in the last epoch. `steps_per_epoch` is 0 for an updater that
    trains no supernet. `evaluation` is the most that one `probe.evaluate` costs; None if unknown.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    train_images: int
    valid_images: int
    decides: bool = True
    evaluation: PhaseCost | None = None


class ArchitectureUpdater(
    Component,
    RenamedMethods,
    ABC,
    renamed={"complaint": "incompatibility", "forecast": "max_cost"},
):
    """Learns which operations to keep, from a supernet that the trainer trains.

    Subclasses must define `mixtures` and `architecture`; all other methods have a default. State
    that must survive a resume or a fork goes through `state_dict` and `load_state_dict`: tensors,
    numbers, strings, None, and lists, tuples and dicts of them.

    Args (set by the trainer, kept as attributes):
        space: the space that is searched.
        options: this class's `Options`.
        rng: the branch's own random stream (CPU); during the search it is `probe.rng`.
        device: the device of the supernet; tensors that enter mixtures belong there.

    Example: a search that decides at random.

        class Coin(ArchitectureUpdater):
            name, summary = "coin", "tosses a coin"

            def mixtures(self, probe):
                return [Mixture.uniform(probe.subspace)]

            def architecture(self, probe):
                return self.space.sample(probe.subspace, torch.Generator().manual_seed(probe.epoch))
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    """Splits that the method learns from, e.g. {"valid"}; checked when the run is assembled."""

    trains_supernet: ClassVar[bool] = True
    """False if the method never asks a supernet: then no run of it has one, and its epochs have no
    weight steps. `mixtures`, `before_step` and `after_step` are not called."""

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
        """Called once when the updater is made, before all other methods: create alpha here."""

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when a run is assembled: returns the reason why the plan cannot work, or None.

        An example is a plan with too few epochs for the milestones of the method.
        """
        return None

    def criterion(self) -> CriterionSpec | None:
        """Called when a run is assembled: the evaluator and the metric of `probe.evaluate`.

        None if the updater evaluates no architecture outside of a supernet.
        """
        return None

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run` and budgets: the most images beyond the weight steps of one branch.

        They include the images that the updater measures and, if it splits, the images that the
        other branches train on. None if unknown.
        """
        return None

    @abstractmethod
    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns the mixtures whose mean loss it minimises.

        Must not learn. Random draws come from `probe.rng`. Mixture weights that require gradient
        receive it in the step.
        """

    @abstractmethod
    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: the present decision, inside `probe.subspace`.

        Must not change the updater, nor draw from `probe.rng`.
        """

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called after an epoch by watchers: rates each operation, higher is better.

        The tensor is on the CPU; values are comparable within an edge, and NaN for operations
        without a rating. None if the method rates no operations, or not yet. Must not change the
        updater, nor draw from `probe.rng`.
        """
        return None

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step, with its batch: bi-level updates go here."""

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step; gradients of your tensors (alpha) are still set."""

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: returns the continuations of the branch.

        One with the same subspace continues the branch, a smaller one shrinks it, several split
        it, and an empty list ends it. `probe.epoch` is the number of epochs finished.
        """
        return [Continuation(probe.subspace)]

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns everything that the updater has learned."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the state that `state_dict` returned."""
