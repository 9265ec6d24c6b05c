"""Converts values to JSON for files: `as_json`, `number`, `finite`, `document`.

Plugins return values such as numpy numbers and tensors with one element, which become plain numbers
here. Values that JSON cannot hold (NaN, infinity, objects) are refused; the message says where in
the nest they are.
"""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from nastk.base.errors import PluginError

DEEPEST = 100
"""The deepest nesting that is converted; a deeper value probably contains itself."""


def number(value: object) -> float | int | None:
    """Returns `value` as a plain finite number, or None if it is not one.

    Whole numbers stay whole. Numbers of numpy and tensors without axes are accepted.

    >>> number(3), number(0.5), number("0.5"), number(float("nan"))
    (3, 0.5, None, None)
    """
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        try:
            value = value.item()
        except RuntimeError:  # a tensor without storage
            return None
    if not isinstance(value, (bool, int, float)):
        return None
    if isinstance(value, int):
        return int(value) if abs(value) < 2**1000 else None
    return value if isfinite(value) else None


def as_json(value: object, where: str, depth: int = 0) -> Any:
    """Returns `value` as JSON: mappings, lists, texts, finite numbers, true, false, null.

    Tensors and arrays become lists. `depth` is the nesting so far.

    Raises:
        PluginError: it is not a JSON value, or contains one that is not; the message begins with
            `where`, the name of the value.

    >>> as_json({"steps": (1, 2.5), 7: None}, "the report")
    {'steps': [1, 2.5], '7': None}
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if (plain := number(value)) is not None:
        return plain
    if depth < DEEPEST:
        if isinstance(value, Mapping):
            return {
                str(key): as_json(inner, f"{where}.{key}", depth + 1)
                for key, inner in value.items()
            }
        axes: object = getattr(value, "ndim", 0)  # of a tensor or an array
        if isinstance(value, (list, tuple)) or axes:
            items = value if isinstance(value, (list, tuple)) else value.tolist()  # type: ignore[attr-defined]
            return [
                as_json(item, f"{where}.{index}", depth + 1) for index, item in enumerate(items)
            ]
    raise PluginError(
        f"{where} is {_word(value)}; expected what JSON can hold: finite numbers, texts, true, "
        "false, None, and lists and mappings of them. Put None where there is no number."
    )


def finite(value: Any) -> Any:
    """Returns JSON values with null in place of every number that is not finite.

    >>> finite({"loss": float("inf"), "steps": [1]})
    {'loss': None, 'steps': [1]}
    """
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def document(value: Any) -> bytes:
    """Returns JSON values as the bytes of an indented file, with null for non-finite numbers."""
    return (json.dumps(finite(value), indent=2, allow_nan=False) + "\n").encode()


def _word(value: object) -> str:
    """Returns a value's description for an error: a number in full, the type of anything else."""
    if isinstance(value, float):
        return f"{value}"
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + (f" of shape {tuple(shape)}" if shape else "")
