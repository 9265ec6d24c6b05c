"""Pictures that are no files of their own: `Kept`; `opened` opens them and files alike."""

import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from PIL import Image

SMALL_FILE = 16_384
"""Files with fewer bytes are treated as small pictures."""
ARRAYS = ".npy"
"""The suffix of files that hold an array of numpy instead of a picture."""


class Kept(ABC):
    """A picture inside a data set, such as a row of a table; `str` of it names it in messages.

    It must be picklable, since worker processes get copies.
    """

    parallel: ClassVar[bool] = False
    """True if several threads may open pictures at once."""
    is_array: bool = False
    """True if `open` returns a numpy array, height x width x channels, and no PIL image."""

    @abstractmethod
    def open(self) -> Any:
        """Called whenever the picture is read: returns it as a PIL image or as an array."""

    @abstractmethod
    def __str__(self) -> str:
        """Returns the name of the picture in messages."""


Picture = str | Kept
"""The path of a file, or a picture inside a data set."""


def opened(picture: Picture) -> Image.Image:
    """Returns an open PIL image, to be closed by `with`. It may raise any of `reading.BROKEN`."""
    if isinstance(picture, str):
        return Image.open(picture)
    image = picture.open()
    if not isinstance(image, Image.Image):
        raise TypeError(f"expected a PIL image, got {type(image).__name__}")
    return image


def is_array(picture: Picture) -> bool:
    """True for arrays of numpy, which are read as they are."""
    if isinstance(picture, str):
        return picture.lower().endswith(ARRAYS)
    return picture.is_array


def array_of(picture: Picture, header: bool = False) -> "np.ndarray[Any, np.dtype[Any]]":
    """Returns an array; with `header` only its shape is used, and a file is not read whole."""
    values: np.ndarray[Any, np.dtype[Any]] = (
        np.load(picture, mmap_mode="r" if header else None, allow_pickle=False)
        if isinstance(picture, str)
        else np.asarray(picture.open())
    )
    return values


def in_threads(picture: Picture) -> bool:
    """True if decoding gains by threads.

    Small pictures spend their time in the interpreter, which only one thread can use.
    """
    if isinstance(picture, str):
        return os.path.getsize(picture) >= SMALL_FILE
    return picture.parallel
