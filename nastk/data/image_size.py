"""The size of images as users write it: `read_size`, of squares and of rectangles."""

import re
from typing import Any

ImageSize = int | tuple[int, int]
"""Pixels a side of square images, or (height, width)."""

PAIR = re.compile(r"(\d{1,9})\s*x\s*(\d{1,9})")


def simplest(size: ImageSize) -> ImageSize:
    """A size with an equal pair as one number.

    >>> simplest((32, 32)), simplest((24, 32))
    (32, (24, 32))
    """
    return size if isinstance(size, int) or size[0] != size[1] else size[0]


def read_size(value: Any, least: int = 1, most: int = 2**16) -> ImageSize:
    """A size from a number, from `HEIGHTxWIDTH` or from a pair of numbers; both sides in bounds.

    Raises:
        ValueError: it is none; says what was expected, as options' validators do.

    >>> read_size(32), read_size("24x32"), read_size([24, 32]), read_size("32x32")
    (32, (24, 32), (24, 32), 32)
    """
    found = PAIR.fullmatch(value.strip()) if isinstance(value, str) else None
    parts = found.groups() if found else value
    sides = parts if isinstance(parts, (list, tuple)) and len(parts) == 2 else (parts, parts)
    height, width = map(_whole, sides)
    if (
        height is None
        or width is None
        or not least <= min(height, width) <= max(height, width) <= most
    ):
        raise ValueError(
            f"{least} to {most} pixels a side, as one number for squares or as HEIGHTxWIDTH, such "
            "as 24x32"
        )
    return simplest((height, width))


def _whole(value: Any) -> int | None:
    """A whole number; None where it is none."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None
