"""Reads text and JSON from untrusted files: `read_text`, `read_json`, `json_value`.

Files are read as UTF-8 whatever the locale is, up to a bounded size; pipes and devices are refused
unless the caller allows them. JSON with a repeated key is refused, and so is JSON nested deeper
than anything that nastk writes, so that later code cannot exceed the recursion limit. YAML is in
`reading_yaml.py`.
"""

import json
import stat
from pathlib import Path
from typing import Any

from nastk.base.errors import UnreadableError

LARGEST = 64 * 2**20
"""The largest file (bytes) that is read, unless the caller passes another bound."""

DEEPEST = 50
"""The deepest nesting of lists and objects that is accepted."""

MOST_DIGITS = 400
"""The most digits of a whole number; no meaningful number has so many."""


def read_text(path: Path, largest: int = LARGEST, pipes: bool = False) -> str:
    """Returns the UTF-8 text in a file, without a byte order mark.

    Args:
        path: the file.
        largest: the largest size in bytes that is read.
        pipes: True to read pipes and devices too, such as /dev/stdin.

    Raises:
        UnreadableError: it is missing, not a file, too large, or not UTF-8.
    """
    try:
        # The kind is checked before opening, because opening a pipe waits for a writer.
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or pipes):
            raise UnreadableError(path, "it is a pipe or a device, not a file")
        with open(path, "rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise UnreadableError(path, error.strerror or str(error)) from None
    except ValueError as error:  # an invalid name, such as one with a null character
        raise UnreadableError(path, str(error)) from None
    if len(content) > largest:
        raise UnreadableError(path, f"it is larger than {largest / 2**20:,.0f} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position = f"byte {content[error.start]:#04x} at position {error.start}"
        raise UnreadableError(path, f"it is no UTF-8 text ({position})") from None


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """Returns the JSON value in a file.

    Raises:
        UnreadableError: it is missing, not a file, too large, or not JSON as `json_value` reads it.
    """
    text = read_text(path, largest)
    try:
        return json_value(text)
    except ValueError as error:
        raise UnreadableError(path, f"it is no JSON ({error})") from None


def read_json_object(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """Returns the JSON object in a file, as a mapping.

    Raises:
        UnreadableError: as for `read_json`, or the value in the file is not an object.
    """
    value = read_json(path, largest)
    if not isinstance(value, dict):
        raise UnreadableError(path, "it holds no JSON object")
    return value


def json_value(text: str) -> Any:
    """Returns the value of a JSON text.

    Raises:
        ValueError: it is not JSON, repeats a key, is nested too deeply, or has a whole number of
            more than `MOST_DIGITS` digits.

    >>> json_value('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=whole_number)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    check_plain(value)
    return value


def json_object_in(text: str) -> dict[str, Any] | None:
    """Returns the JSON object that a text is; None for any other text.

    >>> json_object_in('{"a": 1}'), json_object_in("[1]"), json_object_in("{a}")
    ({'a': 1}, None, None)
    """
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json_value(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def check_plain(value: Any, most: int | None = None) -> None:
    """Refuse a value that is not a JSON value, is nested too deeply, or is too large.

    Args:
        value: the value to check.
        most: the largest number of values in it; None for any number.

    Raises:
        ValueError: it is one of these; the message says which.
    """
    depth, count, layer = 0, 0, [[value]]
    while layer:
        if depth > DEEPEST:
            raise ValueError(_too_deep())
        deeper: list[Any] = []
        for holder in layer:
            inside = holder.values() if isinstance(holder, dict) else holder
            count += len(inside)
            # Counted before they are collected: aliases in YAML can repeat values without end.
            if most is not None and count > most:
                raise ValueError(f"it holds more than {most:,} values")
            deeper.extend(element for element in inside if _is_container(element))
        layer, depth = deeper, depth + 1


def _is_container(value: Any) -> bool:
    """True if a value is a list or a mapping.

    Raises:
        ValueError: the value is of a type that JSON does not have.
    """
    if value is not None and not isinstance(value, (dict, list, str, int, float)):
        raise ValueError(f"it holds a {type(value).__name__}, which JSON does not know")
    return isinstance(value, (dict, list))


def whole_number(text: str) -> int:
    """Returns the whole number with these digits.

    Raises:
        ValueError: there are more than `MOST_DIGITS` of them.
    """
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {repeated!r} stands twice; leave one out")
    return mapping


def _too_deep() -> str:
    return f"it is nested more than {DEEPEST} deep"
