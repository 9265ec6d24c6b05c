"""`Wrapper`: an updater around another one, which delegates all methods to the inner updater.

A method that lets another one search overrides only what it does differently. `updater_class` and
`complete` look up an updater by name and fill in its options; the option types `InnerName` and
`InnerOptions` use them. `as_weights` turns scores into the weights of a mixture.
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
    """Returns the installed updater with this name, to be used inside another one.

    Raises:
        UnknownNameError: no plugin offers it; the message suggests a similar name.
        ConfigurationError: it trains no supernet, which another updater would need.
    """
    updater: type[ArchitectureUpdater] = catalogue().load("updater", name)
    if not updater.trains_supernet:
        raise ConfigurationError(
            f"Updater {name!r} trains no supernet, so it cannot train or search inside another "
            f"updater. Name one that does, such as {defaults.BASELINE}."
        )
    return updater


def complete(name: str, options: Mapping[str, Any], preset: str | None = None) -> dict[str, Any]:
    """Returns all options of an updater as JSON values: those given, then preset, then defaults.

    Raises:
        ConfigurationError: an option or its value is not allowed, or the preset does not exist.
    """
    updater = updater_class(name)
    of_preset = _preset_options(updater, preset) if preset else {}
    parsed = updater.parse_options({**of_preset, **options})
    values: dict[str, Any] = parsed.model_dump(mode="json")
    return values


def around(name: str, **options: Any) -> dict[str, Any]:
    """Returns the options `inner` and `inner_options` of a preset, with all options filled in.

    If the updater is not installed, only the given options appear, so that presets can always be
    listed.

    Example: `Preset("quick", "...", updater_options=around("darts", learning_rate=0.003))`
    """
    try:
        return {"inner": name, "inner_options": complete(name, options)}
    except ConfigurationError:
        return {"inner": name, "inner_options": options}


def _preset_options(updater: type[ArchitectureUpdater], preset: str) -> dict[str, Any]:
    """Returns the options of an updater's preset that holds for any space and data."""
    presets = updater.presets
    known = {entry.name: entry for entry in presets if not entry.space and not entry.data}
    if preset not in known and preset != "quick":  # updaters without `quick` use their defaults
        raise ConfigurationError(
            f"Updater {updater.name!r} has no preset {preset!r} for any space and data."
            f"{near_miss(preset, known)} Known: {', '.join(known) or 'none'}. "
            "Give its options as inner_options."
        )
    return dict(known[preset].updater_options) if preset in known else {}


def as_weights(
    scores: Float[Tensor, "edges ops"] | None, subspace: Subspace
) -> Float[Tensor, "edges ops"]:
    """Returns `scores` if they can be mixture weights, else equal weights.

    Weights are finite and not negative, and no edge sums to more than one.
    """
    alive = subspace.mask
    if scores is not None and bool(torch.isfinite(scores[alive]).all()):
        table = scores.float().masked_fill(~alive, 0.0)
        if bool((table >= 0).all()) and 0 < float(table.sum(-1).max()) <= 1 + 1e-4:
            return table
    return Mixture.uniform(subspace).weights


def _installed(name: str) -> str:
    """Returns `name` itself if it is the name of an installed updater."""
    updater_class(name)
    return name


def _completed(options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    """Returns the options of the updater named by `inner`, completed."""
    # If `inner` itself was invalid there is no updater whose options could be checked.
    inner, preset = info.data.get("inner"), info.data.get("inner_preset")
    return options if inner is None else complete(inner, options, preset)


InnerName = Annotated[str, AfterValidator(_installed)]
"""Type of the option `inner`: the name of an installed updater."""

InnerOptions = Annotated[dict[str, Any], AfterValidator(_completed)]
"""Type of the option `inner_options`: all options of `inner`, so that configs are complete.

It depends on the options `inner` and, if there is one, `inner_preset`, which must come before it.
"""


class Wrapper(ArchitectureUpdater):
    """An updater that delegates all methods to another updater, `inner`; subclasses override some.

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
    """The wrapped updater."""

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: makes `inner`, which may draw random numbers."""
        inner_class = updater_class(self.options.inner)
        options = inner_class.parse_options(self.options.inner_options)
        self.inner = inner_class(self.space, options, rng, self.device)

    def incompatibility(self, plan: Plan) -> str | None:
        """Called when the run is assembled: the reason of `inner`, or a missing valid split."""
        if "valid" in self.inner.needs - self.needs and not plan.valid_images:
            return (
                f"{self.name} around {self.inner.name} learns on the valid split, which is empty. "
                "Use -d train_fraction=0.5, or another inner updater."
            )
        return self.inner.incompatibility(plan)

    def max_cost(self, plan: Plan) -> PhaseCost | None:
        """Called by `--dry-run`: returns the cost of `inner`."""
        return self.inner.max_cost(plan)

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: returns the mixtures of `inner`."""
        return self.inner.mixtures(probe)

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: delegates to `inner`."""
        self.inner.before_step(probe, batch)

    def after_step(self, probe: Probe) -> None:
        """Called once after every weight step: delegates to `inner`."""
        self.inner.after_step(probe)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Called once after every epoch: returns the continuations of `inner`."""
        return self.inner.after_epoch(probe)

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: returns the decision of `inner`."""
        return self.inner.architecture(probe)

    def scores(self, probe: Probe) -> Float[Tensor, "edges ops"] | None:
        """Called by watchers: returns the scores of `inner`."""
        return self.inner.scores(probe)

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: returns the state of `inner`."""
        return {"inner": self.inner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: restores the state of `inner`."""
        self.inner.load_state_dict(state["inner"])
