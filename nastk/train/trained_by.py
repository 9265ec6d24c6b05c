"""An updater whose weights another one trains: `TrainedBy`, for those that measure.

What a supernet is worth measuring for depends on what trained it: one that was trained by single
paths ranks paths, one that was trained by a mixture does not. So an updater that measures may leave
the training to another (`train=random`) and keep its own measurements and decisions.
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
    """The updater that trains with all its options, so that a config says everything."""
    if value is None:
        return None
    use = ComponentSpec.of(
        ComponentSpec(*name_and_options(value, FORM)) if isinstance(value, str) else value
    )
    return {"name": use.name, "options": complete(use.name, use.options)}


TrainerName = Annotated[dict[str, Any] | None, BeforeValidator(_completed)]
"""Type of the option `train`: a text such as `fair` or `evnas,population=8`, completed."""


class TrainedByOptions(nastk.base.component.Options):
    """Who trains the weights."""

    train: TrainerName = Field(
        None,
        description="updater whose mixtures train the weights, as NAME[,OPTION=VALUE...], such as "
        f"{defaults.BASELINE}; unset: this one's own",
    )


class TrainedBy(ArchitectureUpdater):
    """First base of an updater with the option `train`; the second is the updater itself.

    With `train` another updater, `trains`, is asked what to train, before, at and after each weight
    step, and after each epoch but the last, whose answer nothing trains on any more. What it would
    decide, and in which subspace it would go on, is not asked for or ignored. Without `train` the
    updater is itself, to the bit.

    Example: `class Mine(TrainedBy, MeasuringUpdater)` with `class Options(TrainedByOptions, ...)`.
    """

    trains: ArchitectureUpdater | None
    """The updater that trains; None where this one does."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: this one, then the one that trains."""
        super().setup(rng)
        self.begin_training(rng)

    def begin_training(self, rng: torch.Generator) -> None:
        """Called by `setup`, and where weights start anew: makes the one that trains, if any."""
        self.trains = None
        if self.options.train is not None:
            found = updater_class(self.options.train["name"])
            options = found.parse_options(self.options.train["options"])
            self.trains = found(self.space, options, rng, self.device)

    def branches(self) -> int:
        """Called by `max_cost`: in how many branches weights are trained, at most."""
        return 1

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: this one's, that of who trains, or a missing split."""
        if why := super().incompatibility(plan):
            return why
        if self.trains is None:
            return None
        if "valid" in self.trains.needs and not plan.valid_images:
            return (
                f"{self.name}: train={self.trains.name} learns on the valid split, which is empty. "
                "Use -d train_fraction=0.5, or another updater to train."
            )
        why = self.trains.incompatibility(replace(plan, decides=False))
        return f"{why} (Inside {self.name}, as train={self.trains.name}.)" if why else None

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: this one's, and what the one that trains measures."""
        own = super().max_cost(plan)
        if self.trains is None or own is None:
            return own
        other = self.trains.max_cost(replace(plan, decides=False))
        if other is None:
            return None
        many = self.branches()
        return own + PhaseCost(other.images_forward * many, other.images_backward * many)

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: this one's, then that of who trains."""
        super().before_step(probe, batch)
        if self.trains is not None:
            self.trains.before_step(probe, batch)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: those of who trains."""
        if self.trains is not None:
            return self.trains.mixtures(probe)
        return super().mixtures(probe)  # type: ignore[safe-super]  # the second base has it

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step: that of who trains, then this one's."""
        if self.trains is not None:
            self.trains.after_step(probe)
        super().after_step(probe)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: this one's answer; who trains goes on in it."""
        if self.trains is not None and probe.epoch < probe.epochs:
            self.trains.after_epoch(probe)
        return super().after_epoch(probe)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: this one's, and that of who trains."""
        other = {} if self.trains is None else {"trains": self.trains.state_dict()}
        return {**super().state_dict(), **other}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: both go on exactly where `state` was taken."""
        super().load_state_dict(state)
        if self.trains is not None:
            self.trains.load_state_dict(state["trains"])
