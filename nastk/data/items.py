"""An item of a dataset in Python: `as_pair`, `as_label` and `as_pixels` check and read it."""

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
"""PIL's modes that begin so have more than 8 bits, which converting would clip."""
FEW_CHANNELS = 4
"""An axis of so few numbers, where the others have more, holds channels and no pixels."""


def as_pair(item: Any, where: str) -> tuple[Any, Any]:
    """The image and the label of an item.

    Raises:
        DataError: begins with `where`; the item is something else.
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
    """A class, from a whole number or a tensor or array that holds one.

    Raises:
        DataError: begins with `where`; it is a fraction, a text, a score for each class, ...
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
    """A label in at most 60 letters."""
    try:
        text = repr(value)
    except Exception:  # thousands of digits, or a class of the user's own
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_pixels(image: Any, where: str) -> UInt8[Tensor, "channels height width"]:
    """A PIL image, tensor or array as uint8 pixels, channels first; any number of channels.

    Floats are read as 0..1. Tensors have channels first, arrays last (or none, if grey); what looks
    like the other way round is refused. PIL images become grey or RGB, their transparent parts are
    laid over grey.

    Raises:
        DataError: begins with `where`.
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
    """Raise where channels stand at the other end of the axes.

    `form` is (channels, height, width) as it was read; the axis that would then have been read as
    channels is the last of a tensor (`first`), the first of an array.
    """
    channels, height, width = form
    few, others = (width, (channels, height)) if first else (height, (channels, width))
    if few <= FEW_CHANNELS < min(others):
        given = form if first else (height, width, channels)
        said = "A tensor has channels first" if first else "An array has channels last"
        how = "permute(2, 0, 1)" if first else "transpose(1, 2, 0)"
        raise DataError(
            f"{where} has the form {tuple(given)}, which would be {channels} channels of "
            f"{height} x {width} pixels. {said}: use {how} in the dataset's transform."
        )


def _as_tensor(image: Any, where: str) -> Tensor:
    """The image's numbers, channels first where there are three axes or two."""
    if isinstance(image, Tensor):
        values = image.detach().cpu()
        return values[None] if values.ndim == 2 else values
    try:
        array = np.array(_plain(image) if isinstance(image, Image.Image) else image)
        values = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    except Exception as error:  # whatever the image's own code, numpy, PIL and torch raise
        raise DataError(
            f"{where} has an image of type {type(image).__name__} that cannot be read "
            f"({type(error).__name__}: {error}); expected a PIL image, a tensor or an array of "
            "numbers."
        ) from error
    if values.ndim == 2:
        return values[None]
    return values.permute(2, 0, 1) if values.ndim == 3 else values


def _plain(picture: Image.Image) -> Image.Image:
    """A PIL image as grey or RGB; one with more than 8 bits stays as it is."""
    if picture.mode.startswith(DEEP):
        return picture
    mode = "L" if picture.mode in ("1", "L") else "RGB"
    if is_clear(picture):
        picture = opaque(picture)
    return picture if picture.mode == mode else picture.convert(mode)


def _as_bytes(values: Tensor, where: str) -> UInt8[Tensor, "channels height width"]:
    """Pixels as uint8; floats from the scale 0..1."""
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
