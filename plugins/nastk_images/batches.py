"""`read_batch` reads pickled batches of images, in the form of CIFAR's and ImageNet16's authors.

A batch is a dictionary with `data` (a uint8 array with a row of channels x height x width numbers
per image) and `labels`. `nastk.base.read_pickle` reads it without running any code that it names;
arrays are made here from their bytes.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from nastk import DataError
from nastk.base import Meant, encoded, read_pickle

NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
"""numpy's names of plain number types; arrays of other types are refused."""

Batch = tuple[UInt8[np.ndarray, "images numbers"], Int64[np.ndarray, "images"]]


class _Kind:
    """Replaces a numpy dtype of plain numbers in a pickle."""

    __slots__ = ("dtype",)

    def __init__(self, name: str, *_: object) -> None:
        if name not in NUMBERS:
            raise pickle.UnpicklingError(f"values of numpy type {name!r} are no plain numbers")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Called by the unpickler with numpy's state, whose second part is the byte order."""
        if state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """Replaces a numpy array in a pickle; `values` is set when its state is read."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Called by the unpickler with (version, shape, type, column order, bytes)."""
        shape, kind, by_column, raw = state[-4:]
        if isinstance(raw, str):
            raw = raw.encode("latin-1")  # written by Python 2, whose text was bytes
        if not isinstance(raw, bytes) or not isinstance(kind, _Kind):
            raise pickle.UnpicklingError("an array holds objects instead of numbers")
        values = np.frombuffer(raw, kind.dtype)
        self.values = values.reshape(shape, order="F" if by_column else "C")


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
ADMITTED = {
    ("_codecs", "encode"): Meant(encoded),
    ("numpy", "dtype"): Meant(_Kind),
    ("numpy", "ndarray"): Meant(lambda *_: None),
    **{(module, "_reconstruct"): Meant(lambda *_: _Array()) for module in _MULTIARRAY},
}


def read_batch(path: Path, numbers: int) -> Batch:
    """Returns pixels and labels of a batch whose images have `numbers` numbers.

    Raises:
        DataError: the file cannot be read, names an object that is not admitted, or has another
            structure.
    """
    try:
        with open(path, "rb") as file:
            batch = read_pickle(file, str(path), ADMITTED, encoding="latin1")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    pixels, labels = (_array(batch, key) for key in ("data", "labels"))
    if (
        pixels is None
        or labels is None
        or pixels.dtype != np.uint8
        or pixels.shape != (len(labels), numbers)
        or labels.dtype.kind not in "iu"
    ):
        raise DataError(
            f"{path} is no batch of images: expected `data`, a row of {numbers} bytes for each "
            "image, and `labels`, a whole number for each. Download it again."
        )
    return pixels, labels.astype(np.int64)


def _array(batch: Any, key: str) -> "np.ndarray[Any, np.dtype[Any]] | None":
    """Returns the array, or list of whole numbers, under `key` as an array; else None."""
    value = batch.get(key) if isinstance(batch, dict) else None
    if isinstance(value, _Array):
        return value.values
    whole = isinstance(value, list) and all(type(item) is int for item in value)
    return np.array(value, dtype=np.int64) if whole else None
