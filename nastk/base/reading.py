"""Text and JSON from files that anybody may have written: `read_text`, `read_json`, `json_value`.

Files are UTF-8 whatever the locale says, of a bounded size, and no pipes or devices unless these
were asked for. JSON is refused where a key stands twice or where it is nested deeper than anything
that nastk writes, so that nothing later runs out of stack. YAML is in `reading_yaml.py`.
"""

import json
import stat
from pathlib import Path
from typing import Any

from nastk.base.errors import UnreadableError

LARGEST = 64 * 2**20
"""Bytes of a file that is read at once, unless its reader says otherwise."""

DEEPEST = 50
"""How deep lists and objects may be nested."""

MOST_DIGITS = 400
"""Digits of a whole number; more than any number that means something."""


def read_text(path: Path, largest: int = LARGEST, pipes: bool = False) -> str:
    """The UTF-8 text in a file, without a byte order mark.

    Args:
        path: the file.
        largest: the most bytes that are read.
        pipes: read pipes and devices too, such as /dev/stdin.

    Raises:
        UnreadableError: it is missing, no file, too large, or not UTF-8.
    """
    try:
        # Looked at before it is opened: opening a pipe waits for somebody to write.
        kind = path.stat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or pipes):
            raise UnreadableError(path, "it is a pipe or a device, not a file")
        with open(path, "rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise UnreadableError(path, error.strerror or str(error)) from None
    except ValueError as error:  # a name that no file can have
        raise UnreadableError(path, str(error)) from None
    if len(content) > largest:
        raise UnreadableError(path, f"it is larger than {largest / 2**20:,.0f} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"byte {content[error.start]:#04x} at position {error.start}"
        raise UnreadableError(path, f"it is no UTF-8 text ({place})") from None


def read_json(path: Path, largest: int = LARGEST) -> Any:
    """The JSON value in a file.

    Raises:
        UnreadableError: it is missing, no file, too large, or no JSON that `json_value` takes.
    """
    text = read_text(path, largest)
    try:
        return json_value(text)
    except ValueError as error:
        raise UnreadableError(path, f"it is no JSON ({error})") from None


def read_json_object(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """The JSON object in a file, as a mapping.

    Raises:
        UnreadableError: as for `read_json`, or the file holds another kind of value.
    """
    value = read_json(path, largest)
    if not isinstance(value, dict):
        raise UnreadableError(path, "it holds no JSON object")
    return value


def json_value(text: str) -> Any:
    """The value that a JSON text says.

    Raises:
        ValueError: it is no JSON, says a key twice, is nested too deeply, or holds a whole number
            of hundreds of digits.

    >>> json_value('{"a": [1, 2]}')
    {'a': [1, 2]}
    """
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=whole_number)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    check_plain(value)
    return value


def check_plain(value: Any, most: int | None = None) -> None:
    """Refuse what JSON cannot say, is nested too deeply or, with `most`, holds more values.

    Raises:
        ValueError: it is.
    """
    depth, count, layer = 0, 0, [[value]]
    while layer:
        if depth > DEEPEST:
            raise ValueError(_too_deep())
        deeper: list[Any] = []
        for holder in layer:
            inside = holder.values() if isinstance(holder, dict) else holder
            count += len(inside)
            # Looked at before they are kept: an alias of YAML can stand for any number of values.
            if most is not None and count > most:
                raise ValueError(f"it holds more than {most:,} values")
            deeper.extend(one for one in inside if _holds_more(one))
        layer, depth = deeper, depth + 1


def _holds_more(value: Any) -> bool:
    """Whether a value is a list or a mapping; refuses what JSON does not know."""
    if value is not None and not isinstance(value, (dict, list, str, int, float)):
        raise ValueError(f"it holds a {type(value).__name__}, which JSON does not know")
    return isinstance(value, (dict, list))


def whole_number(text: str) -> int:
    """A whole number from its digits.

    Raises:
        ValueError: there are hundreds of them.
    """
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands twice; leave one out")
    return found


def _too_deep() -> str:
    return f"it is nested more than {DEEPEST} deep"
