"""An updater around another: `Wrapper`, which passes every question on to the one inside.

A method that lets another one search says only what it does otherwise. `updater_class` and
`complete` find the updater inside by its name and fill in its options, as `InnerName` and
`InnerOptions` do for options; `as_weights` reads its scores as a mixture.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field, ValidationInfo
from torch import Tensor

import nastk.base.component
from nastk.base import defaults
from nastk.base.cost import PhaseCost
from nastk.base.errors import ConfigurationError, near_miss
from nastk.base.plugins import catalogue
from nastk.data.streams import Batch
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.spaces.subspace import Subspace
from nastk.train.probe import Probe
from nastk.train.updater import ArchitectureUpdater, Continuation, Plan


def updater_class(name: str) -> type[ArchitectureUpdater]:
    """The installed updater called `name`.

    Raises:
        UnknownNameError: nobody offers it; says the near miss.
    """
    found: type[ArchitectureUpdater] = catalogue().load("updater", name)
    return found


def complete(name: str, options: Mapping[str, Any], preset: str | None = None) -> dict[str, Any]:
    """All options of updater `name`, as JSON values: those given, its preset's, its defaults.

    Raises:
        ConfigurationError: an option that it does not have or allow, or no such preset.
    """
    found = updater_class(name)
    filled = _preset_options(found, preset) if preset else {}
    values: dict[str, Any] = found.parse_options({**filled, **options}).model_dump(mode="json")
    return values


def around(name: str, **options: Any) -> dict[str, Any]:
    """What a preset says of the updater inside: `inner` with all its options.

    Only those given where it is not installed, so that presets can always be listed.

    Example: `Preset("quick", "...", updater_options=around("darts", learning_rate=0.003))`
    """
    try:
        return {"inner": name, "inner_options": complete(name, options)}
    except ConfigurationError:
        return {"inner": name, "inner_options": options}


def _preset_options(updater: type[ArchitectureUpdater], preset: str) -> dict[str, Any]:
    """What the updater's preset for any space and any data sets of its options."""
    known = {one.name: one for one in updater.presets if not one.space and not one.data}
    if preset not in known and preset != "quick":  # every updater may be asked to be quick
        raise ConfigurationError(
            f"Updater {updater.name!r} has no preset {preset!r} for any space and data."
            f"{near_miss(preset, known)} Known: {', '.join(known) or 'none'}. "
            "Give its options as inner_options."
        )
    return dict(known[preset].updater_options) if preset in known else {}


def as_weights(
    scores: Float[Tensor, "edges ops"] | None, subspace: Subspace
) -> Float[Tensor, "edges ops"]:
    """`scores` where they are weights: not negative, no edge above one. Else all are equal."""
    alive = subspace.mask
    if scores is not None and bool(torch.isfinite(scores[alive]).all()):
        table = scores.float().masked_fill(~alive, 0.0)
        if bool((table >= 0).all()) and 0 < float(table.sum(-1).max()) <= 1 + 1e-4:
            return table
    return Mixture.uniform(subspace).weights


def _installed(name: str) -> str:
    updater_class(name)
    return name


def _completed(options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    # Where `inner` itself was refused there is nobody to ask.
    inner, preset = info.data.get("inner"), info.data.get("inner_preset")
    return options if inner is None else complete(inner, options, preset)


InnerName = Annotated[str, AfterValidator(_installed)]
"""Type of the option `inner`: the name of an installed updater."""

InnerOptions = Annotated[dict[str, Any], AfterValidator(_completed)]
"""Type of the option `inner_options`: every option of `inner`, so that a config says everything.

The options before it are read: `inner`, and `inner_preset` where there is one.
"""


class Wrapper(ArchitectureUpdater):
    """An updater whose answers are those of another, `inner`, unless it says otherwise.

    Example: a search whose first epochs train all operations equally.

        class Calm(Wrapper):
            name, summary = "calm", "trains all operations equally, then lets another search"

            def mixtures(self, probe):
                calm = probe.epoch < 5
                return [Mixture.uniform(probe.subspace)] if calm else super().mixtures(probe)
    """

    class Options(nastk.base.component.Options):
        """The updater inside."""

        inner: InnerName = Field(
            defaults.INNER_UPDATER, description="the updater inside, by its name"
        )
        inner_options: InnerOptions = Field(
            default_factory=dict, description='its options, such as {"learning_rate": 0.003}'
        )

    needs: ClassVar[frozenset[str]] = frozenset()

    inner: ArchitectureUpdater
    """The updater inside."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: makes the one inside, which may draw."""
        found = updater_class(self.options.inner)
        options = found.parse_options(self.options.inner_options)
        self.inner = found(self.space, options, rng, self.device)

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: inner's, or a split that it needs and has not."""
        if "valid" in self.inner.needs - self.needs and not plan.valid_images:
            return (
                f"{self.name} around {self.inner.name} learns on the valid split, which is empty. "
                "Use -d train_fraction=0.5, or another inner updater."
            )
        return self.inner.incompatibility(plan)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: inner's."""
        return self.inner.max_cost(plan)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: inner's."""
        return self.inner.mixtures(probe)

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: inner's."""
        self.inner.before_step(probe, batch)

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step: inner's."""
        self.inner.after_step(probe)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: inner's answer."""
        return self.inner.after_epoch(probe)

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: inner's."""
        return self.inner.architecture(probe)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by those who watch: inner's."""
        return self.inner.scores(probe)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: inner's state."""
        return {"inner": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: inner goes on exactly where `state` was taken."""
        self.inner.load_state_dict(state["inner"])
