"""A batch on its way to the network: crop, flip, normalise, cutout, all images in one call.

The random numbers come from a CPU generator, so the same seed gives the same batch on every device.
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
    """How to treat images: normalise them always; crop, mirror and cut out in training only.

    `mean` and `std` are for each channel, on the 0..1 scale; `crop_padding` and `cutout` are in
    pixels; `flip` mirrors every second image, by chance. Papers on CIFAR: crop_padding=4,
    flip=True, cutout=0 in search and 16 in final training.

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
    """Called for every batch, on the images' device: what the network sees, by the arguments alone.

    Always: scaled to 0..1 and normalised to `mean` and `std`. With `train`, each image by its own
    draw: padded with black and cropped at a random place; mirrored with probability 1/2; and, after
    normalising, a square of side `cutout` with its centre anywhere in the image set to zero,
    clipped at the borders (DeVries & Taylor 2017). The answer is float32, channels-last in memory.

    Raises:
        DataError: `mean` or `std` has another number of channels than the images.
    """
    channels = images.shape[1]
    if len(augmentation.mean) != channels or len(augmentation.std) != channels:
        raise DataError(
            f"mean {augmentation.mean} and std {augmentation.std} "
            f"for images with {channels} channels. Give one value for each channel."
        )
    with _alone(images):
        return _treated(images, augmentation, seed, train)


@contextmanager
def _alone(images: Tensor) -> Iterator[None]:
    """One thread for work on a CPU: a batch is so small that waking a second one takes longer."""
    threads = torch.get_num_threads()
    if images.device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _treated(
    images: UInt8[Tensor, "batch channels height width"],
    augmentation: Augmentation,
    seed: int,
    train: bool,
) -> Float[Tensor, "batch channels height width"]:
    if not train:
        return _normalise(images, augmentation)
    # Five numbers an image, used or not: switching one part off leaves the others as they were.
    draws = torch.rand(
        (len(images), 5), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    draws = uploaded(draws, images.device)
    if augmentation.crop_padding or augmentation.flip:
        images = _crop_and_flip(images, augmentation, draws)
    treated = _normalise(images, augmentation)
    return _cut_out(treated, augmentation.cutout, draws) if augmentation.cutout else treated


def _normalise(
    images: UInt8[Tensor, "batch channels height width"], augmentation: Augmentation
) -> Float[Tensor, "batch channels height width"]:
    """Pixels 0..255 to (pixel / 255 - mean) / std."""
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
    """The rows of channels-last images as they lie in memory, pixel by pixel.

    Arithmetic along them is several times as fast as along three channels.
    """
    return images.permute(0, 2, 3, 1).flatten(2)


@lru_cache(maxsize=16)
def _by_channel(
    values: tuple[float, ...], width: int, device: torch.device
) -> Float[Tensor, "numbers"]:
    """One value for each channel, for a row of pixels; kept on the device, where batches are."""
    return torch.tensor(values, dtype=torch.float32, device=device).repeat(width)


def _crop_and_flip(
    images: UInt8[Tensor, "batch channels height width"],
    augmentation: Augmentation,
    draws: Float64[Tensor, "batch 5"],
) -> UInt8[Tensor, "batch channels height width"]:
    """Each image padded, cropped and perhaps mirrored, as one gather of rows."""
    batch, channels, height, width = images.shape
    device, padding = images.device, augmentation.crop_padding
    tall, wide = height + 2 * padding, width + 2 * padding
    down, right = (draws[:, :2] * (2 * padding + 1)).long().unbind(1)
    padded = F.pad(images.permute(0, 2, 3, 1), [0, 0, padding, padding, padding, padding])
    number = torch.arange(batch, device=device)
    if augmentation.flip:
        # Where it is mirrored, a crop is one of the mirrored image, from the other side.
        mirrored = draws[:, 2] < 0.5
        padded = torch.cat([padded, padded.flip(2)])
        number = number + batch * mirrored
        right = torch.where(mirrored, 2 * padding - right, right)
    rows = (number * tall + down)[:, None] + torch.arange(height, device=device)
    starts = rows * wide + right[:, None]  # the pixel where each row of a crop begins
    # Every run of `width` pixels as a row of a table that overlaps itself: one copy a row.
    runs = len(padded) * tall * wide - width + 1
    table = padded.as_strided((runs, width * channels), (channels, 1))
    chosen = table.index_select(0, starts.flatten())
    return chosen.view(batch, height, width, channels).permute(0, 3, 1, 2)


def _cut_out(
    images: Float[Tensor, "batch channels height width"],
    side: int,
    draws: Float64[Tensor, "batch 5"],
) -> Float[Tensor, "batch channels height width"]:
    """A square of `side` pixels set to zero in each image; its centre is a pixel of the image."""
    inside = []
    for length, draw in zip(images.shape[2:], (draws[:, 3:4], draws[:, 4:5]), strict=True):
        start = (draw * length).long() - side // 2
        place = torch.arange(length, device=images.device)
        inside.append(((place >= start) & (place < start + side)).float())
    rows, columns = inside
    # Zeros and ones as numbers along a row: several times as fast as by a mask.
    hole = rows[:, :, None] * columns.repeat_interleave(images.shape[1], 1)[:, None]
    _rows(images).mul_(hole.neg_().add_(1))
    return images
