"""`Component`, the base class of all that plugins offer: a name, a summary, and typed options.

A component declares its options once, as a nested `Options` model. Validation, `nastk describe
NAME`, the table in the docs, `-u samples=20` on the command line and the section of the config file
all come from that model.
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
"""Whole numbers must be smaller than this: torch counts in 64 bits."""

LONGEST_SHOWN = 300
"""Characters of a value that a message shows; the rest is cut off."""

EXPERIMENTAL: dict[str, Any] = {"experimental": True}
"""Marks an option that no published setting needs and no study of nastk uses; its table says so.

Example: `Field(False, json_schema_extra=EXPERIMENTAL, description="...")`
"""


class Options(BaseModel):
    """The base class of every component's options: unknown names are refused, values are frozen.

    Every field has a description; a number also has bounds:

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
    def _unambiguous(cls, value: Any, info: Any) -> Any:
        """Refuse values that pydantic would silently turn into another number: true, 9_0, 2^63."""
        kinds = _kinds(cls.model_fields[info.field_name].annotation)
        if Path in kinds and isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)  # a folder may be called 2024
        if {int, float} & kinds:
            for number in value if isinstance(value, (list, tuple)) else (value,):
                _check_number(number, kinds)
        return value


@renamed_fields(source="citation")
@dataclass(frozen=True)
class Preset:
    """A named set of option values of a component: `--preset NAME` sets what the user left open.

    `space` and `data` name the spaces and data sources that the preset is for (empty: any). The
    mappings hold option values for the space, the updater, the data source and the trainer;
    `citation` is their source. `evaluators` are used where the user names none, written as in a
    configuration; those that are not installed are left out.

    The presets of an evaluator hold `evaluator_options`. Users name such a preset among the
    evaluator's options: `-e retrain,preset=paper`.

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
        """True if this preset is for this space and this data source (both by name)."""
        return (not self.space or space in self.space) and (not self.data or data in self.data)


class Component:
    """The base class of all that plugins offer: search spaces, updaters, evaluators, data sources.

    A subclass sets `name` (users type it) and `summary` (one line for `nastk plugins`), and may
    declare a nested `Options` model and `presets`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    presets: ClassVar[tuple[Preset, ...]] = ()

    class Options(Options):
        """No options, unless a subclass declares some."""

    @classmethod
    def parse_options(cls, values: Mapping[str, Any] | None = None) -> Any:
        """Returns `values`, validated, as this component's `Options`.

        Raises:
            ConfigurationError: an option is unknown (the message has the nearest known name), has
                the wrong type, or is out of range.
        """
        return parse(cls.Options, values or {}, cls.name)


@dataclass(frozen=True)
class ComponentSpec:
    """A component's name together with option values for it; `nastk.use` makes one.

    Example: `ComponentSpec("shapley", {"samples": 20})`
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The component with its options as text, such as `shapley(samples=4)`."""
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.name}({options})" if options else self.name

    @staticmethod
    def name_in(label: str) -> str:
        """Returns the name in a `label`.

        >>> ComponentSpec.name_in("shapley(samples=4)"), ComponentSpec.name_in("darts")
        ('shapley', 'darts')
        """
        return label.partition("(")[0]

    @classmethod
    def of(cls, value: Any) -> Self:
        """Returns `value` as a specification.

        Args:
            value: a name, a `ComponentSpec`, or `{"name": ..., "options": {...}}`.

        Raises:
            ConfigurationError: it is none of these.
        """
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
    """Returns the plain types in an annotation: int and NoneType for `tuple[int, ...] | None`."""
    if get_origin(annotation) is Literal:  # a field of a few fixed words does not accept any str
        return {type(value) for value in get_args(annotation)} - {str} or {Literal}
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    inner_kinds = [_kinds(inner) for inner in get_args(annotation) if inner is not Ellipsis]
    return set().union(*inner_kinds) if inner_kinds else {annotation}


def _check_number(value: Any, kinds: Set[Any]) -> None:
    """Refuse a value that pydantic accepts as a number although a reader would not.

    Raises:
        ValueError: it is such a value; the message is what was expected.
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
    """Returns `values` validated by a pydantic `model`.

    Raises:
        ConfigurationError: a value is invalid; the message is one line that names `owner`, the
            field, the value and what was expected.
        PluginError: a validator of the model raised another error.
    """
    try:
        return model.model_validate(dict(values))
    except NastkError:
        raise
    except ValidationError as error:
        raise ConfigurationError(
            "; ".join(_error_text(model, owner, details) for details in error.errors())
        ) from None
    except Exception as error:  # a plugin's validator may raise anything
        raise PluginError(
            f"{owner}: its options could not be checked: {type(error).__name__}: {error}. "
            "Set NASTK_TRACEBACK=1 to see where."
        ) from error


def _shown(value: Any) -> str:
    """Returns `value` as a message shows it: its `repr`, cut to `LONGEST_SHOWN` characters."""
    try:
        text = repr(value)
    except Exception:  # a number of thousands of digits, or a class whose `__repr__` fails
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _error_text(model: type[BaseModel], owner: str, error: Any) -> str:
    """Returns the text for one pydantic error: `shapley: samples must be at least 1, got 0`."""
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
    """Returns options as JSON for a run's configuration, with absolute paths.

    A run that is resumed in another working folder would miss a file with a relative path, or read
    a different one.
    """
    paths = {name: value for name, value in options if isinstance(value, Path)}
    absolute = {name: str(path.expanduser().absolute()) for name, path in paths.items()}
    return {**options.model_dump(mode="json"), **absolute}


def assignments(pairs: Sequence[str], flag: str) -> dict[str, Any]:
    """Returns texts like `samples=20` as a mapping; a value that is not JSON stays text.

    Args:
        pairs: the texts, such as `["samples=20", "variant=official"]`.
        flag: the command-line option that they were given with, for messages.

    Raises:
        ConfigurationError: a text is not `name=value`, or its JSON repeats a key.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(
                f"{flag} takes name=value, such as {flag} samples=20; got {pair!r}."
            )
        values[name.strip()] = json_or_text(value, f"{flag} {name.strip()}") if value else None
    return values


def name_and_options(text: str, form: str) -> tuple[str, dict[str, Any]]:
    """Returns the name and the options of `NAME[,OPTION=VALUE...]`.

    The name is empty if `text` begins with an option; an option without a value is None. `form` is
    the sentence about the expected form that begins the error message.

    Raises:
        ConfigurationError: a part after the name is not `OPTION=VALUE`, or its JSON repeats a key
            or is nested too deeply.

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


def named_spec(given: Any, form: str) -> ComponentSpec:
    """Returns a component as `ComponentSpec.of` reads it; a text as `NAME[,OPTION=VALUE...]`.

    Raises:
        ConfigurationError: `given` has neither form; the message begins with `form`.

    >>> named_spec("retrain,epochs=8", "An evaluator is NAME[,OPTION=VALUE...]").options
    {'epochs': 8}
    """
    if not isinstance(given, str):
        return ComponentSpec.of(given)
    name, options = name_and_options(given, form)
    if not name:
        raise ConfigurationError(f"{form}; got {given!r}.")
    return ComponentSpec(name, options)


def comma_parts(text: str) -> list[str]:
    """Returns `text` split at its commas, except at commas inside the brackets or quotes of JSON.

    >>> comma_parts("retrain,rungs=[1,2,4],save=true")
    ['retrain', 'rungs=[1,2,4]', 'save=true']
    """
    parts, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == '"'
        if not quoted:
            depth += (character in "[{") - (character in "]}")
        if character == "," and depth <= 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def json_or_text(value: str, owner: str) -> Any:
    """Returns the value of a JSON text; a text that is not JSON is returned as it is.

    Raises:
        ConfigurationError: the JSON repeats a key, or is nested too deeply. The message begins
            with `owner`.

    >>> json_or_text("20", "-u samples"), json_or_text("official", "-u variant")
    (20, 'official')
    """
    try:
        return json_value(value)
    except JSONDecodeError:
        return value
    except ValueError as error:
        raise ConfigurationError(f"{owner} cannot be taken: {error}.") from None
