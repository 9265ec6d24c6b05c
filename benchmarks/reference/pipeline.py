"""How the textbook reads images: PIL transforms one image at a time, in a DataLoader."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Cutout:
    """A square of `side` pixels set to zero around a random pixel (DeVries and Taylor 2017).

    Example: `Cutout(16)(image)`
    """

    def __init__(self, side: int) -> None:
        self.side = side

    def __call__(self, image: Tensor) -> Tensor:
        """Called by the transforms with a normalised image."""
        height, width = image.shape[1:]
        row, column = np.random.randint(height), np.random.randint(width)
        half = self.side // 2
        mask = torch.ones(height, width)
        rows = slice(max(row - half, 0), min(row + half, height))
        columns = slice(max(column - half, 0), min(column + half, width))
        mask[rows, columns] = 0.0
        return image * mask


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images kept as uint8 arrays (height x width x channels), made a PIL image when asked for.

    Example: `Pictures(arrays, labels, treatment(train=True))[0]`
    """

    def __init__(self, arrays: NDArray[np.uint8], labels: list[int], transform: Any) -> None:
        self.arrays, self.labels, self.transform = arrays, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.arrays[index])), self.labels[index]


def treatment(train: bool, side: int = 32, padding: int = 4, cutout: int = 16) -> Any:
    """DARTS's transforms on CIFAR-10, with cutout; without `train`, only the normalisation."""
    always = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    if not train:
        return transforms.Compose(always)
    return transforms.Compose(
        [
            transforms.RandomCrop(side, padding=padding),
            transforms.RandomHorizontalFlip(),
            *always,
            Cutout(cutout),
        ]
    )


def loader(pictures: Pictures, batch_size: int, workers: int) -> DataLoader[Any]:
    """Shuffled batches of the pictures."""
    return DataLoader(pictures, batch_size, shuffle=True, num_workers=workers)
