"""What a run is asked to do: command line, config file and Python API become one `SearchConfig`.

`resolve` checks every name and option against what is installed, fills in the preset where the user
said nothing, and writes out every default, so that a run folder's `config.json` says everything and
can be run again. Layers, weakest first: defaults, preset, config file, command line or API.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field

from nastk.base import defaults
from nastk.base.component import ComponentSpec, Options, Preset, parse, written
from nastk.base.errors import ConfigurationError, UnreadableError, near_miss
from nastk.base.plugins import Catalogue, catalogue
from nastk.base.reading import json_value, read_text
from nastk.base.reading_yaml import yaml_value
from nastk.base.spending import spending
from nastk.data.pair import PairSource
from nastk.limits.limit import LimitOptions, read
from nastk.nn.execution import Precision
from nastk.runs.earlier import with_present_names
from nastk.runs.evaluating import EvaluatorUses, cheap, evaluator_use, no_preset
from nastk.train.options import TrainerOptions
from nastk.train.ranking import RankingOptions

SECTIONS = ("space", "updater", "data")
NO_PRESET = "none"
QUICK = Preset(
    "quick",
    "a first look: minutes, not accuracy",
    # One thread: small operations gain nothing from a second one, and lose much beside other work.
    trainer_options={"epochs": 6, "checkpoint_minutes": 2.0, "threads": 1},
)


class ComponentConfig(Options):
    """A component by name, with all its options."""

    name: str = Field(description="its name, as `nastk plugins` lists it")
    options: dict[str, Any] = Field(
        default_factory=dict, description="its options, as `nastk describe NAME` lists them"
    )


class SearchConfig(Options):
    """Everything that decides a run; `resolve` makes one, a run folder's `config.json` is one."""

    space: ComponentConfig = Field(description="the search space")
    updater: ComponentConfig = Field(description="the method that updates the architecture")
    data: ComponentConfig = Field(description="the images")
    trainer: TrainerOptions = Field(description="how weights are trained")
    evaluators: list[ComponentConfig] = Field(
        description="who judges the architecture that was found"
    )
    budget: str | None = Field(
        None, description="what a study gave each run, e.g. images=400k; epochs follow from it"
    )
    ranking: RankingOptions | None = Field(
        None, description="how well the search ranks architectures; null: not measured"
    )
    leaf_evaluator: ComponentConfig | None = Field(
        None,
        description="who chooses among the leaves of a split run; null: supernet accuracy",
    )
    leaf_metric: str | None = Field(
        None,
        description="the metric that it chooses by, larger is better; null: its first that is not "
        "of the test split",
    )
    leaf_race: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="measure leaves on 1,000 images, those that lead on more until they are told "
        "apart, missing the best with this probability at most; 0: all on all",
    )
    limits: list[LimitOptions] | None = Field(
        None, description="the largest values of metrics that the decision keeps; null: none"
    )
    weights: str | None = Field(
        None,
        description="safetensors file whose weights the supernet begins with; null: fresh ones",
    )
    preset: str | None = Field(None, description="the preset that filled in what was not given")
    seed: int = Field(0, ge=0, description="the seed that every random stream derives from")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Precision = Field("auto", description="auto, fp32 or bf16")
    deterministic: bool = Field(False, description="deterministic kernels, slower on a GPU")


def resolve(request: Mapping[str, Any], installed: Catalogue | None = None) -> SearchConfig:
    """The complete configuration for what was asked.

    Args:
        request: keys of `SearchConfig`; `space`, `updater`, `data` and each of `evaluators` as a
            name, a `Use`, or `{"name": ..., "options": {...}}`; `trainer` as a mapping.
        installed: the catalogue to look names up in; this process's where None.

    Raises:
        ConfigurationError: an unknown name or option (with its near miss), a value out of range, a
            preset that does not exist for this combination.
    """
    installed, request = installed or catalogue(), with_present_names(request)
    check_keys(request)
    uses = {section: _use(section, request) for section in SECTIONS}
    classes = {section: _class(section, use.name, installed) for section, use in uses.items()}
    preset = _preset(request, uses["data"].name)
    filled = presets(preset, uses, classes) if preset else []
    resolved: dict[str, Any] = {}
    for section, use in uses.items():
        options = {
            key: value
            for one in filled
            for key, value in getattr(one, f"{section}_options").items()
        }
        parsed = classes[section].parse_options({**options, **use.options})
        resolved[section] = {"name": use.name, "options": written(parsed)}
    trainer = {key: value for one in filled for key, value in one.trainer_options.items()}
    _check_budget(request)
    resolved["trainer"] = parse(
        TrainerOptions, {**trainer, **(request.get("trainer") or {})}, "trainer"
    )
    evaluator = EvaluatorUses(uses["space"].name, uses["data"].name, installed)
    asked = [evaluator_use(one) for one in _evaluators(request, filled, evaluator)]
    resolved["evaluators"] = [evaluator.config(use) for use in _each_once(asked)]
    resolved["ranking"] = _ranking(request, evaluator)
    if request.get("leaf_evaluator") is not None:
        resolved["leaf_evaluator"] = evaluator.config(evaluator_use(request["leaf_evaluator"]))
    resolved["limits"] = _limits(request, evaluator)
    rest = {
        key: request[key]
        for key in (
            "seed",
            "device",
            "precision",
            "deterministic",
            "budget",
            "leaf_metric",
            "weights",
            "leaf_race",
        )
        if request.get(key) is not None
    }
    return parse(SearchConfig, {**resolved, **rest, "preset": preset}, "config")


def _preset(request: Mapping[str, Any], data: str) -> str | None:
    """The preset's name: the one given, else `quick` on the default data, whether named or not.

    `none`, and a key that is there and null (as in a written configuration), are no preset.
    """
    given = request.get("preset", QUICK.name if data == defaults.DATA else None)
    return None if given == NO_PRESET else given


def presets(
    name: str, uses: Mapping[str, ComponentSpec], classes: Mapping[str, Any]
) -> list[Preset]:
    """The presets called `name` that fit this space and data, of the components and of nastk.

    Raises:
        ConfigurationError: the updater has none that fits; says which it has.
    """
    space, data = uses["space"].name, uses["data"].name
    offered = [one for section in SECTIONS for one in classes[section].presets]
    fitting = [one for one in [QUICK, *offered] if one.name == name and one.fits(space, data)]
    own = [one for one in classes["updater"].presets if one.name != QUICK.name]
    if name != QUICK.name and not any(one in own for one in fitting):
        owner = f"Updater {uses['updater'].name!r}"
        raise no_preset(owner, name, space, data, own, "quick on any space with any data")
    return fitting


def read_config(path: Path) -> dict[str, Any]:
    """The wishes in a YAML or JSON file; keys are checked, names and values by `resolve`.

    Raises:
        ConfigurationError: the file is missing, not readable as YAML or JSON, says a key twice, or
            has unknown keys.
    """
    try:
        found = _value(read_text(path, pipes=True))
    except UnreadableError as error:
        raise ConfigurationError(f"The config file {error}") from None
    except ValueError as error:
        raise ConfigurationError(
            f"The config file {path} cannot be read as YAML or JSON: {error}."
        ) from None
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"The config file {path} must hold keys such as "
            f"`space: {defaults.SPACE_EXAMPLE}`, "
            f"got {type(found).__name__}."
        )
    found = with_present_names(found)
    check_keys(found, f"The config file {path}")
    return found


def _value(text: str) -> Any:
    """What a config file says. YAML takes almost all JSON, but splits what JSON says in surrogates.

    Raises:
        ValueError: it is neither.
    """
    if text.lstrip().startswith("{"):
        with suppress(ValueError):
            return json_value(text)
    return yaml_value(text)


def check_keys(request: Mapping[Any, Any], owner: str = "config") -> None:
    """Refuse an unknown key, with its near miss, and a section or a preset of a wrong form."""
    if not isinstance(request.get("trainer") or {}, Mapping):
        raise ConfigurationError(
            f"{owner}: trainer is written as {{epochs: 10, ...}}, got {request['trainer']!r}."
        )
    if not isinstance(request.get("preset") or "", str):
        raise ConfigurationError(f"{owner}: preset is a name, got {request['preset']!r}.")
    if not isinstance(request.get("ranking") or {}, (Mapping, bool)):
        raise ConfigurationError(
            f"{owner}: ranking is written as {{every: 10, ...}}, got {request['ranking']!r}."
        )
    known = sorted(SearchConfig.model_fields)
    for key in request:
        if key not in known:
            raise ConfigurationError(
                f"{owner} has the unknown key {key!r}.{near_miss(str(key), known)} "
                f"Known: {', '.join(known)}."
            )


def merge(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Two layers of wishes as one. Options of a component are merged unless it is named anew."""
    merged = dict(weaker)
    for key, value in stronger.items():
        if value is None:
            continue
        if key in SECTIONS and merged.get(key) is not None:
            old, new = _named(key, merged[key]), _named(key, value, merged[key])
            options = {**(old.options if old.name == new.name else {}), **new.options}
            merged[key] = {"name": new.name, "options": options}
        elif key in ("trainer", "ranking") and isinstance(value, Mapping):
            before = merged.get(key)
            merged[key] = {**(before if isinstance(before, Mapping) else {}), **value}
        else:
            merged[key] = value
    return merged


def component_use(section: str, value: Any) -> ComponentSpec:
    """A space, an updater or data as people name it: `cifar10`, `folder:PATH`, with options.

    Raises:
        ConfigurationError: it is named in no such way.
    """
    return _named(section, value)


def _named(section: str, value: Any, fallback: Any = None) -> ComponentSpec:
    """A component as a `Use`.

    Options without a name belong to the `fallback`'s name, or the default's.
    """
    if isinstance(value, Mapping) and value.get("name") is None:
        name = _named(section, fallback).name if fallback is not None else None
        if name is None and section == "data":
            name = defaults.DATA
        if name is None:
            raise ConfigurationError(
                f"Options for the {section} were given, but no {section}: "
                f"name one with --{section}."
            )
        value = {**value, "name": name}
    use = ComponentSpec.of(value)
    if section == "data" and ":" in use.name:
        name, _, path = use.name.partition(":")
        use = ComponentSpec(name, {"path": path, **use.options})
    return use


def _use(section: str, request: Mapping[str, Any]) -> ComponentSpec:
    value = request.get(section)
    if value is None and section == "data":
        value = defaults.DATA
    if value is None:
        example = defaults.SPACE_EXAMPLE if section == "space" else defaults.UPDATER_EXAMPLE
        raise ConfigurationError(
            f"No {section} was named. Name one, e.g. --{section} {example}; "
            "`nastk plugins` lists them."
        )
    return _named(section, value)


def _class(section: str, name: str, installed: Catalogue) -> Any:
    """The component's class; data sets from Python are the core's own, which no plugin offers."""
    return (
        PairSource
        if (section, name) == ("data", PairSource.name)
        else installed.load(section, name)
    )


def _check_budget(request: Mapping[str, Any]) -> None:
    """Refuse what is no budget, and one from which nobody has found the epochs."""
    budget = request.get("budget")
    if budget is None:
        return
    spending(str(budget))
    if "epochs" not in (request.get("trainer") or {}):
        raise ConfigurationError(
            f"The budget {budget!r} is for studies, which find the epochs that keep it: "
            "use `nastk compare`, or say --epochs."
        )


def _each_once(uses: Sequence[ComponentSpec]) -> Sequence[ComponentSpec]:
    """The evaluators as they are; none twice, as their metrics are known by their names."""
    names = [use.name for use in uses]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(
            f"The evaluator {twice[0]!r} is asked for twice, and its metrics would have one name. "
            "Leave one of them out."
        )
    return uses


def _evaluators(
    request: Mapping[str, Any], filled: Sequence[Preset], known: EvaluatorUses
) -> Sequence[Any]:
    """The evaluators asked for; where none were, the preset's, or those that need only the run."""
    given = request.get("evaluators")
    if given is None:
        named = [one for preset in filled for one in preset.evaluators]
        there = known.installed.names("evaluator")
        return [one for one in named if evaluator_use(one).name in there] or cheap(known.installed)
    if isinstance(given, (str, ComponentSpec)) or not isinstance(given, Sequence):
        raise ConfigurationError(
            f"evaluators is a list, such as [{', '.join(defaults.EVALUATORS)}]; got {given!r}."
        )
    return given


def _ranking(request: Mapping[str, Any], known: EvaluatorUses) -> RankingOptions | None:
    """Ranking quality as it is asked for: options, or `True` for the defaults."""
    given = request.get("ranking")
    if given is None or given is False:
        return None
    options = parse(RankingOptions, {} if given is True else given, "ranking")
    evaluator = known.config(ComponentSpec(options.evaluator, options.evaluator_options))
    return parse(
        RankingOptions, {**written(options), "evaluator_options": evaluator["options"]}, "ranking"
    )


def _limits(request: Mapping[str, Any], known: EvaluatorUses) -> list[LimitOptions] | None:
    """The limits asked for, each with all options of its evaluator; None where there are none."""
    given = request.get("limits") or []
    if not isinstance(given, (list, tuple)):
        raise ConfigurationError(f"limits is a list, such as [params=4M]; got {given!r}.")
    found = [parse(LimitOptions, read(one), "limits") for one in given]
    metrics = [one.metric for one in found]
    if twice := sorted({metric for metric in metrics if metrics.count(metric) > 1}):
        raise ConfigurationError(f"{twice[0]} is limited twice. Leave one of the limits out.")
    evaluators = [
        known.config(ComponentSpec(one.evaluator, one.evaluator_options)) for one in found
    ]
    return [
        one.model_copy(update={"evaluator_options": evaluator["options"]})
        for one, evaluator in zip(found, evaluators, strict=True)
    ] or None


def evaluator_config(
    use: ComponentSpec, config: SearchConfig, installed: Catalogue | None = None
) -> ComponentConfig:
    """Another evaluator for a run of `config`, with every option written out.

    Raises:
        ConfigurationError: an unknown name, option or preset, or a value out of range.
    """
    evaluators = EvaluatorUses(config.space.name, config.data.name, installed or catalogue())
    return ComponentConfig(**evaluators.config(use))


def to_json(config: SearchConfig) -> str:
    """The configuration as indented JSON; `resolve(json.loads(text))` gives it back."""
    return json.dumps(config.model_dump(mode="json"), indent=2) + "\n"
