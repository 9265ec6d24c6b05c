"""The options of a component from its pydantic model: as rows, as a table, as Markdown."""

import types
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from nastk.report.ascii import Plain

BOUNDS = {
    "ge": ">= {}",
    "gt": "> {}",
    "le": "<= {}",
    "lt": "< {}",
    "multiple_of": "multiple of {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "pattern": "like {}",
}


Row = Mapping[str, Any]
"""The JSON values that describe an option, by the keys that `option_rows` lists."""


def option_rows(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Returns a row of JSON values for each field.

    A row has `name`, `type`, `default` (of its own type; null where it is `required`), `required`,
    `bounds`, `choices` (all values, if the type lists them) and `description`.
    """
    return [
        {
            "name": name,
            "type": type_name(field.annotation),
            "default": _default(field),
            "required": field.is_required(),
            "bounds": _bounds(field),
            "choices": _choices(field.annotation),
            "description": _description(field),
        }
        for name, field in model.model_fields.items()
    ]


def default_words(row: Row) -> str:
    """Returns the default of an option as text: a value, `null`, `empty`, or `required`.

    >>> default_words({"required": False, "default": [1, 2]})
    '1, 2'
    """
    value = row["default"]
    if row["required"]:
        return "required"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, dict)):
        return ", ".join(map(str, value)) or "empty"
    return (f"{value:.10g}" if isinstance(value, float) else str(value)) or "empty"


def options_table(component: str, fields: Sequence[Row]) -> RenderableType:
    """Returns the rows of `option_rows` as a table, for `nastk describe`."""
    if not fields:
        return Plain(Text(f"{component} has no options."))
    return Plain(_Options(fields))


class _Options:
    """Renders options in five columns; on narrow terminals in two: the name, and the rest."""

    def __init__(self, fields: Sequence[Row]) -> None:
        self._fields = fields

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield self._wide() if options.max_width >= 90 else self._narrow()

    def _wide(self) -> Table:
        """Returns the table with five columns."""
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        table.add_column("option", style="bold", no_wrap=True)
        for heading, style in (("type", "cyan"), ("default", ""), ("bounds", "")):
            table.add_column(heading, style=style, overflow="fold")
        table.add_column("description", overflow="fold", ratio=1)
        for field in self._fields:
            texts = (field["type"], default_words(field), field["bounds"], field["description"])
            table.add_row(Text(field["name"]), *map(Text, texts))
        return table

    def _narrow(self) -> Table:
        """Returns the table with two columns."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for field in self._fields:
            words = default_words(field)
            default = words if field["required"] else f"default {words}"
            facts = ", ".join(part for part in (field["type"], field["bounds"], default) if part)
            table.add_row(
                Text(field["name"]), Text.assemble((facts, "cyan"), "\n", field["description"])
            )
        return table


def options_markdown(model: type[BaseModel]) -> str:
    """Returns the options as a Markdown table, for a page of the documentation."""
    rows = option_rows(model)
    if not rows:
        return "It has no options.\n"
    lines = ["| option | type | default | bounds | description |", "|---|---|---|---|---|"]
    for row in rows:
        bounds = row["bounds"].replace(">=", "≥").replace("<=", "≤")
        cells = [
            _code(row["name"]),
            _code(row["type"]),
            _code(default_words(row)),
            bounds,
            row["description"],
        ]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def type_name(annotation: Any) -> str:
    """Returns a type's name for readers who do not know Python.

    >>> type_name(int | None), type_name(Literal["auto", "cpu"]), type_name(tuple[int, ...])
    ('int or null', 'auto, cpu', 'list of int')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(argument) for argument in arguments)
    if origin is Literal:
        return ", ".join(str(value) for value in arguments)
    if origin in (list, tuple, set, frozenset):
        return f"list of {type_name(arguments[0])}" if arguments else "list"
    if origin is dict or annotation is dict:
        return "mapping"
    if hasattr(annotation, "__metadata__"):
        return type_name(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(str(member.value) for member in annotation)
    name = getattr(annotation, "__name__", str(annotation))
    return {"str": "text", "bool": "true or false"}.get(name, name)


def _default(field: FieldInfo) -> Any:
    """Returns the default as a JSON value; None where the option is required."""
    if field.is_required():
        return None
    return to_jsonable_python(field.get_default(call_default_factory=True))


def _description(field: FieldInfo) -> str:
    """Returns the description, preceded by `experimental: ` for options marked `EXPERIMENTAL`."""
    marks, words = field.json_schema_extra, field.description or ""
    experimental = isinstance(marks, Mapping) and marks.get("experimental")
    return f"experimental: {words}" if experimental else words


def _choices(annotation: Any) -> list[Any]:
    """Returns all values that an option may have, if its type lists them; else an empty list."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        choices = [_choices(argument) for argument in arguments]
        return [value for values in choices for value in values] if all(choices) else []
    if hasattr(annotation, "__metadata__"):
        return _choices(arguments[0])
    if origin is Literal:
        return list(arguments)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [member.value for member in annotation]
    known: dict[Any, list[Any]] = {bool: [True, False], type(None): [None]}
    return known.get(annotation, [])


def _bounds(field: FieldInfo) -> str:
    """Returns the bounds of a field as text, such as `>= 1, <= 8`."""
    parts = [
        words.format(f"{limit:g}" if isinstance(limit, float) else limit)
        for rule in field.metadata
        for key, words in BOUNDS.items()
        if (limit := getattr(rule, key, None)) is not None
    ]
    return ", ".join(parts)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
