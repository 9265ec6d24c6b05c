"""What a run may spend, as people write it: `spending` reads `images=400k` and `seconds=15m`."""

import re
from typing import Literal

from nastk.base.errors import ConfigurationError

Unit = Literal["images", "seconds"]

SCALES: dict[str, dict[str, float]] = {
    "images": {"": 1.0, "k": 1e3, "M": 1e6},
    "seconds": {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0},
}
"""For each unit of a budget: what the letter behind its number means."""

NUMBER = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?)([A-Za-z]?)")


def spending(text: str) -> tuple[Unit, float]:
    """The unit of a budget, and how much of it.

    Raises:
        ConfigurationError: it is none; says how one is written.

    >>> spending("images=400k"), spending("seconds=1.5h")
    (('images', 400000.0), ('seconds', 5400.0))
    """
    name, _, value = text.partition("=")
    scales, found = SCALES.get(name, {}), NUMBER.fullmatch(value)
    amount = float(found[1]) * scales.get(found[2], 0.0) if found else 0.0
    if not 0 < amount < float("inf"):
        raise ConfigurationError(
            "A budget is written as images=400k, images=2M, seconds=900 or seconds=2h; "
            f"got {text!r}."
        )
    return ("images" if name == "images" else "seconds"), amount
