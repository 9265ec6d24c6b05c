"""Joins two splits into one: `joined`, for the final training on all training images."""

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from nastk import Split
from nastk.data import ImageFile


@dataclass(frozen=True, eq=False)
class Joined:
    """An `ImageFile` with the images of two others, one after the other."""

    first: ImageFile
    second: ImageFile

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def read(self, index: int, seed: int | None) -> UInt8[Tensor, "channels height width"]:
        """Called by workers: returns image number `index` of the two files together."""
        in_first = index < len(self.first)
        part = self.first if in_first else self.second
        return part.read(index if in_first else index - len(self.first), seed)


def joined(first: Split, second: Split) -> Split:
    """Returns the images of both splits in order, with the augmentation of `first`.

    Example: `joined(splits.train, splits.valid)`
    """
    labels = torch.cat([first.labels, second.labels])
    if isinstance(first.images, Tensor) and isinstance(second.images, Tensor):
        images = torch.cat([first.images, second.images])
        return Split(images, labels, first.augmentation, None, first.preparation)
    assert not isinstance(first.images, Tensor) and not isinstance(second.images, Tensor)
    files = Joined(first.images, second.images)
    return Split(files, labels, first.augmentation, None, first.preparation)
