"""Evaluators as users name them, and their presets: for `config.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nastk.base import defaults
from nastk.base.component import Component, ComponentSpec, Preset, named_spec, written
from nastk.base.errors import ConfigurationError, near_miss
from nastk.base.plugins import Catalogue, catalogue


def cheap(installed: Catalogue | None = None) -> list[str]:
    """Returns the installed ones of the default evaluators, which need only the finished run."""
    offered = (installed or catalogue()).names("evaluator")
    return [name for name in defaults.EVALUATORS if name in offered]


def evaluator_use(given: Any) -> ComponentSpec:
    """Returns the evaluator that a user named: as any component, or as `NAME[,OPTION=VALUE...]`.

    Raises:
        ConfigurationError: `given` has neither form.

    >>> evaluator_use("retrain,epochs=8,rungs=[1,2,4]").options
    {'epochs': 8, 'rungs': [1, 2, 4]}
    """
    example = defaults.EVALUATORS[0]
    return named_spec(
        given,
        f"An evaluator is named as NAME[,OPTION=VALUE...], such as {example} or "
        f"{example},batch_size=100",
    )


@dataclass(frozen=True)
class EvaluatorUses:
    """Resolves evaluators for runs on a space and data (by name), as presets depend on both.

    Example: `EvaluatorUses("darts", "cifar10", catalogue()).config(nastk.use("size"))`
    """

    space: str
    data: str
    installed: Catalogue

    def config(self, use: ComponentSpec) -> dict[str, Any]:
        """Returns an evaluator with every option written out.

        Raises:
            ConfigurationError: an unknown name, option or preset, or a value out of range.
        """
        evaluator = self.installed.load("evaluator", use.name)
        filled = _filled(use, evaluator, self.space, self.data)
        options = evaluator.parse_options(filled.options)
        return {"name": use.name, "options": written(options)}


def _filled(use: ComponentSpec, evaluator: type[Component], space: str, data: str) -> ComponentSpec:
    """Returns `use` with the options of the preset that it names; its own options come first.

    Raises:
        ConfigurationError: the evaluator has no such preset for this space and data.
    """
    name = use.options.get("preset")
    if name is None or not evaluator.presets:
        return use
    fitting = [
        preset for preset in evaluator.presets if preset.name == name and preset.fits(space, data)
    ]
    if not fitting:
        owner = f"Evaluator {use.name!r}"
        raise no_preset(owner, str(name), space, data, evaluator.presets)
    return ComponentSpec(use.name, {**fitting[0].evaluator_options, **use.options})


def no_preset(
    owner: str, name: str, space: str, data: str, has: Sequence[Preset], *more: str
) -> ConfigurationError:
    """Returns the error for an `owner` whose presets include none called `name` that fits.

    `has` are its presets; `more` describes further ones in words that begin with their names.
    """
    known = [
        f"{preset.name} on {', '.join(preset.space) or 'any space'} "
        f"with {', '.join(preset.data) or 'any data'} ({preset.citation})"
        for preset in has
    ]
    names = [preset.name for preset in has]
    hint = near_miss(name, [*names, *(description.split()[0] for description in more)])
    hint = "" if name in names else hint
    return ConfigurationError(
        f"{owner} has no preset {name!r} for space {space!r} with data {data!r}.{hint} "
        f"It has: {'; '.join([*more, *known])}."
    )
