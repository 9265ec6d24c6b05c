"""Decides which images form which batch: `Order`, which all streams use."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from nastk.base.errors import ConfigurationError, DataError
from nastk.base.seeds import generator, seed_of


@dataclass(frozen=True)
class Order:
    """The endless sequence of batches over `images` images; each pass is a new permutation.

    A pass is cut into batches. Its last batch is smaller if the batch size does not divide the
    number of images; a single image left over is dropped, since batch norms need two. If the batch
    size is larger than `images`, all images form one batch.

    Raises:
        DataError: there are no images.
        ConfigurationError: the batch size is not positive.

    Example: `Order(images=10, batch_size=4, seed=0, name="train").batch(2)`
    """

    images: int
    batch_size: int
    seed: int
    name: str

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigurationError(f"batch_size must be at least 1, got {self.batch_size}.")
        if self.images < 1:
            raise DataError(
                f"The split of stream {self.name!r} holds no images. "
                "A valid split needs train_fraction below 1; "
                "a test split needs test images in the data."
            )

    def __len__(self) -> int:
        """Returns the number of batches in a pass."""
        full, rest = divmod(self.images, self.batch_size)
        return full + (rest > 1 or (rest == 1 and full == 0))

    def batch(self, step: int) -> Int[Tensor, "batch"]:
        """Returns the indices of the images of batch `step`, on the CPU.

        Steps count from 0 through all passes.
        """
        if step < 0:
            raise ValueError(f"step must be at least 0, got {step}.")
        number, position = divmod(step, len(self))
        start = position * self.batch_size
        order = _permutation(self.images, self.seed, self.name, number)
        return order[start : start + self.batch_size]

    def once(self) -> Iterator[Int[Tensor, "batch"]]:
        """Returns batches with every image exactly once, in a mixed order that is always the same.

        A single image left over is added to the last batch.
        """
        # Sources may store images class by class; batches of one class would distort batch norms.
        mixed = torch.randperm(self.images, generator=generator(0, "data", "once"))
        parts = list(torch.split(mixed, self.batch_size))
        if len(parts) > 1 and len(parts[-1]) == 1 < self.batch_size:
            parts[-2:] = [torch.cat(parts[-2:])]
        return iter(parts)

    def view(self, name: str, batch_size: int | None) -> "Order":
        """Returns another order of the same images; its name is `name` below that of this one."""
        return replace(
            self,
            name=f"{self.name}/{name}",
            batch_size=self.batch_size if batch_size is None else batch_size,
        )

    def noise(self, step: int) -> int:
        """Returns the seed of the augmentation of batch `step`."""
        return seed_of(self.seed, "data", self.name, "augment", step)


@lru_cache(maxsize=8)
def _permutation(images: int, seed: int, name: str, number: int) -> Int[Tensor, "images"]:
    """Returns the order of pass `number`; it is cached, since every batch of a pass needs it."""
    return torch.randperm(images, generator=generator(seed, "data", name, "pass", number))
