"""Which images make up which batch: `Order`, the arithmetic that all streams share."""

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
    """Batches over `images` images without end: each pass is a new permutation, cut into batches.

    The last batch of a pass is smaller where the size does not divide; a rest of a single image is
    dropped, since batch norms need two. A batch size beyond `images` means one batch of all images.

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
        """Batches in one pass."""
        full, rest = divmod(self.images, self.batch_size)
        return full + (rest > 1 or (rest == 1 and full == 0))

    def batch(self, step: int) -> Int[Tensor, "batch"]:
        """The images of batch `step` (0-based, passes follow each other), on the CPU."""
        if step < 0:
            raise ValueError(f"step must be at least 0, got {step}.")
        number, position = divmod(step, len(self))
        start = position * self.batch_size
        order = _permutation(self.images, self.seed, self.name, number)
        return order[start : start + self.batch_size]

    def once(self) -> Iterator[Int[Tensor, "batch"]]:
        """Every image exactly once, in one mixed order; a last single one joins its neighbours."""
        # Sources may store class after class; such batches' statistics would mislead batch norms.
        mixed = torch.randperm(self.images, generator=generator(0, "data", "once"))
        parts = list(torch.split(mixed, self.batch_size))
        if len(parts) > 1 and len(parts[-1]) == 1 < self.batch_size:
            parts[-2:] = [torch.cat(parts[-2:])]
        return iter(parts)

    def view(self, name: str, batch_size: int | None) -> "Order":
        """Another order of the same images, called `name` within this one."""
        return replace(
            self,
            name=f"{self.name}/{name}",
            batch_size=self.batch_size if batch_size is None else batch_size,
        )

    def noise(self, step: int) -> int:
        """The seed of what is random inside batch `step`."""
        return seed_of(self.seed, "data", self.name, "augment", step)


@lru_cache(maxsize=8)
def _permutation(images: int, seed: int, name: str, number: int) -> Int[Tensor, "images"]:
    """The order of pass `number`; the latest are kept, since every batch of a pass asks for it."""
    return torch.randperm(images, generator=generator(seed, "data", name, "pass", number))
