"""Grey pictures of more than 8 bits: which of their values become black and white, for all alike.

Such files seldom use their whole range: 12 bits of an X-ray, a depth in millimetres. Their upper 8
bits would be a few levels, or one. So the range is that of the set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from nastk_images.reading import BROKEN, unreadable

DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
"""What PIL calls grey pictures with more than 8 bits."""
COUNTED = 100
"""Pictures whose values are counted, to say how many levels are left."""
MEASURED = 1000
"""Pictures whose range is measured where a set is read as the run goes on."""
FEW = 64
"""A set that keeps fewer levels than this, of many more, is worth a word."""


@dataclass(frozen=True)
class Levels:
    """`low` becomes 0 and `high` 255, in equal steps between; what lies beyond is clipped.

    Example: `Levels(0, 4095).scaled(np.array([[0, 4095]]))`
    """

    low: int
    high: int
    note: str = ""

    def scaled(self, values: Int64[np.ndarray, "height width"]) -> UInt8[np.ndarray, "_ _"]:
        """Called for each picture with more than 8 bits: its pixels in 8."""
        span = max(self.high - self.low, 1)
        inside = values.clip(self.low, self.high) - self.low
        return ((inside * 255 + span // 2) // span).astype(np.uint8)


def deep_values(picture: Image.Image) -> Int64[np.ndarray, "height width"]:
    """The values of a grey picture with more than 8 bits."""
    return np.asarray(picture).astype(np.int64)


def measured(files: Sequence[str], most: int) -> Levels | None:
    """The range of the deep grey pictures among at most so many `files`, evenly spaced.

    None where there are none.

    Raises:
        DataError: names a file that cannot be read.
    """
    step = max(-(-len(files) // most), 1)
    lows: list[int] = []
    highs: list[int] = []
    seen: list[Int64[np.ndarray, "_"]] = []
    for file in files[::step]:
        try:
            with Image.open(file) as picture:
                if picture.mode not in DEEP_MODES:
                    continue
                values = deep_values(picture)
        except BROKEN as error:
            raise unreadable(file, error) from None
        lows.append(int(values.min()))
        highs.append(int(values.max()))
        if len(seen) < COUNTED:
            seen.append(np.unique(values))
    if not lows:
        return None
    found = Levels(min(lows), max(highs))
    return Levels(found.low, found.high, _said(found, np.unique(np.concatenate(seen)), len(lows)))


def _said(levels: Levels, values: Int64[np.ndarray, "values"], count: int) -> str:
    """What the user should know of the range, and of levels that it costs."""
    said = (
        f"{count} grey training images have more than 8 bits; their values {levels.low} to "
        f"{levels.high} become 0 to 255."
    )
    left = len(np.unique(levels.scaled(values[None])))
    if left < min(FEW, len(values)):
        said += (
            f" Of {len(values)} values only {left} levels are left, since few are far from the "
            "others: clip the rare ones and store the images anew."
        )
    return said
