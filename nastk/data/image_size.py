"""Reads the size of images as users write it, for squares and rectangles: `read_size`."""

import re
from typing import Any

ImageSize = int | tuple[int, int]
"""The side of square images in pixels, or (height, width)."""

PAIR = re.compile(r"(\d{1,9})\s*x\s*(\d{1,9})")


def simplest(size: ImageSize) -> ImageSize:
    """Returns a size, with a pair of equal numbers as one number.

    >>> simplest((32, 32)), simplest((24, 32))
    (32, (24, 32))
    """
    return size if isinstance(size, int) or size[0] != size[1] else size[0]


def read_size(value: Any, least: int = 1, most: int = 2**16) -> ImageSize:
    """Returns a size, from a number, from `HEIGHTxWIDTH` or from a pair of numbers.

    Raises:
        ValueError: it is none of these, or a side is not from `least` to `most` pixels. The message
            is what was expected, as in validators of options.

    >>> read_size(32), read_size("24x32"), read_size([24, 32]), read_size("32x32")
    (32, (24, 32), (24, 32), 32)
    """
    match = PAIR.fullmatch(value.strip()) if isinstance(value, str) else None
    parts = match.groups() if match else value
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
    """Returns a whole number, from a number or its digits; None if it is not one."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None
