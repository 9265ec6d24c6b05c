"""`with_own_preset`: an updater of a study may name a preset among its options.

Its options and those of its training count for this updater's runs: above the study's preset and
below what is given for all.
"""

from collections.abc import Mapping
from typing import Any

from nastk.base.component import Component, ComponentSpec, Preset
from nastk.base.plugins import catalogue
from nastk.runs.config import named_in
from nastk.runs.evaluating import no_preset

PRESET = "preset"


def with_own_preset(request: Mapping[str, Any], budget: bool = False) -> dict[str, Any]:
    """Returns the request of a run, with what the preset says that its updater names.

    Args:
        request: keys of `SearchConfig`, with the updater as a `ComponentSpec`.
        budget: True if a budget says how many epochs there are, whatever the preset says.

    Raises:
        ConfigurationError: the updater has no such preset for this space and data.

    Example: `with_own_preset({"updater": nastk.use("darts", preset="paper"), "space": "darts"})`
    """
    spec: ComponentSpec = request["updater"]
    if PRESET not in spec.options:
        return dict(request)
    preset = _preset(spec, request)
    given = {name: value for name, value in spec.options.items() if name != PRESET}
    trainer = {
        name: value
        for name, value in preset.trainer_options.items()
        if not (budget and name == "epochs")
    }
    return {
        **request,
        "updater": ComponentSpec(spec.name, {**preset.updater_options, **given}),
        "trainer": {**trainer, **(request.get("trainer") or {})},
    }


def _preset(spec: ComponentSpec, request: Mapping[str, Any]) -> Preset:
    """Returns the preset that an updater names."""
    name = str(spec.options[PRESET])
    updater: type[Component] = catalogue().load("updater", spec.name)
    space, data = (named_in(section, request.get(section)).name for section in ("space", "data"))
    for preset in updater.presets:
        if preset.name == name and preset.fits(space, data):
            return preset
    raise no_preset(f"Updater {spec.name!r}", name, space, data, updater.presets)
