"""`Numbered`: images that hold nothing but their class and their number, for the space `table`.

The first four rows of an image, the same in every column and channel, are the bytes of its class
and of its number (three bytes, the highest first); `read` gives them back. Mirroring changes none.
"""

import torch
from jaxtyping import Float, Int, UInt8
from pydantic import Field
from torch import Tensor

from nastk import ConfigurationError, DataSource, Split, Splits, Task
from nastk.data import divide

ROWS = 4
"""The rows of an image that hold its class and its number."""

PREFIX = "numbered "
"""How the names of the classes begin, by which the space `table` knows these images."""


class Numbered(DataSource):
    """Images for searches that look their accuracies up: each says which one it is, and no more.

    Classes alternate from image to image. The test images are a fifth as many as the others, and
    have the numbers after theirs.

    Example: `Numbered().splits(seed=0).valid.images.shape`
    """

    name = "numbered"
    summary = "images that hold only a class and a number; for the space `table`"

    class Options(DataSource.Options):
        """The numbers of images and classes, and the size that networks are counted with."""

        images: int = Field(
            5_000, ge=8, le=10_000_000, description="images for training and validation together"
        )
        classes: int = Field(10, ge=2, le=256, description="classes, all of the same size")
        size: int = Field(
            32,
            ge=ROWS,
            le=512,
            description="side in pixels; multiply-adds of networks depend on it",
        )

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        for name in ("crop_padding", "cutout"):
            if getattr(self.options, name):
                raise ConfigurationError(
                    f"numbered: {name} would change what an image says it is; got "
                    f"{name}={getattr(self.options, name)}. Leave it out."
                )

    @property
    def task(self) -> Task:
        """See `DataSource.task`."""
        classes, size = self.options.classes, self.options.size
        return Task(classes, 3, size, tuple(f"{PREFIX}{label}" for label in range(classes)))

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`."""
        options, count = self.options, self.options.images
        training = self._images(0, count)
        train, valid = divide(training, options.train_fraction, options.limit, seed)
        return Splits(train, valid, self._images(count, max(count // 5, options.classes)))

    def _images(self, first: int, count: int) -> Split:
        """Returns `count` images, numbered from `first` on."""
        numbers = torch.arange(first, first + count)
        labels = numbers % self.options.classes
        augmentation = self.augmentation((0.0,) * 3, (1.0,) * 3, crop_padding=0, flip=False)
        return Split(written(labels, numbers, self.options.size), labels, augmentation)


def written(
    labels: Int[Tensor, "images"], numbers: Int[Tensor, "images"], size: int
) -> UInt8[Tensor, "images 3 size size"]:
    """Returns images of `size` pixels a side that hold these classes and numbers."""
    column = torch.zeros(len(labels), size, dtype=torch.uint8)
    for row, values in enumerate((labels, numbers >> 16, numbers >> 8, numbers)):
        column[:, row] = (values & 255).to(torch.uint8)
    return column[:, None, :, None].expand(-1, 3, -1, size).contiguous()


def read(
    images: Float[Tensor, "batch channels height width"],
) -> tuple[Int[Tensor, "batch"], Int[Tensor, "batch"]]:
    """Returns class and number of each image, from pixels on the scale 0..1.

    Of images that hold none, any numbers that such images may have.
    """
    pixels = (images[:, 0, :ROWS, 0].detach() * 255).round().clamp(0, 255).long()
    labels, high, middle, low = pixels.unbind(1)
    return labels, (high << 16) + (middle << 8) + low
