"""Which form the pictures of a folder get: one size and one number of channels for all."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from nastk.data import BEHIND, ImageSize
from nastk_images.pictures import Look, look

LOOKED_AT = 100_000
"""Headers read at most, evenly spaced over the files: two to three seconds for cached files."""
SIZES = (32, 64, 224)
"""The sizes that pictures are scaled to where nobody says one."""


@dataclass(frozen=True)
class Form:
    """Images of this `size` with 1 or 3 `channels`, and what the user should know of why.

    `deep`: some pictures are grey with more than 8 bits.
    """

    size: ImageSize
    channels: int
    deep: bool = False
    notes: tuple[str, ...] = ()


def form_of(files: Sequence[str], size: ImageSize | None) -> Form:
    """Look at the pictures' headers and decide.

    Without `size`: pictures that are all square, of one size and at most 64 pixels keep it. All
    others are scaled to the largest of 32, 64 and 224 pixels that the shorter side of the middle
    picture reaches (below 32: to that side). Only grey pictures give one channel; grey and colour
    together give three, with a note.

    Raises:
        DataError: names a file that is no picture.
    """
    step = -(-len(files) // LOOKED_AT)
    looks = [look(file) for file in files[::step]]
    grey = sum(each.grey for each in looks)
    notes = _of_pixels(looks)
    sides = Counter((each.height, each.width) for each in looks)
    if size is None:
        size = _usual_size(sides)
    wanted = (size, size) if isinstance(size, int) else size
    if set(sides) != {wanted}:
        usual = "x".join(map(str, sides.most_common(1)[0][0]))
        have = f"{usual} pixels" if len(sides) == 1 else f"{len(sides)} sizes, most often {usual}"
        how = "scaled" if _similar(sides, wanted) else "scaled and cut"
        notes.append(
            f"The images have {have} (height x width); they are {how} to {wanted[0]}x{wanted[1]} "
            "(`-d size=N` or `-d size=HEIGHTxWIDTH` changes it)."
        )
    deep = any(each.deep for each in looks)
    return Form(size, 1 if grey == len(looks) else 3, deep, tuple(notes))


def _of_pixels(looks: Sequence[Look]) -> list[str]:
    """In words: what happens to colours, to transparency and to more than 8 bits."""
    grey, clear, cut = (
        sum(getattr(each, name) for each in looks) for name in ("grey", "clear", "cut")
    )
    notes = []
    if 0 < grey < len(looks):
        notes.append(
            f"{grey} of {len(looks)} images are grey and the others have colours; all are read as "
            "RGB."
        )
    if clear:
        notes.append(
            f"{clear} of {len(looks)} images can have transparent parts; they are laid over grey "
            f"({BEHIND} of 255)."
        )
    if cut:
        notes.append(
            f"{cut} of {len(looks)} images have 16 bits in each of several channels, of which the "
            "upper 8 are read; dark or flat ones lose levels. Store them with 8 bits."
        )
    return notes


def _similar(sides: Counter[tuple[int, int]], wanted: tuple[int, int]) -> bool:
    """True if all pictures are as wide for their height as they are to be."""
    return all(height * wanted[1] == width * wanted[0] for height, width in sides)


def _usual_size(sides: Counter[tuple[int, int]]) -> int:
    """The size by the rule of `form_of`."""
    height, width = next(iter(sides))
    if len(sides) == 1 and width == height <= 64:
        return width
    shorter = median_low(min(pair) for pair in sides.elements())
    return max((size for size in SIZES if size <= shorter), default=shorter)
