"""The images of a run: `Split` (images, labels, treatment), `Splits`, and how to cut one in two."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from nastk.base.errors import DataError
from nastk.base.seeds import generator
from nastk.data.augment import Augmentation


@runtime_checkable
class ImageFile(Protocol):
    """Images read when needed, of a set too large for memory, by `LoaderStream` (`loader.py`).

    Worker processes get a copy, so it must pickle; `read` raises `DataError` naming a bad file.
    """

    def __len__(self) -> int:
        """How many images there are."""

    def read(self, index: int, seed: int | None) -> UInt8[Tensor, "channels height width"]:
        """One image at the task's size; a `seed` crops it at random where the set does so."""


@runtime_checkable
class Selectable(ImageFile, Protocol):
    """An `ImageFile` that can be reduced to some of its images, and then knows no others."""

    def select(self, indices: Int[Tensor, "some"]) -> ImageFile:
        """The images at `indices`, in that order."""


@dataclass(frozen=True, eq=False)
class Selected:
    """Some images of an `ImageFile`, in the order of `indices`; itself an `ImageFile`.

    It holds the others too, out of sight: a set that can be reduced is `Selectable`.
    """

    images: ImageFile
    indices: Int[Tensor, "some"]

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int, seed: int | None) -> UInt8[Tensor, "channels height width"]:
        """Called by workers: image number `index` of the selection."""
        return self.images.read(int(self.indices[index]), seed)

    def select(self, indices: Int[Tensor, "some"]) -> ImageFile:
        """See `Selectable.select`."""
        return replace(self, indices=self.indices[indices])


@dataclass(frozen=True)
class Files:
    """The files that the images of a split were read from, all below the folder `root`."""

    root: str
    paths: tuple[str, ...]

    def select(self, indices: Int[Tensor, "some"]) -> "Files":
        """The files at `indices`, in that order."""
        return replace(self, paths=tuple(self.paths[index] for index in indices.tolist()))


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels, and the augmentation that suits them.

    `images` is one uint8 tensor (images x channels x height x width) for sets that fit in memory,
    or an `ImageFile` that reads them one by one. `files` are those that they were read from; a run
    knows its images again by them, of others (None) by their pixels.

    Raises:
        DataError: as many labels as images are expected.

    Example: `Split(torch.zeros(2, 1, 4, 4).byte(), torch.arange(2), Augmentation((0.0,), (1.0,)))`
    """

    images: UInt8[Tensor, "_ channels height width"] | ImageFile
    labels: Int[Tensor, "_"]
    augmentation: Augmentation
    files: Files | None = None

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DataError(
                "A split needs one label for each image, "
                f"got {len(self.labels)} for {len(self.images)}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Sequence[int] | Int[Tensor, "some"]) -> "Split":
        """The images at `indices`, in that order, as a split of their own."""
        chosen = torch.as_tensor(indices, dtype=torch.long)
        images: UInt8[Tensor, "_ channels height width"] | ImageFile
        if isinstance(self.images, Tensor):
            images = self.images[chosen]
        elif isinstance(self.images, Selectable):
            images = self.images.select(chosen)
        else:
            images = Selected(self.images, chosen)
        files = None if self.files is None else self.files.select(chosen)
        return replace(self, images=images, labels=self.labels[chosen], files=files)


@dataclass(frozen=True)
class Splits:
    """Train (weights learn here), valid (architectures learn here), test (only evaluators see it).

    `valid` is empty where train_fraction is 1; `test` is empty where the source has no test images.
    """

    train: Split
    valid: Split
    test: Split

    def without_test(self) -> "Splits":
        """The same with an empty test split, for whom test images must not reach."""
        return replace(self, test=nothing(self.test.augmentation))


def nothing(augmentation: Augmentation | None = None) -> Split:
    """A split without images."""
    images = torch.empty((0, 1, 1, 1), dtype=torch.uint8)
    return Split(images, torch.empty(0, dtype=torch.long), augmentation or Augmentation((), ()))


def divide(
    training: Split, train_fraction: float, limit: int | None, seed: int
) -> tuple[Split, Split]:
    """The (train, valid) parts of the training images, a pure function of `seed`.

    First `limit` reduces the images, then `train_fraction` of them become train; classes keep their
    proportions in both. With a fraction of 1, valid is empty.

    Raises:
        DataError: a class has too few images, or `limit` leaves it too few, to be in every part.
    """
    parts = 1 if train_fraction == 1 else 2
    if limit is not None and limit < len(training):
        classes = len(torch.unique(training.labels))
        if limit < parts * classes:
            raise DataError(
                f"limit={limit} is too small for {classes} classes in {parts} part(s). "
                f"Set it to {parts * classes} or more."
            )
        kept, _ = stratified(
            training.labels, limit, generator(seed, "data", "limit"), least=parts, spare=0
        )
        training = training.select(kept)
    if parts == 1:
        return training, training.select([])
    count = round(train_fraction * len(training))
    first, second = stratified(training.labels, count, generator(seed, "data", "split"))
    return training.select(first), training.select(second)


def stratified(
    labels: Int[Tensor, "images"], count: int, rng: torch.Generator, least: int = 1, spare: int = 1
) -> tuple[Int[Tensor, "chosen"], Int[Tensor, "others"]]:
    """`count` indices with the classes in their proportions, and all others; both in mixed order.

    Every class gives at least `least` images and keeps back at least `spare`; `count` is moved to
    the nearest number that allows it. Shares are rounded by largest remainders.

    Raises:
        DataError: a class has fewer than `least + spare` images.
    """
    classes, sizes = (part.tolist() for part in torch.unique(labels, return_counts=True))
    for label, size in zip(classes, sizes, strict=True):
        if size < least + spare:
            raise DataError(
                f"Class {label} has {size} image(s), and {least + spare} are needed. "
                "Add images to it."
            )
    count = min(max(count, least * len(sizes)), len(labels) - spare * len(sizes))
    shares = _shares([size - least - spare for size in sizes], count - least * len(sizes))
    mixed = torch.randperm(len(labels), generator=rng)
    sorted_by_class = mixed[torch.argsort(labels[mixed], stable=True)]
    by_class = torch.split(sorted_by_class, sizes)
    chosen = torch.cat(
        [part[: least + share] for part, share in zip(by_class, shares, strict=True)]
    )
    others = torch.cat(
        [part[least + share :] for part, share in zip(by_class, shares, strict=True)]
    )
    # Mixed again: batch statistics of images stored class by class say little about the whole.
    chosen = chosen[torch.randperm(len(chosen), generator=rng)]
    return chosen, others[torch.randperm(len(others), generator=rng)]


def _shares(sizes: Sequence[int], total: int) -> list[int]:
    """`total` in proportion to `sizes`, as whole numbers of that sum (largest remainders first)."""
    whole = max(sum(sizes), 1)
    shares = [size * total // whole for size in sizes]
    by_remainder = sorted(
        range(len(sizes)), key=lambda index: (-(sizes[index] * total % whole), index)
    )
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
