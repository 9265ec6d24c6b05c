"""The images of a run: `Split` (images, labels, augmentation), `Splits`, and their division."""

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
    """Images of a set too large for memory, which `LoaderStream` reads when they are needed.

    It must be picklable, since worker processes get copies.
    """

    def __len__(self) -> int:
        """Returns the number of images."""

    def read(self, index: int, seed: int | None) -> UInt8[Tensor, "channels height width"]:
        """Called by workers: returns an image at the task's size.

        If the set crops images at random, it does so with `seed`, unless that is None.

        Raises:
            DataError: the file cannot be read; the message names it.
        """


@runtime_checkable
class Selectable(ImageFile, Protocol):
    """An `ImageFile` that can be reduced to some of its images and drops the others."""

    def select(self, indices: Int[Tensor, "chosen"]) -> ImageFile:
        """Called when a split is divided: returns the images at `indices`, in that order."""


@dataclass(frozen=True, eq=False)
class Selected:
    """Some images of an `ImageFile`, in the order of `indices`; itself an `ImageFile`.

    It is for sets that are not `Selectable`, and still refers to the images that are left out.

    Example: `Selected(images, torch.tensor([4, 0])).read(0, None)` is image 4.
    """

    images: ImageFile
    indices: Int[Tensor, "chosen"]

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int, seed: int | None) -> UInt8[Tensor, "channels height width"]:
        """Called by workers: returns image number `index` of the selection."""
        return self.images.read(int(self.indices[index]), seed)

    def select(self, indices: Int[Tensor, "chosen"]) -> ImageFile:
        """See `Selectable.select`."""
        return replace(self, indices=self.indices[indices])


@dataclass(frozen=True)
class Files:
    """The files that the images of a split were read from, all below the folder `root`."""

    root: str
    paths: tuple[str, ...]

    def select(self, indices: Int[Tensor, "chosen"]) -> "Files":
        """Returns the files at `indices`, in that order."""
        return replace(self, paths=tuple(self.paths[index] for index in indices.tolist()))


@dataclass(frozen=True)
class Preparation:
    """What was done to pictures until they were images of a split, for those who do it again.

    A picture is scaled until it covers the size and cut to the middle. `middle` is the part of the
    sides of the largest such box that is left, and `levels` are the values of grey pictures with
    more than 8 bits that become 0 and 255 (None: the whole range).

    Example: `Preparation(middle=7 / 8)`, as is usual for ImageNet
    """

    middle: float = 1.0
    levels: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels, and the augmentation for them.

    `images` is a uint8 tensor (images x channels x height x width) for sets that fit in memory, or
    an `ImageFile` that reads them one by one. `files` are the files of the images; a resumed run
    recognises its images by them, or by their pixels if `files` is None. `preparation` says how the
    images were made of pictures; a trained model keeps it.

    Raises:
        DataError: there are not as many labels as images.

    Example: `Split(torch.zeros(2, 1, 4, 4).byte(), torch.arange(2), Augmentation((0.0,), (1.0,)))`
    """

    images: UInt8[Tensor, "_ channels height width"] | ImageFile
    labels: Int[Tensor, "_"]
    augmentation: Augmentation
    files: Files | None = None
    preparation: Preparation = Preparation()

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DataError(
                "A split needs one label for each image, "
                f"got {len(self.labels)} for {len(self.images)}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Sequence[int] | Int[Tensor, "chosen"]) -> "Split":
        """Returns the images at `indices`, in that order, as a split of their own."""
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
    """The three splits of a run.

    Weights are trained on `train`, architectures on `valid`; only evaluators get `test`. `valid` is
    empty if `train_fraction` is 1, and `test` if the source has no test images.
    """

    train: Split
    valid: Split
    test: Split

    def without_test(self) -> "Splits":
        """Returns these splits with an empty test split, for code that must not see test images."""
        return replace(self, test=nothing(self.test.augmentation))


def nothing(augmentation: Augmentation | None = None) -> Split:
    """Returns a split without images."""
    images = torch.empty((0, 1, 1, 1), dtype=torch.uint8)
    return Split(images, torch.empty(0, dtype=torch.long), augmentation or Augmentation((), ()))


def divide(
    training: Split, train_fraction: float, limit: int | None, seed: int
) -> tuple[Split, Split]:
    """Returns the parts (train, valid) of the training images, a pure function of `seed`.

    `limit` reduces the number of images first; then the share `train_fraction` becomes train.
    Classes keep their proportions in both steps. With a fraction of 1, valid is empty.

    Raises:
        DataError: a class has too few images for all parts, or too few are left by `limit`.
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
    """Returns `count` indices with the classes in their proportions, and all others.

    Both are in mixed order. Of every class at least `least` images are chosen and at least `spare`
    are left; `count` is moved to the nearest number that allows this. Shares are rounded by the
    largest remainders.

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
    # Mixed again, since batches of images in the order of classes have distorted statistics.
    chosen = chosen[torch.randperm(len(chosen), generator=rng)]
    return chosen, others[torch.randperm(len(others), generator=rng)]


def _shares(sizes: Sequence[int], total: int) -> list[int]:
    """Returns whole numbers in proportion to `sizes`, whose sum is `total`.

    Those with the largest remainders are rounded up.
    """
    whole = max(sum(sizes), 1)
    shares = [size * total // whole for size in sizes]
    by_remainder = sorted(
        range(len(sizes)), key=lambda index: (-(sizes[index] * total % whole), index)
    )
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
