"""Reads budgets as users write them: `spending` reads `images=400k` or `cpu_seconds=15m`."""

import re
from typing import Literal

from nastk.base.errors import ConfigurationError

Unit = Literal["images", "seconds", "cpu_seconds"]

_TIME = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
SCALES: dict[Unit, dict[str, float]] = {
    "images": {"": 1.0, "k": 1e3, "M": 1e6},
    "seconds": _TIME,
    "cpu_seconds": _TIME,
}
"""For each unit of a budget: the factor of each letter that may follow the number."""

NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?)([A-Za-z]?)")


def spending(text: str) -> tuple[Unit, float]:
    """Returns the unit and the amount of a budget.

    Raises:
        ConfigurationError: `text` is not a budget; the message has examples.

    >>> spending("images=400k"), spending("seconds=1.5h")
    (('images', 400000.0), ('seconds', 5400.0))
    """
    name, _, value = text.partition("=")
    unit = next((unit for unit in SCALES if unit == name), None)
    match = NUMBER.fullmatch(value)
    scales = SCALES[unit] if unit else {}
    amount = float(match[1]) * scales.get(match[2], 0.0) if match else 0.0
    if unit is None or not 0 < amount < float("inf"):
        raise ConfigurationError(
            "A budget is written as images=400k, images=2M, seconds=900, seconds=2h or "
            f"cpu_seconds=15m; got {text!r}."
        )
    return unit, amount
