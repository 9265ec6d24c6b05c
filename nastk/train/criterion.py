"""What an updater compares architectures by: `CriterionSpec`, and `Valued`, an answer to it.

An updater that evaluates architectures names an evaluator and a metric. The run makes that
evaluator, without the test split, and `Probe.evaluate` asks it (`evaluator_metric.py`).
`SearchedBy` is the type of an option that names the evaluator.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from nastk.base import defaults
from nastk.base.component import ComponentSpec, named_spec, written
from nastk.base.errors import ConfigurationError
from nastk.base.plugins import catalogue


@dataclass(frozen=True)
class CriterionSpec:
    """The `metric` of an evaluator that an updater searches by; larger is better.

    `metric=None` stands for the first of the evaluator's criteria or, if it has none, for its first
    metric that is not of the test split.

    Example: `CriterionSpec(ComponentSpec("retrain", {"epochs": 8}), "valid_accuracy")`
    """

    evaluator: ComponentSpec
    metric: str | None = None


@dataclass(frozen=True)
class Valued:
    """How good an architecture is: the `value` of an evaluator's `metric`; larger is better."""

    evaluator: str
    metric: str
    value: float


def _completed(value: Any) -> Any:
    """Returns the name and all options of the evaluator, so that configs are complete."""
    if isinstance(value, Mapping) and set(value) == {"name", "options"}:
        spec = ComponentSpec.of(value)
    else:
        example = f"evaluator={defaults.NETWORK_EVALUATORS[-1]},epochs=8"
        spec = named_spec(value, f"The evaluator is NAME[,OPTION=VALUE...], such as {example}")
    evaluator = catalogue().load("evaluator", spec.name)
    return {
        "name": spec.name,
        "options": written(evaluator.parse_options(_filled(spec, evaluator))),
    }


def _filled(spec: ComponentSpec, evaluator: Any) -> Mapping[str, Any]:
    """Returns the options of `spec`; those of a preset that it names come below its own.

    Raises:
        ConfigurationError: no preset of this name is for any space and data.
    """
    name = spec.options.get("preset")
    if name is None or not evaluator.presets:
        return spec.options
    general = [one for one in evaluator.presets if not one.space and not one.data]
    for preset in general:
        if preset.name == name:
            return {**preset.evaluator_options, **spec.options}
    raise ConfigurationError(
        f"Evaluator {spec.name!r} has no preset {name!r} for any space and data, and an updater "
        "does not know its own. Name the options themselves; for any space and data it has: "
        f"{', '.join(one.name for one in general) or 'none'}."
    )


SearchedBy = Annotated[dict[str, Any], BeforeValidator(_completed)]
"""Type of an option that names an evaluator: a text such as `retrain,epochs=8`, completed."""


def evaluator_option(name: str, **options: Any) -> dict[str, Any]:
    """Returns the option `evaluator` of a preset, with all options of the evaluator filled in.

    If the evaluator is not installed, only the given options appear, so that presets can always be
    listed.

    Example: `Preset("quick", "...", updater_options=evaluator_option("retrain", epochs=1))`
    """
    value = {"name": name, "options": options}
    with suppress(ConfigurationError):
        value = _completed(value)
    return {"evaluator": value}


def criterion_spec(evaluator: Mapping[str, Any], metric: str | None) -> CriterionSpec:
    """Returns the criterion of an option of type `SearchedBy` and a metric.

    >>> criterion_spec({"name": "size", "options": {}}, None).evaluator.name
    'size'
    """
    return CriterionSpec(ComponentSpec.of(evaluator), metric)
