"""`fields` reads the forms in which programs print a cell.

The forms are a call `Genotype(...)` anywhere in a text (in a line of a log, after a module's name,
with keyword or positional arguments), a dict with the same fields (XAutoDL), and a configuration
of NAS-Bench-301. No code in the text is run. `genotype.py` checks the values of the fields.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nastk import DataError
from nastk.base import called, expression, printed, value_of

GROUPS = ("normal", "reduce")
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
UNUSED = ("connectN", "connects")
"""Fields of GDAS's `Genotype` that do not describe a cell."""

FORMS = (
    "Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, ...], reduce=[...], "
    "reduce_concat=[...]), such a dict, or a published cell's name"
)
"""The readable forms, for error messages."""

CALL = re.compile(r"\bGenotype\s*\(")
TABULAR = "NetworkSelectorDatasetInfo:darts:"
"""The prefix of NAS-Bench-301's names of the parts of a cell."""


def fields(text: str) -> dict[str, Any]:
    """Returns the fields `normal`, `normal_concat`, ... of the cell in `text`; some may be missing.

    Raises:
        DataError: the text holds no genotype, or several different ones; the message says where it
            departs from the expected form.
    """
    calls = [_of_call(piece) for piece in _calls(text)]
    if not calls:
        return _of_dict(text)
    if any(call != calls[0] for call in calls):
        raise DataError(
            f"This text holds {len(calls)} genotypes, not all the same. Give the one that is meant "
            "alone (a search's log ends with the last)."
        )
    return calls[0]


def _calls(text: str) -> Iterator[str]:
    """Yields every `Genotype(...)` in the text, to its closing bracket, or to the text's end."""
    for match in CALL.finditer(text):
        yield text[match.start() : _closing(text, match.end())]


def _closing(text: str, start: int) -> int:
    """Returns the index after the bracket that closes the bracket just before `start`.

    Brackets in quotes do not count.
    """
    depth, quote = 1, ""
    for index in range(start, len(text)):
        character = text[index]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return index + 1
    return len(text)


def _of_call(piece: str) -> dict[str, Any]:
    """Returns the fields of a call `Genotype(...)`."""
    try:
        node = expression(piece)
    except ValueError as error:
        raise DataError(f"This stops being a genotype {error}.") from None
    assert called(node) == "Genotype", piece
    given = [*zip(FIELDS, node.args, strict=False)]  # type: ignore[attr-defined]
    given += [(keyword.arg, keyword.value) for keyword in node.keywords]  # type: ignore[attr-defined]
    names = [str(name) for name, _ in given]
    for name in names:
        if name not in (*FIELDS, *UNUSED) or names.count(name) > 1:
            why = "is given twice" if names.count(name) > 1 else "is no field of a genotype"
            raise DataError(f"{name!r} {why}. It has: {', '.join(FIELDS)}.")
    values = {}
    for name, value in given:
        if name in UNUSED:
            continue
        try:
            values[name] = value_of(value)
        except ValueError as error:
            raise DataError(f"{name} of the genotype is no plain value ({error}).") from None
    return values


def _of_dict(text: str) -> dict[str, Any]:
    """Returns the fields of the dict in the text."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise DataError(f"This text holds no genotype. Expected {FORMS}; got {_short(text)}.")
    try:
        value = printed(text[start : end + 1])
    except ValueError as error:
        raise DataError(f"This stops being a genotype {error}. Expected {FORMS}.") from None
    if any(str(key).startswith(TABULAR) for key in value):
        return {
            name: part
            for group in GROUPS
            for name, part in ((group, _tabular(value, group)), (f"{group}_concat", [2, 3, 4, 5]))
        }
    if not all(group in value for group in GROUPS):
        raise DataError(
            f"This dict holds no genotype; it has {', '.join(map(repr, value)) or 'nothing'}. "
            f"Expected {FORMS}."
        )
    return {name: value[name] for name in FIELDS if name in value}


def _tabular(config: Mapping[Any, Any], group: str) -> list[list[Any]]:
    """Returns a cell's links, [operation, source], from NAS-Bench-301's configuration.

    It numbers the edges of a cell node by node, and names the inputs of each node.
    """
    links = []
    first = 0
    for node in range(2, 6):
        inputs = config.get(f"{TABULAR}inputs_node_{group}_{node}", "0_1")
        sources = [int(part) for part in str(inputs).split("_") if part.isdecimal()]
        for source in sources:
            name = config.get(f"{TABULAR}edge_{group}_{first + source}")
            if name is None:
                raise DataError(
                    f"This configuration says nothing of {TABULAR}edge_{group}_{first + source}, "
                    f"which node {node} of the {group} cell reads."
                )
            links.append([name, source])
        first += node
    return links


def _short(value: Any) -> str:
    """Returns `repr(value)`, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
