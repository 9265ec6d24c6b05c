"""`TrainedBy`: base class of updaters that let another updater train the weights.

The training decides what a supernet is good for: a supernet trained with single paths ranks paths,
one trained with a mixture does not. An updater that measures may therefore leave the training to
another updater (`train=random`) and keep its own measurements and decisions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import BeforeValidator, Field

import nastk.base.component
from nastk.base import defaults
from nastk.base.component import ComponentSpec, name_and_options
from nastk.base.cost import PhaseCost
from nastk.data.streams import Batch
from nastk.spaces.mixture import Mixture
from nastk.train.probe import Probe
from nastk.train.updater import ArchitectureUpdater, Continuation, Plan
from nastk.train.wrapper import complete, updater_class

FORM = f"The updater that trains is NAME[,OPTION=VALUE...], such as train={defaults.BASELINE}"


def _completed(value: Any) -> Any:
    """Returns the name and all options of the updater that trains, so that configs are complete."""
    if value is None:
        return None
    spec = ComponentSpec.of(
        ComponentSpec(*name_and_options(value, FORM)) if isinstance(value, str) else value
    )
    return {"name": spec.name, "options": complete(spec.name, spec.options)}


TrainerName = Annotated[dict[str, Any] | None, BeforeValidator(_completed)]
"""Type of the option `train`: a text such as `fair` or `evnas,population=8`, completed."""


class TrainedByOptions(nastk.base.component.Options):
    """The updater that trains the weights."""

    train: TrainerName = Field(
        None,
        description="updater whose mixtures train the weights, as NAME[,OPTION=VALUE...], such as "
        f"{defaults.BASELINE}; unset: this one's own",
    )


class TrainedBy(ArchitectureUpdater):
    """First base class of an updater with the option `train`; the second is the updater itself.

    With the option `train`, another updater, `trains`, provides the mixtures of the weight steps.
    Its `before_step`, `mixtures` and `after_step` are called in every step, its `after_epoch` after
    every epoch but the last, which no training follows. Its continuations are ignored, and its
    `architecture` is never called. Without the option the updater is unchanged, bit for bit.

    Example: `class Mine(TrainedBy, MeasuringUpdater)` with `class Options(TrainedByOptions, ...)`.
    """

    trains: ArchitectureUpdater | None
    """The updater that trains the weights; None if this updater does."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: sets up this updater, then `trains`."""
        super().setup(rng)
        self.begin_training(rng)

    def begin_training(self, rng: torch.Generator) -> None:
        """Called by `setup`, and whenever weights start anew: makes `trains`, if there is one."""
        self.trains = None
        if self.options.train is not None:
            trainer_class = updater_class(self.options.train["name"])
            options = trainer_class.parse_options(self.options.train["options"])
            self.trains = trainer_class(self.space, options, rng, self.device)

    def branches(self) -> int:
        """Called by `max_cost`: returns the largest number of branches that train weights."""
        return 1

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: the reason of this updater or of `trains`, or None."""
        if reason := super().incompatibility(plan):
            return reason
        if self.trains is None:
            return None
        if "valid" in self.trains.needs and not plan.valid_images:
            return (
                f"{self.name}: train={self.trains.name} learns on the valid split, which is empty. "
                "Use -d train_fraction=0.5, or another updater to train."
            )
        reason = self.trains.incompatibility(replace(plan, decides=False))
        return f"{reason} (Inside {self.name}, as train={self.trains.name}.)" if reason else None

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: the cost of this updater plus that of `trains` in every branch."""
        own_cost = super().max_cost(plan)
        if self.trains is None or own_cost is None:
            return own_cost
        cost = self.trains.max_cost(replace(plan, decides=False))
        if cost is None:
            return None
        count = self.branches()
        return own_cost + PhaseCost(cost.images_forward * count, cost.images_backward * count)

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: delegates to this updater, then to `trains`."""
        super().before_step(probe, batch)
        if self.trains is not None:
            self.trains.before_step(probe, batch)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: those of `trains`, or else of this updater."""
        if self.trains is not None:
            return self.trains.mixtures(probe)
        return super().mixtures(probe)  # type: ignore[safe-super]  # the second base has it

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step: delegates to `trains`, then to this updater."""
        if self.trains is not None:
            self.trains.after_step(probe)
        super().after_step(probe)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: `trains` learns; returns this updater's continuations."""
        if self.trains is not None and probe.epoch < probe.epochs:
            self.trains.after_epoch(probe)
        return super().after_epoch(probe)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the states of both updaters."""
        of_trainer = {} if self.trains is None else {"trains": self.trains.state_dict()}
        return {**super().state_dict(), **of_trainer}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores this updater and `trains`."""
        super().load_state_dict(state)
        if self.trains is not None:
            self.trains.load_state_dict(state["trains"])
