"""The configuration of a run: command line, config file and Python API make one `SearchConfig`.

`resolve` checks every name and option against the installed components, takes from the preset what
the user left out, and writes out every default, so that a run folder's `config.json` is complete
and can be run again. Layers, weakest first: defaults, preset, config file, command line or API.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from nastk.base import defaults
from nastk.base.component import ComponentSpec, Preset, parse, written
from nastk.base.errors import ConfigurationError, UnreadableError, near_miss
from nastk.base.plugins import Catalogue, catalogue
from nastk.base.reading import json_value, read_text
from nastk.base.reading_yaml import yaml_value
from nastk.base.spending import spending
from nastk.data.pair import PairSource
from nastk.limits.limit import LimitOptions, read
from nastk.runs.earlier import with_present_names
from nastk.runs.evaluating import EvaluatorUses, cheap, evaluator_use, no_preset
from nastk.runs.search_config import ComponentConfig, SearchConfig, WarmUp, read_warm_up
from nastk.train.options import TrainerOptions
from nastk.train.ranking import RankingOptions

SECTIONS = ("space", "updater", "data")
NO_PRESET = "none"
QUICK = Preset(
    "quick",
    "a first look: minutes, not accuracy",
    # Small operations gain nothing from a second thread, and lose much beside other processes.
    trainer_options={"epochs": 6, "checkpoint_minutes": 2.0, "threads": 1},
)


def resolve(request: Mapping[str, Any], installed: Catalogue | None = None) -> SearchConfig:
    """Returns the complete configuration for a request.

    Args:
        request: keys of `SearchConfig`; `space`, `updater`, `data` and each of `evaluators` as a
            name, a `ComponentSpec`, or `{"name": ..., "options": {...}}`; `trainer` as a mapping.
        installed: the catalogue to look names up in; this process's where None.

    Raises:
        ConfigurationError: an unknown name or option (with the nearest known one), a value out of
            range, a preset that does not exist for this combination.
    """
    installed, request = installed or catalogue(), with_present_names(request)
    check_keys(request)
    specs = {section: named_in(section, request.get(section)) for section in SECTIONS}
    classes = {section: _class(section, spec.name, installed) for section, spec in specs.items()}
    preset = _preset(request, specs["data"].name)
    fitting = presets(preset, specs, classes) if preset else []
    resolved: dict[str, Any] = {}
    for section, spec in specs.items():
        options = {
            key: value
            for layer in fitting
            for key, value in getattr(layer, f"{section}_options").items()
        }
        parsed = classes[section].parse_options({**options, **spec.options})
        resolved[section] = {"name": spec.name, "options": written(parsed)}
    trainer = {key: value for layer in fitting for key, value in layer.trainer_options.items()}
    _check_budget(request)
    resolved["trainer"] = parse(
        TrainerOptions, {**trainer, **(request.get("trainer") or {})}, "trainer"
    )
    evaluators = EvaluatorUses(specs["space"].name, specs["data"].name, installed)
    requested = [evaluator_use(given) for given in _evaluators(request, fitting, evaluators)]
    if request.get("evaluators") is None and not classes["updater"].trains_supernet:
        named = [(spec, installed.load("evaluator", spec.name)) for spec in requested]
        requested = [spec for spec, evaluator in named if not evaluator.needs_supernet]
    resolved["evaluators"] = [evaluators.config(spec) for spec in _without_repeats(requested)]
    resolved["ranking"] = _ranking(request, evaluators)
    if request.get("leaf_evaluator") is not None:
        resolved["leaf_evaluator"] = evaluators.config(evaluator_use(request["leaf_evaluator"]))
    resolved["limits"] = _limits(request, evaluators)
    resolved["warm_up"] = _warm_up(request, installed)
    plain = {
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
    return parse(SearchConfig, {**resolved, **plain, "preset": preset}, "config")


def resolve_call(
    space: Any, updater: Any, data: Any, epochs: int | None, request: Mapping[str, Any]
) -> tuple[SearchConfig, Sequence[Any] | None]:
    """Returns the configuration for the arguments of a call, and the data sets that it holds.

    `data` may be a pair or triple of Python data sets, `epochs` is short for the trainer's, and
    `request` has further keys of `SearchConfig`. The data sets are None where images have a name.

    Raises:
        ConfigurationError: as for `resolve`.
    """
    datasets = data if isinstance(data, (list, tuple)) else None
    asked = {
        **request,
        "space": space,
        "updater": updater,
        "data": data if datasets is None else PairSource.name,
    }
    if epochs is not None:
        asked["trainer"] = {**(request.get("trainer") or {}), "epochs": epochs}
    return resolve(asked), datasets


def _preset(request: Mapping[str, Any], data: str) -> str | None:
    """Returns the preset's name: the requested one, else `quick` on the default data.

    Returns None for `none`, and for a key that is null (as in a written configuration).
    """
    given = request.get("preset", QUICK.name if data == defaults.DATA else None)
    return None if given == NO_PRESET else given


def presets(
    name: str, specs: Mapping[str, ComponentSpec], classes: Mapping[str, Any]
) -> list[Preset]:
    """Returns the presets called `name` that fit this space and data, of components and of nastk.

    Raises:
        ConfigurationError: the updater has no fitting preset of that name; lists those it has.
    """
    space, data = specs["space"].name, specs["data"].name
    offered = [preset for section in SECTIONS for preset in classes[section].presets]
    fitting = [
        preset for preset in [QUICK, *offered] if preset.name == name and preset.fits(space, data)
    ]
    of_updater = [preset for preset in classes["updater"].presets if preset.name != QUICK.name]
    if name != QUICK.name and not any(preset in of_updater for preset in fitting):
        owner = f"Updater {specs['updater'].name!r}"
        raise no_preset(owner, name, space, data, of_updater, "quick on any space with any data")
    return fitting


def read_config(path: Path, *more: str) -> dict[str, Any]:
    """Returns the request in a YAML or JSON file; only its keys are checked.

    `more` are keys that it may have beside those of `SearchConfig`.

    Raises:
        ConfigurationError: the file is missing, not readable as YAML or JSON, has a key twice, or
            has unknown keys.
    """
    try:
        request = _value(read_text(path, pipes=True))
    except UnreadableError as error:
        raise ConfigurationError(f"The config file {error}") from None
    except ValueError as error:
        raise ConfigurationError(
            f"The config file {path} cannot be read as YAML or JSON: {error}."
        ) from None
    if not isinstance(request, dict):
        raise ConfigurationError(
            f"The config file {path} must hold keys such as "
            f"`space: {defaults.SPACE_EXAMPLE}`, "
            f"got {type(request).__name__}."
        )
    request = with_present_names(request)
    known = {key: value for key, value in request.items() if key not in more}
    check_keys(known, f"The config file {path}")
    return request


def _value(text: str) -> Any:
    """Returns the value in a config file's text.

    JSON is tried first: YAML reads almost all of it, but not characters written as surrogates.

    Raises:
        ValueError: the text is neither YAML nor JSON.
    """
    if text.lstrip().startswith("{"):
        with suppress(ValueError):
            return json_value(text)
    return yaml_value(text)


def check_keys(request: Mapping[Any, Any], owner: str = "config") -> None:
    """Raises `ConfigurationError` for an unknown key, or a section or preset of a wrong type."""
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
    """Returns two layers of a request as one; options of the same component are merged."""
    merged = dict(weaker)
    for key, value in stronger.items():
        if value is None:
            continue
        if key in SECTIONS and merged.get(key) is not None:
            old, new = _spec(key, merged[key]), _spec(key, value, merged[key])
            options = {**(old.options if old.name == new.name else {}), **new.options}
            merged[key] = {"name": new.name, "options": options}
        elif key in ("trainer", "ranking") and isinstance(value, Mapping):
            before = merged.get(key)
            merged[key] = {**(before if isinstance(before, Mapping) else {}), **value}
        else:
            merged[key] = value
    return merged


def component_use(section: str, value: Any) -> ComponentSpec:
    """Returns the component that a user named: `cifar10`, `folder:PATH`, or name and options.

    Raises:
        ConfigurationError: `value` has none of these forms.
    """
    return _spec(section, value)


def _spec(section: str, value: Any, fallback: Any = None) -> ComponentSpec:
    """Returns a component's `ComponentSpec`; options alone belong to `fallback` or the default."""
    if isinstance(value, Mapping) and value.get("name") is None:
        name = _spec(section, fallback).name if fallback is not None else None
        if name is None and section == "data":
            name = defaults.DATA
        if name is None:
            raise ConfigurationError(
                f"Options for the {section} were given, but no {section}: "
                f"name one with --{section}."
            )
        value = {**value, "name": name}
    spec = ComponentSpec.of(value)
    if section == "data" and ":" in spec.name:
        name, _, path = spec.name.partition(":")
        spec = ComponentSpec(name, {"path": path, **spec.options})
    return spec


def named_in(section: str, value: Any) -> ComponentSpec:
    """Returns the component that a request names for a section; the default for missing data.

    Raises:
        ConfigurationError: none is named, or `value` has no form of a component.
    """
    if value is None and section == "data":
        value = defaults.DATA
    if value is None:
        example = defaults.SPACE_EXAMPLE if section == "space" else defaults.UPDATER_EXAMPLE
        raise ConfigurationError(
            f"No {section} was named. Name one, e.g. --{section} {example}; "
            "`nastk plugins` lists them."
        )
    return _spec(section, value)


def _class(section: str, name: str, installed: Catalogue) -> Any:
    """Returns the component's class; the one for data sets from Python belongs to no plugin."""
    return (
        PairSource
        if (section, name) == ("data", PairSource.name)
        else installed.load(section, name)
    )


def _check_budget(request: Mapping[str, Any]) -> None:
    """Raises `ConfigurationError` for a malformed budget, and for a budget without epochs."""
    budget = request.get("budget")
    if budget is None:
        return
    spending(str(budget))
    if "epochs" not in (request.get("trainer") or {}):
        raise ConfigurationError(
            f"The budget {budget!r} is for studies, which find the epochs that keep it: "
            "use `nastk compare`, or say --epochs."
        )


def _without_repeats(specs: Sequence[ComponentSpec]) -> Sequence[ComponentSpec]:
    """Returns the evaluators unchanged; a name may occur once, as metrics are filed under it."""
    names = [spec.name for spec in specs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(
            f"The evaluator {twice[0]!r} is asked for twice, and its metrics would have one name. "
            "Leave one of them out."
        )
    return specs


def _evaluators(
    request: Mapping[str, Any], fitting: Sequence[Preset], evaluators: EvaluatorUses
) -> Sequence[Any]:
    """Returns the requested evaluators; without any, the preset's, else those that cost little."""
    given = request.get("evaluators")
    if given is None:
        named = [use for preset in fitting for use in preset.evaluators]
        offered = evaluators.installed.names("evaluator")
        installed = [use for use in named if evaluator_use(use).name in offered]
        return installed or cheap(evaluators.installed)
    if isinstance(given, (str, ComponentSpec)) or not isinstance(given, Sequence):
        raise ConfigurationError(
            f"evaluators is a list, such as [{', '.join(defaults.EVALUATORS)}]; got {given!r}."
        )
    return given


def _ranking(request: Mapping[str, Any], evaluators: EvaluatorUses) -> RankingOptions | None:
    """Returns the options of ranking quality, which are requested as such or as `True`."""
    given = request.get("ranking")
    if given is None or given is False:
        return None
    options = parse(RankingOptions, {} if given is True else given, "ranking")
    evaluator = evaluators.config(ComponentSpec(options.evaluator, options.evaluator_options))
    return parse(
        RankingOptions, {**written(options), "evaluator_options": evaluator["options"]}, "ranking"
    )


def _limits(request: Mapping[str, Any], evaluators: EvaluatorUses) -> list[LimitOptions] | None:
    """Returns the requested limits with all options of their evaluators; None without limits."""
    given = request.get("limits") or []
    if not isinstance(given, (list, tuple)):
        raise ConfigurationError(f"limits is a list, such as [params=4M]; got {given!r}.")
    limits = [parse(LimitOptions, read(limit), "limits") for limit in given]
    metrics = [limit.metric for limit in limits]
    if repeated := sorted({metric for metric in metrics if metrics.count(metric) > 1}):
        raise ConfigurationError(f"{repeated[0]} is limited twice. Leave one of the limits out.")
    configs = [
        evaluators.config(ComponentSpec(limit.evaluator, limit.evaluator_options))
        for limit in limits
    ]
    return [
        limit.model_copy(update={"evaluator_options": config["options"]})
        for limit, config in zip(limits, configs, strict=True)
    ] or None


def _warm_up(request: Mapping[str, Any], installed: Catalogue) -> WarmUp | None:
    """Returns the shared warm-up with all options of its updater; None without one."""
    if request.get("warm_up") is None:
        return None
    spec, epochs = read_warm_up(request["warm_up"])
    updater = installed.load("updater", spec.name)
    if not updater.trains_supernet:
        raise ConfigurationError(
            f"Updater {spec.name!r} trains no supernet, so a warm-up by it would leave no weights. "
            f"Name one that trains, such as {defaults.BASELINE}."
        )
    # What it decides in the end is of no use, so it scores one architecture unless told otherwise.
    least = {defaults.SCORED: 1} if defaults.SCORED in updater.Options.model_fields else {}
    options = written(updater.parse_options({**least, **spec.options}))
    use = {"name": spec.name, "options": options}
    return parse(WarmUp, {"updater": use, "epochs": epochs}, "warm_up")


def evaluator_config(
    use: ComponentSpec, config: SearchConfig, installed: Catalogue | None = None
) -> ComponentConfig:
    """Returns another evaluator for a run of `config`, with every option written out.

    Raises:
        ConfigurationError: an unknown name, option or preset, or a value out of range.
    """
    evaluators = EvaluatorUses(config.space.name, config.data.name, installed or catalogue())
    return ComponentConfig(**evaluators.config(use))


def to_json(config: SearchConfig) -> str:
    """Returns the configuration as indented JSON; `resolve(json.loads(text))` reads it."""
    return json.dumps(config.model_dump(mode="json"), indent=2) + "\n"
