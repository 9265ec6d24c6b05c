"""The forms in which programs print a cell, brought to one: `fields`.

A call `Genotype(...)` anywhere in a text (a line of a log, a module's name before it, keywords or
positions), a dict with the same fields (XAutoDL), or a configuration of NAS-Bench-301. Nothing is
run. `genotype.py` checks what the fields hold.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nastk import DataError
from nastk.base import called, expression, printed, value_of

GROUPS = ("normal", "reduce")
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
UNUSED = ("connectN", "connects")
"""Fields of GDAS's `Genotype` that say nothing of a cell."""

FORMS = (
    "Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, ...], reduce=[...], "
    "reduce_concat=[...]), such a dict, or a published cell's name"
)
"""What can be read, for messages."""

CALL = re.compile(r"\bGenotype\s*\(")
TABULAR = "NetworkSelectorDatasetInfo:darts:"
"""What NAS-Bench-301 writes before the names of a cell's parts."""


def fields(text: str) -> dict[str, Any]:
    """The fields `normal`, `normal_concat`, ... of the one cell in `text`; some may be missing.

    Raises:
        DataError: there is none, or several different ones; says where it stops being one.
    """
    calls = [_of_call(piece) for piece in _calls(text)]
    if not calls:
        return _of_dict(text)
    if any(each != calls[0] for each in calls):
        raise DataError(
            f"This text holds {len(calls)} genotypes, not all the same. Give the one that is meant "
            "alone (a search's log ends with the last)."
        )
    return calls[0]


def _calls(text: str) -> Iterator[str]:
    """Each `Genotype(...)` in the text, up to its closing bracket, or to the end if it has none."""
    for found in CALL.finditer(text):
        yield text[found.start() : _closing(text, found.end())]


def _closing(text: str, start: int) -> int:
    """One past the bracket that closes the one before `start`; brackets in quotes do not count."""
    depth, quote = 1, ""
    for place in range(start, len(text)):
        sign = text[place]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "()":
            depth += 1 if sign == "(" else -1
            if depth == 0:
                return place + 1
    return len(text)


def _of_call(piece: str) -> dict[str, Any]:
    try:
        node = expression(piece)
    except ValueError as error:
        raise DataError(f"This stops being a genotype {error}.") from None
    assert called(node) == "Genotype", piece
    given = [*zip(FIELDS, node.args, strict=False)]  # type: ignore[attr-defined]
    given += [(each.arg, each.value) for each in node.keywords]  # type: ignore[attr-defined]
    names = [str(name) for name, _ in given]
    for name in names:
        if name not in (*FIELDS, *UNUSED) or names.count(name) > 1:
            why = "is given twice" if names.count(name) > 1 else "is no field of a genotype"
            raise DataError(f"{name!r} {why}. It has: {', '.join(FIELDS)}.")
    found = {}
    for name, value in given:
        if name in UNUSED:
            continue
        try:
            found[name] = value_of(value)
        except ValueError as error:
            raise DataError(f"{name} of the genotype is no plain value ({error}).") from None
    return found


def _of_dict(text: str) -> dict[str, Any]:
    """The fields of the dict in the text."""
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
    """A cell from NAS-Bench-301's names: edges numbered node by node, the inputs of each node."""
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
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
