"""Reads budgets as users write them: `spending` reads `images=400k` and `seconds=15m`."""

import re
from typing import Literal

from nastk.base.errors import ConfigurationError

Unit = Literal["images", "seconds"]

SCALES: dict[str, dict[str, float]] = {
    "images": {"": 1.0, "k": 1e3, "M": 1e6},
    "seconds": {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0},
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
    scales, match = SCALES.get(name, {}), NUMBER.fullmatch(value)
    amount = float(match[1]) * scales.get(match[2], 0.0) if match else 0.0
    if not 0 < amount < float("inf"):
        raise ConfigurationError(
            "A budget is written as images=400k, images=2M, seconds=900 or seconds=2h; "
            f"got {text!r}."
        )
    return ("images" if name == "images" else "seconds"), amount
