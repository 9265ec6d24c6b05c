"""What every plugin class is: a name, one line of description, and options declared once.

From one nested `Options` model come validation, `nastk describe NAME`, the table in the docs,
`-u samples=20` on the command line and the section of the config file.
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from json import JSONDecodeError
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from nastk.base.errors import ConfigurationError, NastkError, PluginError, near_miss
from nastk.base.reading import json_value
from nastk.base.renamed import renamed_fields

Model = TypeVar("Model", bound=BaseModel)

LARGEST_NUMBER = 2**63
"""A bound of whole numbers: torch counts in 64 bits."""

LONGEST_SHOWN = 300
"""Characters of a value in a message."""

EXPERIMENTAL: dict[str, Any] = {"experimental": True}
"""Marks an option that no published setting needs and no study of ours uses, so that its table says
so: `Field(False, json_schema_extra=EXPERIMENTAL, description="...")`."""


class Options(BaseModel):
    """Base of every component's options: unknown names are refused, values are frozen.

    Every field has a description and, where it is a number, bounds:

        class Options(nastk.Options):
            samples: int = Field(10, ge=1, description="removal orders for each estimate")
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,  # a class may be called 2024
    )

    @field_validator("*", mode="before")
    @classmethod
    def _meant(cls, value: Any, info: Any) -> Any:
        """Refuse what would silently become another number: true, 9_0, digits without an end."""
        kinds = _kinds(cls.model_fields[info.field_name].annotation)
        if Path in kinds and isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)  # a folder may be called 2024
        if {int, float} & kinds:
            for one in value if isinstance(value, (list, tuple)) else (value,):
                _check_number(one, kinds)
        return value


@renamed_fields(source="citation")
@dataclass(frozen=True)
class Preset:
    """A named setting that a component brings: `--preset NAME` fills in what the user left open.

    `space` and `data` restrict it to names (empty: any). The mappings hold option values for the
    space, the updater, the data source and the trainer. `citation` says where they are from.
    `evaluators` are who judges where the user names nobody, written as in a configuration; of an
    evaluator that is not installed nothing is heard.

    An evaluator's presets are named in its own options: `-e retrain,preset=paper`. They hold
    `evaluator_options`.

    Example: `Preset("paper", "Xiao et al. 2022", ("darts",), updater_options={"samples": 10})`
    """

    name: str
    citation: str
    space: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    space_options: Mapping[str, Any] = field(default_factory=dict)
    updater_options: Mapping[str, Any] = field(default_factory=dict)
    data_options: Mapping[str, Any] = field(default_factory=dict)
    trainer_options: Mapping[str, Any] = field(default_factory=dict)
    evaluator_options: Mapping[str, Any] = field(default_factory=dict)
    evaluators: tuple[Any, ...] = ()

    def fits(self, space: str, data: str) -> bool:
        """Whether this preset speaks of that space and that data source (both by name)."""
        return (not self.space or space in self.space) and (not self.data or data in self.data)


class Component:
    """Base of everything that a plugin offers: search spaces, updaters, evaluators, data sources.

    A subclass sets `name` (what users type) and `summary` (one line for `nastk plugins`), and may
    declare a nested `Options` model and `presets`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    presets: ClassVar[tuple[Preset, ...]] = ()

    class Options(Options):
        """No options, unless a subclass declares some."""

    @classmethod
    def parse_options(cls, values: Mapping[str, Any] | None = None) -> Any:
        """`values` as this component's `Options`.

        Raises:
            ConfigurationError: an unknown name (with its near miss), wrong type, value out of
                range.
        """
        return parse(cls.Options, values or {}, cls.name)


@dataclass(frozen=True)
class ComponentSpec:
    """A component named together with the options it is to be used with; `nastk.use` makes one."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Self:
        """A `Use` from what people write: a name, a `Use`, or `{"name": ..., "options": {...}}`."""
        if isinstance(value, ComponentSpec):
            return cls(value.name, dict(value.options))
        if isinstance(value, Mapping):
            options = value.get("options") or {}
            strange = set(value) - {"name", "options"} or not isinstance(options, Mapping)
            if strange or not isinstance(value.get("name"), str):
                raise ConfigurationError(
                    f"A component is written as a name or as {{name: ..., options: {{...}}}}, "
                    f"got {dict(value)!r}."
                )
            if unnamed := [key for key in options if not isinstance(key, str)]:
                raise ConfigurationError(
                    f"Options of {value['name']!r} are named by words, got {unnamed[0]!r}."
                )
            return cls(value["name"], dict(options))
        if not isinstance(value, str):
            raise ConfigurationError(f"A component is named by a string, got {value!r}.")
        return cls(value)


def use(name: str, **options: Any) -> ComponentSpec:
    """Name a component together with its options, for `nastk.search` and `nastk.stream`.

    >>> use("shapley", samples=20)
    ComponentSpec(name='shapley', options={'samples': 20})
    """
    return ComponentSpec(name, options)


def _kinds(annotation: Any) -> set[Any]:
    """The plain types inside an annotation: of `tuple[int, ...] | None` int and NoneType."""
    if get_origin(annotation) is Literal:  # its words are no texts at will
        return {type(value) for value in get_args(annotation)} - {str} or {Literal}
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    inside = [_kinds(one) for one in get_args(annotation) if one is not Ellipsis]
    return set().union(*inside) if inside else {annotation}


def _check_number(value: Any, kinds: Set[Any]) -> None:
    """Refuse a value that pydantic would take for a number, and a reader would not.

    Raises:
        ValueError: says what was expected.
    """
    word = "a number" if float in kinds else "a whole number"
    if isinstance(value, bool) and not kinds & {bool, Any, object}:
        raise ValueError(f"{word} and not {str(value).lower()}")
    if isinstance(value, str) and not kinds & {str, Any, object}:
        if not value.isascii() or "_" in value:
            raise ValueError(f"{word} in the digits 0 to 9 alone")
        value = int(value) if re.fullmatch(r"\s*[+-]?\d{1,400}\s*", value) else value
    if (
        isinstance(value, (int, float))
        and abs(value) >= LARGEST_NUMBER
        and not (isinstance(value, float) and float in kinds)
    ):
        raise ValueError(f"{word} below 2^63")


def parse(model: type[Model], values: Mapping[str, Any], owner: str) -> Model:
    """`values` validated by a pydantic `model`, whose complaints become one readable line.

    Raises:
        ConfigurationError: naming `owner`, the field, what was got and what was expected.
        PluginError: what checks the values raised something else.
    """
    try:
        return model.model_validate(dict(values))
    except NastkError:
        raise
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(_complaint(model, owner, each) for each in error.errors())
        ) from None
    except Exception as error:  # a plugin's validator may raise anything
        raise PluginError(
            f"{owner}: its options could not be checked: {type(error).__name__}: {error}. "
            "Set NASTK_TRACEBACK=1 to see where."
        ) from error


def _shown(value: Any) -> str:
    """A value as a message shows it: in one line of bounded length."""
    try:
        text = repr(value)
    except Exception:  # a number of thousands of digits, or somebody's own class
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _complaint(model: type[BaseModel], owner: str, error: Any) -> str:
    """One pydantic error in our words, such as `shapley: samples must be at least 1, got 0`."""
    path = ".".join(str(part) for part in error["loc"])
    kind, got, context = error["type"], error.get("input"), error.get("ctx") or {}
    if kind == "extra_forbidden":
        known = sorted(model.model_fields)
        return (
            f"{owner} has no option {path!r}.{near_miss(path, known)} "
            f"It has: {', '.join(known) or 'none'}."
        )
    bounds = {
        "greater_than_equal": f"at least {context.get('ge')}",
        "greater_than": f"more than {context.get('gt')}",
        "less_than_equal": f"at most {context.get('le')}",
        "less_than": f"less than {context.get('lt')}",
        "literal_error": f"one of {context.get('expected')}",
        "missing": "given",
    }
    if kind in bounds:
        return f"{owner}: {path} must be {bounds[kind]}, got {_shown(got)}."
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{owner}: {path + ': ' if path else ''}expected {message}, got {_shown(got)}."


def written(options: BaseModel) -> dict[str, Any]:
    """Options as JSON, for a run's configuration: paths are absolute.

    A run that goes on elsewhere would not find its files by a relative path, or find others.
    """
    found = {name: value for name, value in options if isinstance(value, Path)}
    paths = {name: str(path.expanduser().absolute()) for name, path in found.items()}
    return {**options.model_dump(mode="json"), **paths}


def assignments(pairs: Sequence[str], flag: str) -> dict[str, Any]:
    """`["samples=20", "variant=official"]` as a mapping; a value that is not JSON stays text.

    Raises:
        ConfigurationError: something is no `name=value`, or is JSON that means two things.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(
                f"{flag} takes name=value, such as {flag} samples=20; got {pair!r}."
            )
        found[name.strip()] = json_or_text(value, f"{flag} {name.strip()}") if value else None
    return found


def name_and_options(text: str, form: str) -> tuple[str, dict[str, Any]]:
    """`NAME[,OPTION=VALUE...]` in two; the name is empty where `text` begins with an option.

    `form` says how such a text is written, for the error. An option without a value is None.

    Raises:
        ConfigurationError: what follows the name is no `OPTION=VALUE`, or is JSON that cannot be
            taken.

    >>> name_and_options("retrain,epochs=8,rungs=[1,2,4]", "An evaluator is NAME[,OPTION=VALUE...]")
    ('retrain', {'epochs': 8, 'rungs': [1, 2, 4]})
    """
    parts = comma_parts(text)
    name = "" if "=" in parts[0] else parts.pop(0).strip()
    options: dict[str, Any] = {}
    for part in parts:
        option, equals, value = part.partition("=")
        option = option.strip()
        if not equals or not option:
            raise ConfigurationError(f"{form}; got {text!r}.")
        options[option] = json_or_text(value, f"The option {option}") if value else None
    return name, options


def comma_parts(text: str) -> list[str]:
    """`text` cut at its commas, but not at those inside brackets or quotes: these are JSON's.

    >>> comma_parts("retrain,rungs=[1,2,4],save=true")
    ['retrain', 'rungs=[1,2,4]', 'save=true']
    """
    parts, depth, quoted = [""], 0, False
    for sign in text:
        quoted ^= sign == '"'
        if not quoted:
            depth += (sign in "[{") - (sign in "]}")
        if sign == "," and depth <= 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def json_or_text(value: str, owner: str) -> Any:
    """What a word says in JSON; where it is no JSON, the word itself.

    Raises:
        ConfigurationError: it is JSON that says a key twice, or is nested too deeply.

    >>> json_or_text("20", "-u samples"), json_or_text("official", "-u variant")
    (20, 'official')
    """
    try:
        return json_value(value)
    except JSONDecodeError:
        return value
    except ValueError as error:
        raise ConfigurationError(f"{owner} cannot be taken: {error}.") from None
