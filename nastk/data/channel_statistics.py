"""Mean and standard deviation of pixels, measured for images without published constants."""

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from nastk.base.errors import DataError
from nastk.data.splits import ImageFile

IN_MEMORY, ON_DISK = 5000, 1000
"""The most images that are used: from a tensor, and from files, which have to be decoded."""


def statistics(
    images: UInt8[Tensor, "images channels height width"] | ImageFile,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns mean and standard deviation of each channel (0..1 scale), over evenly spaced images.

    A channel whose pixels are all equal gets the deviation of one grey level, since images are
    divided by it.

    Raises:
        DataError: all pixels of these images are equal, so that nothing can be learned from them.
    """
    most = IN_MEMORY if isinstance(images, Tensor) else ON_DISK
    indices = torch.linspace(0, len(images) - 1, min(most, len(images))).round().long().tolist()
    total = square = torch.zeros((), dtype=torch.float64)
    extremes: list[tuple[Tensor, Tensor]] = []  # least and greatest pixel: channels
    for start in range(0, len(indices), 250):
        part = indices[start : start + 250]
        batch = (  # images x channels x height x width
            images[part]
            if isinstance(images, Tensor)
            else torch.stack([images.read(index, None) for index in part])
        )
        extremes.append(batch.transpose(0, 1).flatten(1).aminmax(dim=1))
        scaled = batch.double().div_(255).transpose(0, 1).flatten(1)  # channels x pixels
        total = total + scaled.mean(1) * len(part)
        square = square + scaled.square().mean(1) * len(part)
    _check_not_constant(extremes, len(indices))
    mean = total / len(indices)
    # Var = E[x^2] - E[x]^2, in double; rounding could make it negative.
    deviation = (square / len(indices) - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255)
    return _rounded(mean), _rounded(deviation)


def _check_not_constant(extremes: list[tuple[Tensor, Tensor]], count: int) -> None:
    """Raise an error if the least and the greatest pixel of every channel are equal."""
    least, greatest = (torch.stack(values) for values in zip(*extremes, strict=True))
    if bool((least.amin(0) == greatest.amax(0)).all()):
        colour = ", ".join(map(str, least[0].tolist()))
        raise DataError(
            f"The training images show nothing: all pixels of {count:,} of them are equal "
            f"({colour} of 255). Look at the files, and at how they were made."
        )


def _rounded(values: Float64[Tensor, "channels"]) -> tuple[float, ...]:
    """Returns the values with four digits, as papers print them."""
    return tuple(round(value, 4) for value in values.tolist())
