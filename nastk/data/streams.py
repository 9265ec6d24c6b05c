"""Streams of batches, which are pure functions of (seed, step).

A stream has no state to save, so a resumed run gets the same images.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from nastk.data.augment import augment as augmented
from nastk.data.order import Order
from nastk.data.splits import Split
from nastk.data.upload import uploaded


class Batch(NamedTuple):
    """Normalised images and their labels, on the device of the run."""

    images: Float[Tensor, "batch channels height width"]
    labels: Int[Tensor, "batch"]


class Stream(ABC):
    """An endless shuffled sequence of batches over a split; a batch depends on seed and step alone.

    A pass is a permutation of the images, cut into `len(stream)` batches. Its last batch is smaller
    if the batch size does not divide the number of images; a single image left over is dropped,
    since batch norms need two.

    Example: `for batch in stream.epoch(3): ...`
    """

    images: int
    """The number of images in the split; a pass has as many, or one fewer."""

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of batches in a pass."""

    @abstractmethod
    def at(self, step: int) -> Batch:
        """Called for every weight step: returns batch `step`, counted from 0 through all passes."""

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yields the batches of pass `number` (0-based), from its batch `start` on."""
        for position in range(start, len(self)):
            yield self.at(number * len(self) + position)

    @abstractmethod
    def once(self) -> Iterator[Batch]:
        """Called for evaluation: yields batches with every image once, without augmentation.

        Their order is mixed, and the same for all seeds.
        """

    @abstractmethod
    def view(
        self, name: str, batch_size: int | None = None, augment: bool | None = None
    ) -> "Stream":
        """Returns another stream over the same split.

        Args:
            name: the name of its random stream, below that of this one.
            batch_size: its batch size; None for the same.
            augment: whether it augments; None for the same.
        """


class TensorStream(Stream):
    """A stream over a split that is a uint8 tensor in memory, which moves to the device once.

    Example: `TensorStream(splits.train, batch_size=64, seed=0, name="train").at(0).images.shape`
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        seed: int,
        name: str,
        device: torch.device | str = "cpu",
        augment: bool = True,
    ) -> None:
        if not isinstance(split.images, Tensor):
            raise TypeError(
                f"TensorStream expects images in one tensor, got {type(split.images).__name__}."
            )
        self.images = len(split)
        self._order = Order(len(split), batch_size, seed, name)
        self._augmentation = split.augmentation
        self._augment = augment
        # Channels last, the layout of the network: selecting an image is a single copy.
        self._pixels = split.images.permute(0, 2, 3, 1).contiguous().to(device)
        self._labels = split.labels.long().to(device)

    def __len__(self) -> int:
        return len(self._order)

    def at(self, step: int) -> Batch:
        """See `Stream.at`."""
        images, labels = self._pick(self._order.batch(step))
        return Batch(
            augmented(images, self._augmentation, self._order.noise(step), self._augment), labels
        )

    def once(self) -> Iterator[Batch]:
        """See `Stream.once`."""
        for indices in self._order.once():
            images, labels = self._pick(indices)
            yield Batch(augmented(images, self._augmentation, 0, False), labels)

    def view(
        self, name: str, batch_size: int | None = None, augment: bool | None = None
    ) -> "TensorStream":
        """See `Stream.view`; the images are shared, not copied."""
        view = copy(self)
        view._order = self._order.view(name, batch_size)
        view._augment = self._augment if augment is None else augment
        return view

    def _pick(
        self, indices: Int[Tensor, "batch"]
    ) -> tuple[UInt8[Tensor, "batch channels height width"], Int[Tensor, "batch"]]:
        """Returns the unaugmented images and the labels at `indices`."""
        indices = uploaded(indices, self._labels.device)
        return self._pixels.index_select(0, indices).permute(0, 3, 1, 2), self._labels.index_select(
            0, indices
        )
