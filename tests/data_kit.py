"""Small images, splits and files for the tests of the data module."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nastk import Augmentation, Batch, DataError, Split

PLAIN = Augmentation(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
CIFAR = replace(PLAIN, crop_padding=4, flip=True)
UNIT = Augmentation(mean=(0.0,), std=(1 / 255,))  # normalising gives the pixel value itself


def random_images(count: int, channels: int = 3, size: int = 8, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=rng)


def random_split(count: int, augmentation: Augmentation = CIFAR, classes: int = 3) -> Split:
    return Split(random_images(count), torch.arange(count) % classes, augmentation)


@dataclass(frozen=True)
class Stored:
    """An `ImageFile` over a tensor; `bad` is an index that cannot be read."""

    images: Tensor
    bad: int = -1

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int, seed: int | None) -> Tensor:
        if index == self.bad:
            raise DataError(f"The image {index}.png cannot be read.")
        return self.images[index]


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)


def all_same(one: Iterator[Batch], other: Iterator[Batch]) -> bool:
    return all(same(a, b) for a, b in zip(one, other, strict=True))


def expected_normal(images: Tensor, augmentation: Augmentation) -> Tensor:
    mean, std = (
        torch.tensor(each)[:, None, None] for each in (augmentation.mean, augmentation.std)
    )
    return (images.float() / 255 - mean) / std
