"""Augments and normalises a batch: crop, flip, normalisation, cutout, for all images in one call.

The random numbers come from a CPU generator, so a seed gives the same batch on every device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from nastk.base.errors import DataError
from nastk.data.upload import uploaded


@dataclass(frozen=True)
class Augmentation:
    """The treatment of images: they are always normalised; crop, flip and cutout are for training.

    `mean` and `std` have a number for each channel, on the 0..1 scale; `crop_padding` and `cutout`
    are in pixels; `flip` mirrors an image with probability 1/2. Papers on CIFAR use crop_padding=4,
    flip=True, and cutout=0 in the search, 16 in the final training.

    Example: `Augmentation(mean=(0.5,), std=(0.25,), crop_padding=1)`
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_padding: int = 0
    flip: bool = False
    cutout: int = 0


def augment(
    images: UInt8[Tensor, "batch channels height width"],
    augmentation: Augmentation,
    seed: int,
    train: bool,
) -> Float[Tensor, "batch channels height width"]:
    """Called for every batch, on the images' device: returns the input of the network.

    It depends on the arguments alone. Images are scaled to 0..1 and normalised by `mean` and `std`.
    With `train`, each image gets random numbers of its own: it is padded with black and cropped at
    a random offset, and mirrored with probability 1/2; after normalising, a square of side `cutout`
    whose centre is anywhere in the image is set to zero, clipped at the borders (DeVries and Taylor
    2017). The result is float32, in channels-last layout.

    Raises:
        DataError: `mean` or `std` does not have a number for each channel of the images.
    """
    channels = images.shape[1]
    if len(augmentation.mean) != channels or len(augmentation.std) != channels:
        raise DataError(
            f"mean {augmentation.mean} and std {augmentation.std} "
            f"for images with {channels} channels. Give one value for each channel."
        )
    with _single_thread(images):
        return _augmented(images, augmentation, seed, train)


@contextmanager
def _single_thread(images: Tensor) -> Iterator[None]:
    """Use a single thread on CPUs: batches are so small that waking a second one takes longer."""
    threads = torch.get_num_threads()
    if images.device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _augmented(
    images: UInt8[Tensor, "batch channels height width"],
    augmentation: Augmentation,
    seed: int,
    train: bool,
) -> Float[Tensor, "batch channels height width"]:
    if not train:
        return _normalise(images, augmentation)
    # Always five numbers for each image, so that switching one part off does not change the others:
    # crop row, crop column, flip, cutout row, cutout column.
    draws = torch.rand(
        (len(images), 5), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    draws = uploaded(draws, images.device)
    if augmentation.crop_padding or augmentation.flip:
        images = _crop_and_flip(images, augmentation, draws)
    normalised = _normalise(images, augmentation)
    return _cut_out(normalised, augmentation.cutout, draws) if augmentation.cutout else normalised


def _normalise(
    images: UInt8[Tensor, "batch channels height width"], augmentation: Augmentation
) -> Float[Tensor, "batch channels height width"]:
    """Returns (pixel / 255 - mean) / std for pixels 0..255."""
    width = images.shape[3]
    mean, std = (
        _by_channel(tuple(values), width, images.device)
        for values in (augmentation.mean, augmentation.std)
    )
    scaled = images.to(torch.float32, memory_format=torch.channels_last)
    _rows(scaled).div_(255).sub_(mean).div_(std)
    return scaled


def _rows(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch height numbers"]:
    """Returns the rows of channels-last images as a view of the numbers in their memory order.

    A row has `width * channels` numbers. Arithmetic along it is several times as fast as along an
    axis of three channels.
    """
    return images.permute(0, 2, 3, 1).flatten(2)


@lru_cache(maxsize=16)
def _by_channel(
    values: tuple[float, ...], width: int, device: torch.device
) -> Float[Tensor, "numbers"]:
    """Returns a value for each channel, repeated for a row of pixels; cached on the device."""
    return torch.tensor(values, dtype=torch.float32, device=device).repeat(width)


def _crop_and_flip(
    images: UInt8[Tensor, "batch channels height width"],
    augmentation: Augmentation,
    draws: Float64[Tensor, "batch 5"],
) -> UInt8[Tensor, "batch channels height width"]:
    """Returns the images padded, cropped and randomly mirrored, by one gather of pixel rows."""
    batch, channels, height, width = images.shape
    device, padding = images.device, augmentation.crop_padding
    padded_height, padded_width = height + 2 * padding, width + 2 * padding
    top, left = (draws[:, :2] * (2 * padding + 1)).long().unbind(1)  # offsets: images, images
    # images x padded height x padded width x channels
    padded = F.pad(images.permute(0, 2, 3, 1), [0, 0, padding, padding, padding, padding])
    source = torch.arange(batch, device=device)  # the padded image of each crop
    if augmentation.flip:
        # A mirrored crop is a crop of the mirrored image, at the offset from the other side.
        mirrored = draws[:, 2] < 0.5
        padded = torch.cat([padded, padded.flip(2)])
        source = source + batch * mirrored
        left = torch.where(mirrored, 2 * padding - left, left)
    # images x height: the padded row of each row of a crop, counted through all images
    rows = (source * padded_height + top)[:, None] + torch.arange(height, device=device)
    starts = rows * padded_width + left[:, None]  # the pixel where each row of a crop begins
    # Row i of the table is the run of `width` pixels that begins at pixel i. The rows overlap in
    # memory, so the table is a view, and a row of a crop is copied as a whole.
    runs = len(padded) * padded_height * padded_width - width + 1
    table = padded.as_strided((runs, width * channels), (channels, 1))
    cropped = table.index_select(0, starts.flatten())  # (images * height) x (width * channels)
    return cropped.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _cut_out(
    images: Float[Tensor, "batch channels height width"],
    side: int,
    draws: Float64[Tensor, "batch 5"],
) -> Float[Tensor, "batch channels height width"]:
    """Sets a square of `side` pixels to zero in each image; its centre is a pixel of the image."""
    inside = []
    for length, draw in zip(images.shape[2:], (draws[:, 3:4], draws[:, 4:5]), strict=True):
        start = (draw * length).long() - side // 2  # images x 1
        position = torch.arange(length, device=images.device)
        inside.append(((position >= start) & (position < start + side)).float())
    rows, columns = inside  # images x height, images x width
    # images x height x (width * channels). Multiplying rows by 0 or 1 is several times as fast as
    # indexing with a mask.
    hole = rows[:, :, None] * columns.repeat_interleave(images.shape[1], 1)[:, None]
    _rows(images).mul_(hole.neg_().add_(1))
    return images
