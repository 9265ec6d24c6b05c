"""Evaluators as people name them, and the presets that they bring: for `config.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nastk.base import defaults
from nastk.base.component import Component, ComponentSpec, Preset, name_and_options, written
from nastk.base.errors import ConfigurationError, near_miss
from nastk.base.plugins import Catalogue, catalogue


def cheap(installed: Catalogue | None = None) -> list[str]:
    """Those of the evaluators that evaluator where nobody was named which are installed."""
    there = (installed or catalogue()).names("evaluator")
    return [name for name in defaults.EVALUATORS if name in there]


def evaluator_use(given: Any) -> ComponentSpec:
    """An evaluator as people name it: as any component, or as `NAME[,OPTION=VALUE...]`.

    Raises:
        ConfigurationError: it is named in no such way.

    >>> evaluator_use("retrain,epochs=8,rungs=[1,2,4]").options
    {'epochs': 8, 'rungs': [1, 2, 4]}
    """
    if not isinstance(given, str):
        return ComponentSpec.of(given)
    form = (
        f"An evaluator is named as NAME[,OPTION=VALUE...], such as {defaults.EVALUATORS[0]} or "
        f"{defaults.EVALUATORS[0]},batch_size=100"
    )
    name, options = name_and_options(given, form)
    if not name:
        raise ConfigurationError(f"{form}; got {given!r}.")
    return ComponentSpec(name, options)


@dataclass(frozen=True)
class EvaluatorUses:
    """Evaluators for runs on this space and this data (by name), which their presets depend on."""

    space: str
    data: str
    installed: Catalogue

    def config(self, use: ComponentSpec) -> dict[str, Any]:
        """One of them, with every option written out.

        Raises:
            ConfigurationError: an unknown name, option or preset, or a value out of range.
        """
        found = self.installed.load("evaluator", use.name)
        filled = _filled(use, found, self.space, self.data)
        options = found.parse_options(filled.options)
        return {"name": use.name, "options": written(options)}


def _filled(use: ComponentSpec, found: type[Component], space: str, data: str) -> ComponentSpec:
    """`use` with what the preset that its options name says, where they do not say it themselves.

    Raises:
        ConfigurationError: the evaluator has no such preset for this space and data.
    """
    name = use.options.get("preset")
    if name is None or not found.presets:
        return use
    fitting = [one for one in found.presets if one.name == name and one.fits(space, data)]
    if not fitting:
        owner = f"Evaluator {use.name!r}"
        raise no_preset(owner, str(name), space, data, found.presets)
    return ComponentSpec(use.name, {**fitting[0].evaluator_options, **use.options})


def no_preset(
    owner: str, name: str, space: str, data: str, has: Sequence[Preset], *more: str
) -> ConfigurationError:
    """What to say where `owner` has presets, and none called `name` fits.

    `more` are presets that it has besides, each described in words that begin with its name.
    """
    known = [
        f"{one.name} on {', '.join(one.space) or 'any space'} "
        f"with {', '.join(one.data) or 'any data'} ({one.citation})"
        for one in has
    ]
    names = [one.name for one in has]
    hint = near_miss(name, [*names, *(one.split()[0] for one in more)])
    hint = "" if name in names else hint
    return ConfigurationError(
        f"{owner} has no preset {name!r} for space {space!r} with data {data!r}.{hint} "
        f"It has: {'; '.join([*more, *known])}."
    )
