"""The mean and the spread of a set's pixels, measured where no published constants exist."""

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from nastk.base.errors import DataError
from nastk.data.splits import ImageFile

IN_MEMORY, ON_DISK = 5000, 1000
"""Images looked at: of a tensor, and of files that have to be decoded for it."""


def statistics(
    images: UInt8[Tensor, "images channels height width"] | ImageFile,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel (0..1 scale), over evenly spaced stored images.

    A channel without any spread gets the spread of one grey level, so that it can be divided by.

    Raises:
        DataError: all pixels of these images are equal; there is nothing to learn from.
    """
    most = IN_MEMORY if isinstance(images, Tensor) else ON_DISK
    places = torch.linspace(0, len(images) - 1, min(most, len(images))).round().long().tolist()
    total = square = torch.zeros((), dtype=torch.float64)
    extremes: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(places), 250):
        part = places[start : start + 250]
        some = (
            images[part]
            if isinstance(images, Tensor)
            else torch.stack([images.read(i, None) for i in part])
        )
        extremes.append(some.transpose(0, 1).flatten(1).aminmax(dim=1))
        scaled = some.double().div_(255).transpose(0, 1).flatten(1)  # channels x pixels
        total = total + scaled.mean(1) * len(part)
        square = square + scaled.square().mean(1) * len(part)
    _check_shows(extremes, len(places))
    mean = total / len(places)
    spread = (square / len(places) - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255)
    return _rounded(mean), _rounded(spread)


def _check_shows(extremes: list[tuple[Tensor, Tensor]], count: int) -> None:
    """Raise where the least and the greatest value of every channel are the same."""
    least, greatest = (torch.stack(each) for each in zip(*extremes, strict=True))
    if bool((least.amin(0) == greatest.amax(0)).all()):
        colour = ", ".join(map(str, least[0].tolist()))
        raise DataError(
            f"The training images show nothing: all pixels of {count:,} of them are equal "
            f"({colour} of 255). Look at the files, and at how they were made."
        )


def _rounded(values: Float64[Tensor, "channels"]) -> tuple[float, ...]:
    """Four digits, as papers give them."""
    return tuple(round(value, 4) for value in values.tolist())
