"""`Levels` scales grey pictures with more than 8 bits to 8 bits, with one range for the whole set.

Such files rarely use their whole range (12 bits of an X-ray, a depth in millimetres), so that their
upper 8 bits would have few levels, or only one. Therefore the range is measured on the set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from nastk_images.reading import BROKEN, unreadable
from nastk_images.stored import Picture, opened

DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
"""PIL's modes of grey pictures with more than 8 bits."""
COUNTED = 100
"""The most pictures whose values are counted, to find how many levels are left."""
MEASURED = 1000
"""The most pictures whose range is measured if a set is read during the run."""
FEW = 64
"""A set that keeps fewer levels than this, and loses others, gets a note."""


@dataclass(frozen=True)
class Levels:
    """A linear scale from `low` (0) to `high` (255); values outside are clipped.

    Example: `Levels(0, 4095).scaled(np.array([[0, 4095]]))`
    """

    low: int
    high: int
    note: str = ""

    def scaled(self, values: Int64[np.ndarray, "height width"]) -> UInt8[np.ndarray, "_ _"]:
        """Called for each picture with more than 8 bits: returns its pixels in 8 bits."""
        span = max(self.high - self.low, 1)
        inside = values.clip(self.low, self.high) - self.low
        # Adding half of the divisor rounds to the nearest level.
        return ((inside * 255 + span // 2) // span).astype(np.uint8)


def deep_values(picture: Image.Image) -> Int64[np.ndarray, "height width"]:
    """Returns the values of a grey picture with more than 8 bits."""
    return np.asarray(picture).astype(np.int64)


def measured(files: Sequence[Picture], most: int) -> Levels | None:
    """Returns the range of the grey pictures with more than 8 bits, or None if there are none.

    At most about `most` of the `files` are read, evenly spaced.

    Raises:
        DataError: a file cannot be read; the message names it.
    """
    step = max(-(-len(files) // most), 1)
    lows: list[int] = []
    highs: list[int] = []
    seen: list[Int64[np.ndarray, "_"]] = []
    for file in files[::step]:
        try:
            with opened(file) as picture:
                if picture.mode not in DEEP_MODES:
                    continue
                values = deep_values(picture)
        except BROKEN as error:
            raise unreadable(str(file), error) from None
        lows.append(int(values.min()))
        highs.append(int(values.max()))
        if len(seen) < COUNTED:
            seen.append(np.unique(values))
    if not lows:
        return None
    levels = Levels(min(lows), max(highs))
    return Levels(
        levels.low, levels.high, _note(levels, np.unique(np.concatenate(seen)), len(lows))
    )


def _note(levels: Levels, values: Int64[np.ndarray, "values"], count: int) -> str:
    """Returns the note on the range, and on levels that it loses."""
    note = (
        f"{count} grey training images have more than 8 bits; their values {levels.low} to "
        f"{levels.high} become 0 to 255."
    )
    left = len(np.unique(levels.scaled(values[None])))
    if left < min(FEW, len(values)):
        note += (
            f" Of {len(values)} values only {left} levels are left, since few are far from the "
            "others: clip the rare ones and store the images anew."
        )
    return note
