"""Values that go into files, as JSON has them: `as_json`, `number`, `finite`, `document`.

Plugins answer with what is at hand, such as numpy's numbers and tensors of one element. They become
plain ones here; what JSON has no word for (NaN, infinity, objects) is refused, with the place where
it stands.
"""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from nastk.base.errors import PluginError

DEEPEST = 100
"""Levels of a nest that are followed; what is deeper holds itself."""


def number(value: object) -> float | int | None:
    """`value` as a plain finite number; None where it is none.

    Whole numbers stay whole. Numbers of numpy and tensors without axes will do.

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
    """`value` as JSON: mappings, lists, texts, finite numbers, true, false, null.

    Tensors and arrays become lists.

    Raises:
        PluginError: it is none, or holds something that is none; begins with `where` it stands.

    >>> as_json({"steps": (1, 2.5), 7: None}, "the report")
    {'steps': [1, 2.5], '7': None}
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if (found := number(value)) is not None:
        return found
    if depth < DEEPEST:
        if isinstance(value, Mapping):
            return {
                str(key): as_json(one, f"{where}.{key}", depth + 1) for key, one in value.items()
            }
        axes: object = getattr(value, "ndim", 0)  # of a tensor or an array
        if isinstance(value, (list, tuple)) or axes:
            items = value if isinstance(value, (list, tuple)) else value.tolist()  # type: ignore[attr-defined]
            return [as_json(one, f"{where}.{place}", depth + 1) for place, one in enumerate(items)]
    raise PluginError(
        f"{where} is {_word(value)}; expected what JSON can hold: finite numbers, texts, true, "
        "false, None, and lists and mappings of them. Put None where there is no number."
    )


def finite(value: Any) -> Any:
    """A nest of JSON values with null in the place of every number that is not finite.

    >>> finite({"loss": float("inf"), "steps": [1]})
    {'loss': None, 'steps': [1]}
    """
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return value


def document(value: Any) -> bytes:
    """JSON values as an indented file; null in the place of every number that is not finite."""
    return (json.dumps(finite(value), indent=2, allow_nan=False) + "\n").encode()


def _word(value: object) -> str:
    """What a value is, in an error: a number in full, of anything else its type."""
    if isinstance(value, float):
        return f"{value}"
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + (f" of shape {tuple(shape)}" if shape else "")
