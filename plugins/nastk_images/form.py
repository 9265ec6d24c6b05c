"""`form_of` decides the size and the number of channels for all pictures of a folder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low

from nastk.data import BEHIND, ImageSize
from nastk_images.pictures import Look, look
from nastk_images.stored import Picture

LOOKED_AT = 100_000
"""The most headers that are read, evenly spaced: two to three seconds for cached files."""
SIZES = (32, 64, 224)
"""The sizes that pictures are scaled to if no size is given."""


@dataclass(frozen=True)
class Form:
    """The form of all images: their `size`, 1 or 3 `channels`, and `notes` that give the reasons.

    `deep` is true if some pictures are grey with more than 8 bits.
    """

    size: ImageSize
    channels: int
    deep: bool = False
    notes: tuple[str, ...] = ()


def form_of(files: Sequence[Picture], size: ImageSize | None) -> Form:
    """Returns the form of pictures, decided by their headers.

    Without `size`, pictures that are all square, of the same size and at most 64 pixels wide keep
    their size. All others are scaled to the largest of 32, 64 and 224 pixels that is not above the
    median of the pictures' shorter sides (below 32: to that median). If all pictures are grey,
    there is one channel; grey and colour pictures together give three, with a note.

    Raises:
        DataError: a file is no picture; the message names it.
    """
    step = -(-len(files) // LOOKED_AT)
    looks = [look(file) for file in files[::step]]
    grey = sum(header.grey for header in looks)
    notes = _of_pixels(looks)
    sides = Counter((header.height, header.width) for header in looks)
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
    deep = any(header.deep for header in looks)
    return Form(size, 1 if grey == len(looks) else 3, deep, tuple(notes))


def _of_pixels(looks: Sequence[Look]) -> list[str]:
    """Returns notes on the treatment of colours, of transparency and of more than 8 bits."""
    grey, clear, cut = (
        sum(getattr(header, name) for header in looks) for name in ("grey", "clear", "cut")
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
    """True if all pictures have the proportions of the wanted size."""
    return all(height * wanted[1] == width * wanted[0] for height, width in sides)


def _usual_size(sides: Counter[tuple[int, int]]) -> int:
    """Returns the size by the rule of `form_of`."""
    height, width = next(iter(sides))
    if len(sides) == 1 and width == height <= 64:
        return width
    shorter = median_low(min(pair) for pair in sides.elements())
    return max((size for size in SIZES if size <= shorter), default=shorter)
