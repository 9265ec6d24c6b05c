"""`PictureFiles` decodes picture files to uint8 pixels of one size, whole or cropped at random."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image, ImageOps
from torch import Tensor

from nastk.data import ImageSize, Preparation, is_clear, opaque, usual_workers
from nastk_images.levels import DEEP_MODES, MEASURED, Levels, deep_values, measured
from nastk_images.reading import BROKEN, unreadable
from nastk_images.stored import Picture, in_threads, opened

GREY_MODES = DEEP_MODES | {"1", "L", "LA", "La", "F"}
ORIENTED = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""The keys under which formats store a picture's orientation."""
MIDDLE = 7 / 8
"""The part of the sides that is left where pictures are cropped at random in training."""
RANDOM_CROP_FROM = 128
"""The size in pixels from which files read during a run are cropped at random places and scales."""


@dataclass(frozen=True)
class Look:
    """The properties of a picture in its header: its size in pixels, and the kind of its pixels.

    `grey` is true without colours, `deep` for grey with more than 8 bits, `cut` for colours with
    more than 8 bits, of which PIL keeps 8, and `clear` if parts are or may be transparent.
    """

    width: int
    height: int
    grey: bool
    deep: bool
    cut: bool
    clear: bool


def look(file: Picture) -> Look:
    """Reads the header of a picture.

    Raises:
        DataError: the file is no picture; the message names it.
    """
    try:
        with opened(file) as picture:
            return Look(
                *picture.size,
                grey=picture.mode in GREY_MODES,
                deep=picture.mode in DEEP_MODES,
                cut=_cut(picture),
                clear=is_clear(picture),
            )
    except BROKEN as error:
        raise unreadable(str(file), error) from None


@dataclass(frozen=True)
class PictureFiles:
    """Pictures as an `ImageFile`, which reads them at `size`, with 1 or 3 `channels`.

    A whole picture is scaled until it covers the size, then cut to the middle. With `random_crop`,
    reading with a seed takes a random part instead: 8 to 100 % of the area, with proportions from
    3:4 to 4:3 of those of the size (Szegedy et al. 2015); reading without a seed takes the middle
    seven eighths, as is usual for ImageNet. `levels` is the range of grey pictures with more than 8
    bits; if it is not set, it is measured on these files when the first such picture is read.

    Example: `PictureFiles(("a.jpg", "b.png"), size=32, channels=3).read(0, seed=None).shape`
    """

    files: tuple[Picture, ...]
    size: ImageSize
    channels: int
    random_crop: bool = False
    levels: Levels | None = None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int, seed: int | None) -> UInt8[Tensor, "channels height width"]:
        """See `ImageFile.read`."""
        return torch.from_numpy(self._pixels(index, seed)).permute(2, 0, 1)

    @property
    def preparation(self) -> Preparation:
        """How a picture is read without a seed."""
        levels = None if self.levels is None else (self.levels.low, self.levels.high)
        return Preparation(MIDDLE if self.random_crop else 1.0, levels)

    def select(self, indices: Int[Tensor, "some"]) -> "PictureFiles":
        """See `Selectable.select`."""
        return replace(self, files=tuple(self.files[index] for index in indices.tolist()))

    def read_all(self) -> UInt8[Tensor, "images channels height width"]:
        """Called for sets that fit in memory: returns every picture, whole."""
        pixels = np.empty((len(self), *self._sides, self.channels), dtype=np.uint8)

        def block(start: int) -> None:
            for index in range(start, min(start + 64, len(self))):
                pixels[index] = self._pixels(index, None)

        starts = range(0, len(self), 64)
        if in_threads(self.files[0]):
            with ThreadPoolExecutor(usual_workers()) as pool:
                list(pool.map(block, starts))
        else:
            for start in starts:
                block(start)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    def _pixels(
        self, index: int, seed: int | None
    ) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
        """Returns a picture, height x width x channels."""
        file, (height, width) = self.files[index], self._sides
        part = self.random_crop and seed is not None
        try:
            with opened(file) as picture:
                if not part:
                    # A large JPEG decodes faster at a fraction of its size; four times the wanted
                    # size is enough for good scaling.
                    picture.draft(None, (4 * width, 4 * height))
                upright = _upright(picture)
                if upright.mode in DEEP_MODES:
                    upright = Image.fromarray(self._range.scaled(deep_values(upright)))
                plain = _plain(upright, self.channels)
                box = (
                    _random_box(plain.size, seed, width / height)
                    if part and seed is not None
                    else self._middle(plain.size)
                )
                whole = plain.size == (width, height) and box == (0, 0, width, height)
                fitted = (
                    plain
                    if whole
                    else plain.resize((width, height), Image.Resampling.BILINEAR, box=box)
                )
                return np.array(fitted, dtype=np.uint8).reshape(height, width, self.channels)
        except BROKEN as error:
            raise unreadable(str(file), error) from None

    @property
    def _sides(self) -> tuple[int, int]:
        """The height and width of the result, in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @cached_property
    def _range(self) -> Levels:
        return self.levels or measured(self.files, MEASURED) or Levels(0, 2**16 - 1)

    def _middle(self, sides: tuple[int, int]) -> tuple[float, float, float, float]:
        """Returns the largest middle box in the proportions of the size; with crops, 7/8 of it."""
        (width, height), (high, wide) = sides, self._sides
        part = self.preparation.middle
        if width * high <= height * wide:
            return _centred(width, height, width * part, width * high / wide * part)
        return _centred(width, height, height * wide / high * part, height * part)


def _centred(
    width: int, height: int, wide: float, high: float
) -> tuple[float, float, float, float]:
    """Returns the middle box of `wide` x `high` pixels of a picture: left, top, right, bottom."""
    left, top = (width - wide) / 2, (height - high) / 2
    return (left, top, left + wide, top + high)


def _cut(picture: Image.Image) -> bool:
    """True if PIL reads only the upper 8 of more bits, by the storage formats of its tiles."""
    stored: list[object] = []
    for tile in getattr(picture, "tile", ()):
        stored += tile[3] if isinstance(tile[3], tuple) else (tile[3],)
    wide = any(isinstance(item, str) and ";16" in item for item in stored)
    if picture.format == "PPM":  # its tiles contain the largest value instead
        wide = any(isinstance(item, int) and item > 255 for item in stored)
    return wide and picture.mode not in DEEP_MODES


def _upright(picture: Image.Image) -> Image.Image:
    """Returns the picture in the orientation that its EXIF data specify."""
    info = picture.info
    if picture.format == "TIFF" or any(key in info for key in ORIENTED):
        ImageOps.exif_transpose(picture, in_place=True)
    return picture


def _plain(picture: Image.Image, channels: int) -> Image.Image:
    """Returns the picture with 8-bit grey or RGB pixels, without transparency."""
    if picture.mode == "F":
        raise ValueError("pixels are floating-point numbers; expected 8 or 16 bits")
    elif is_clear(picture):
        picture = opaque(picture)
    mode = "L" if channels == 1 else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _random_box(sides: Sequence[int], seed: int, ratio: float) -> tuple[float, float, float, float]:
    """Returns a random box in a picture; after ten misfits, the middle in allowed proportions.

    `ratio` is width / height of the size to which the box is scaled.
    """
    rng = random.Random(seed)
    width, height = sides
    for _ in range(10):
        area = width * height * rng.uniform(0.08, 1.0)
        proportion = ratio * (4 / 3) ** rng.uniform(-1.0, 1.0)
        wide, high = round((area * proportion) ** 0.5), round((area / proportion) ** 0.5)
        if 0 < wide <= width and 0 < high <= height:
            left, top = rng.randint(0, width - wide), rng.randint(0, height - high)
            return (float(left), float(top), float(left + wide), float(top + high))
    most_wide = min(float(width), height * 4 / 3 * ratio)
    most_high = min(float(height), width * 4 / 3 / ratio)
    return _centred(width, height, most_wide, most_high)
