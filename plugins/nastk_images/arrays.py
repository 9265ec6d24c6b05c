"""`ArrayFiles` reads arrays of numpy as images of any number of channels; nothing is scaled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from nastk import ConfigurationError, DataError
from nastk.data import ImageSize, as_pixels
from nastk_images.form import LOOKED_AT, Form
from nastk_images.reading import BROKEN, unreadable
from nastk_images.stored import Picture, array_of, is_array


@dataclass(frozen=True)
class ArrayFiles:
    """Arrays (height x width x channels, uint8 or floats from 0 to 1) as an `ImageFile`.

    Example: `ArrayFiles(("a.npy", "b.npy")).read(0, seed=None).shape`
    """

    files: tuple[Picture, ...]

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int, seed: int | None) -> UInt8[Tensor, "channels height width"]:
        """See `ImageFile.read`; nothing is cropped at random."""
        return _pixels(self.files[index])

    def select(self, indices: Int[Tensor, "some"]) -> "ArrayFiles":
        """See `Selectable.select`."""
        return replace(self, files=tuple(self.files[index] for index in indices.tolist()))

    def read_all(self) -> UInt8[Tensor, "images channels height width"]:
        """Called for sets that fit in memory: returns every image."""
        first = _pixels(self.files[0])
        images = torch.empty((len(self), *first.shape), dtype=torch.uint8)
        for index, file in enumerate(self.files):
            images[index] = _pixels(file)
        return images


def form_of_arrays(files: Sequence[Picture], size: ImageSize | None) -> Form:
    """Returns the form of arrays, which is that of every one of them.

    Raises:
        DataError: arrays differ in form, cannot be read, or stand beside pictures.
        ConfigurationError: another size was asked for.
    """
    step = -(-len(files) // LOOKED_AT)
    shapes: dict[tuple[int, ...], Picture] = {}
    for file in files[::step]:
        if not is_array(file):
            raise DataError(
                f"{file} is a picture, {files[0]} an array. Store all images in one of both ways."
            )
        try:
            shapes.setdefault(array_of(file, header=True).shape, file)
        except BROKEN as error:
            raise unreadable(str(file), error) from None
        if len(shapes) > 1:
            (form, one), (other, another) = shapes.items()
            raise DataError(
                f"The array {another} has the form {other}, {one} has {form}. Arrays are read as "
                "they are: store all of them in one form."
            )
    channels, height, width = _pixels(files[0]).shape
    wanted = (size, size) if isinstance(size, int) else size
    if wanted not in (None, (height, width)):
        raise ConfigurationError(
            f"Arrays are read as they are, here with {height}x{width} pixels, and size asks for "
            f"{wanted[0]}x{wanted[1]}. Leave it out, or store them in that size."
        )
    note = f"The images are arrays of {height}x{width} pixels and {channels} channels."
    return Form((height, width), channels, notes=(note,))


def _pixels(file: Picture) -> UInt8[Tensor, "channels height width"]:
    """Returns an array as pixels, channels first."""
    try:
        values = array_of(file)
    except BROKEN as error:
        raise unreadable(str(file), error) from None
    return as_pixels(values, f"The array {file}")
