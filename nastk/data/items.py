"""Checks and reads an item of a dataset in Python: `as_pair`, `as_label` and `as_pixels`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from nastk.base.errors import DataError
from nastk.data.transparency import is_clear, opaque

DEEP = ("I", "F")
"""PIL modes that begin so have more than 8 bits; PIL would clip them in a conversion."""
FEW_CHANNELS = 4
"""An axis of at most this length, where the other axes are longer, must be channels, not pixels."""


def as_pair(item: Any, where: str) -> tuple[Any, Any]:
    """Returns the image and the label of an item.

    Raises:
        DataError: the item is not a pair. The message begins with `where`.
    """
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    if isinstance(item, Mapping):
        keys = ", ".join(map(repr, list(item)[:10]))
        raise DataError(
            f"{where} is not (image, label): it is a dictionary with the keys {keys}. Wrap the "
            "dataset in one that answers a pair of two of them."
        )
    length = f" of length {len(item)}" if isinstance(item, tuple | list) else ""
    raise DataError(f"{where} is not (image, label): it is of type {type(item).__name__}{length}.")


def as_label(label: Any, where: str) -> int:
    """Returns the number of a class, from a whole number or a tensor or array that holds one.

    Raises:
        DataError: the label is a fraction, a text, scores for all classes, ... The message begins
            with `where`.
    """
    value = label
    if isinstance(label, Tensor | np.ndarray | np.generic):
        if math.prod(label.shape) != 1:
            raise DataError(
                f"{where} has a label of form {tuple(label.shape)}; expected one whole number, the "
                "number of the class."
            )
        value = label.item()
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not whole or abs(value) >= 2**31:
        raise DataError(
            f"{where} has the label {_short(value)}, which is no whole number of a class. Labels "
            "are the numbers 0, 1, 2, ...: number the classes in the dataset."
        )
    return int(value)


def _short(value: object) -> str:
    """Returns a label as text of at most 60 characters."""
    try:
        text = repr(value)
    except Exception:  # a number of thousands of digits, or a class whose `__repr__` fails
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_pixels(image: Any, where: str) -> UInt8[Tensor, "channels height width"]:
    """Returns a PIL image, tensor or array as uint8 pixels, channels first.

    Any number of channels is accepted. Floats are read as 0..1. Tensors have channels first, arrays
    have them last (or none, if grey); an image that seems to have the other order is refused. PIL
    images become grey or RGB, with transparent parts laid over grey.

    Raises:
        DataError: it cannot be read as an image. The message begins with `where`.
    """
    values = _as_tensor(image, where)
    form = tuple(values.shape)
    if len(form) != 3 or 0 in form:
        raise DataError(
            f"{where} has the form {form}; expected channels, height and width of an image."
        )
    _check_order(form, isinstance(image, Tensor), where)
    return _as_bytes(values, where)


def _check_order(form: Sequence[int], first: bool, where: str) -> None:
    """Raise an error if the channels seem to be at the other end of the axes.

    `form` is (channels, height, width) as it was read. With `first` it is from a tensor, whose last
    axis is then suspected to be the channels; otherwise from an array, whose first axis is.
    """
    channels, height, width = form
    few, others = (width, (channels, height)) if first else (height, (channels, width))
    if few <= FEW_CHANNELS < min(others):
        given = form if first else (height, width, channels)
        rule = "A tensor has channels first" if first else "An array has channels last"
        remedy = "permute(2, 0, 1)" if first else "transpose(1, 2, 0)"
        raise DataError(
            f"{where} has the form {tuple(given)}, which would be {channels} channels of "
            f"{height} x {width} pixels. {rule}: use {remedy} in the dataset's transform."
        )


def _as_tensor(image: Any, where: str) -> Tensor:
    """Returns the numbers of an image; with two or three axes they have channels first."""
    if isinstance(image, Tensor):
        values = image.detach().cpu()
        return values[None] if values.ndim == 2 else values
    try:
        array = np.array(_plain(image) if isinstance(image, Image.Image) else image)
        values = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    except Exception as error:  # the image's own code, numpy, PIL and torch may raise anything
        raise DataError(
            f"{where} has an image of type {type(image).__name__} that cannot be read "
            f"({type(error).__name__}: {error}); expected a PIL image, a tensor or an array of "
            "numbers."
        ) from error
    if values.ndim == 2:
        return values[None]
    return values.permute(2, 0, 1) if values.ndim == 3 else values


def _plain(picture: Image.Image) -> Image.Image:
    """Returns a PIL image as grey or RGB; one with more than 8 bits is returned unchanged."""
    if picture.mode.startswith(DEEP):
        return picture
    mode = "L" if picture.mode in ("1", "L") else "RGB"
    if is_clear(picture):
        picture = opaque(picture)
    return picture if picture.mode == mode else picture.convert(mode)


def _as_bytes(values: Tensor, where: str) -> UInt8[Tensor, "channels height width"]:
    """Returns pixels as uint8; floats are on the scale 0..1."""
    if values.dtype == torch.uint8:
        return values
    if not values.is_floating_point():
        raise DataError(
            f"{where} has pixels of type {values.dtype}; expected uint8, or floats from 0 to 1. "
            "Divide by the largest value of the set."
        )
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"{where} has pixels from {low:.3g} to {high:.3g}; floats are read as 0..1. "
            "Leave normalising to nastk, and take it out of the dataset's transform."
        )
    return values.mul(255).round().to(torch.uint8)
