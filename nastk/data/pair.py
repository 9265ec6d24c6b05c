"""Datasets that exist in Python: the data source of `nastk.search(data=(train_set, valid_set))`."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from nastk.base import defaults
from nastk.base.errors import DataError
from nastk.data.channel_statistics import statistics
from nastk.data.items import as_label, as_pair, as_pixels
from nastk.data.source import DataSource
from nastk.data.splits import Split, Splits, divide
from nastk.data.task import Task

FEW = 64
"""A set with fewer levels between its darkest and its brightest pixel is worth a word."""
Stored = tuple[UInt8[Tensor, "images channels height width"], Int[Tensor, "images"]]


@runtime_checkable
class ImageDataset(Protocol):
    """A map-style dataset as torch and torchvision have it: items are (image, label)."""

    def __len__(self) -> int:
        """How many items there are."""

    def __getitem__(self, index: int, /) -> Any:
        """An image (PIL, uint8 or 0..1 float tensor, numpy array) and its label (0, 1, 2, ...)."""


class PairSource(DataSource):
    """Labelled images from datasets of the caller's own: train and valid, and perhaps test.

    Every item is read once and kept as uint8, so the datasets should not augment or normalise:
    nastk does both. Without `valid`, `train_fraction` divides the train set. Without `test` the
    test split is empty, and evaluators that need one say so.

    Raises (from `task` and `splits`):
        DataError: names the dataset and the item that cannot be used.

    Example: `PairSource(train_set, valid_set).splits(seed=0).train.images.shape`
    """

    name = "pair"
    summary = "datasets of your own, from Python"

    def __init__(
        self,
        train: ImageDataset | Any,
        valid: ImageDataset | Any | None = None,
        test: ImageDataset | Any | None = None,
        options: Any = None,
    ) -> None:
        super().__init__(options)
        self._sets = {"train": train, "valid": valid, "test": test}

    @cached_property
    def task(self) -> Task:
        """See `DataSource.task`: the classes are the train labels, 0, 1, 2, ... without a gap."""
        images, labels = self._stored["train"]
        seen = torch.unique(labels).tolist()
        if len(seen) < 2 or seen != list(range(len(seen))):
            raise DataError(
                f"The train set has the labels {_few(seen)}; "
                "expected two or more: 0, 1, 2, ... with no gap."
            )
        for role, (others, their_labels) in self._stored.items():
            self._compare(role, others, their_labels, images, len(seen))
        names = getattr(self._sets["train"], "classes", None)
        named = isinstance(names, Sequence) and len(names) == len(seen)
        channels, height, width = images.shape[1:]
        self._tell_of_channels(channels, height, width)
        return Task(
            len(seen), channels, (height, width), tuple(map(str, names)) if names and named else ()
        )

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`: the caller's own valid set stays whole, whatever the seed."""
        task = self.task
        images, labels = self._stored["train"]
        self._tell_of_levels(images)
        mean, std = statistics(images)
        treatment = self.augmentation(mean, std, crop_padding=task.shorter // 8, flip=True)
        training = Split(images, labels, treatment)
        given = {role: Split(*stored, treatment) for role, stored in self._stored.items()}
        fraction = 1.0 if "valid" in given else self.options.train_fraction
        train, valid = divide(training, fraction, self.options.limit, seed)
        return Splits(train, given.get("valid", valid), given.get("test", training.select([])))

    @cached_property
    def _stored(self) -> dict[str, Stored]:
        """Every dataset that was given, read once."""
        return {
            role: _read(role, dataset)
            for role, dataset in self._sets.items()
            if dataset is not None or role == "train"
        }

    def _tell_of_levels(self, images: UInt8[Tensor, "_ _ _ _"]) -> None:
        """Note that the train set's pixels lie close together, as those of 12 bits in 16 do."""
        low, high = int(images.min()), int(images.max())
        if 0 < high - low < FEW:
            note = (
                f"All pixels of the train set lie between {low} and {high} of 0 to 255: at most "
                f"{high - low + 1} levels are left of them. Scale the images to the whole range."
            )
            self.notes.extend([note] if note not in self.notes else [])

    def _tell_of_channels(self, channels: int, height: int, width: int) -> None:
        """Note how images were read that have neither one channel nor three."""
        if channels not in (1, 3):
            self.notes.append(
                f"The images are read as {channels} channels of {height}x{width} pixels (height x "
                "width): tensors have channels first, arrays last."
            )

    def _compare(
        self, role: str, images: Tensor, labels: Tensor, train_images: Tensor, classes: int
    ) -> None:
        """Raise where a set does not fit the train set."""
        if images.shape[1:] != train_images.shape[1:]:
            got, expected = tuple(images.shape[1:]), tuple(train_images.shape[1:])
            raise DataError(
                f"The {role} set has images of form {got}, the train set {expected}. "
                "Give both one form."
            )
        strange = sorted(set(torch.unique(labels).tolist()) - set(range(classes)))
        if strange:
            raise DataError(
                f"The {role} set has the labels {_few(strange)}, which the train set does not have."
            )


def _read(role: str, dataset: Any) -> Stored:
    """All images and labels of a dataset, in its order."""
    count = _length(role, dataset)
    images: Tensor | None = None
    labels = torch.empty(count, dtype=torch.long)
    for index in range(count):
        where = f"Item {index} of the {role} set"
        try:
            item = dataset[index]
        except Exception as error:
            raise DataError(f"{where} cannot be read ({_words(error)}).") from error
        image, label = as_pair(item, where)
        labels[index] = as_label(label, where)
        pixels = as_pixels(image, where)
        if images is None:
            images = _room(role, count, pixels.shape)
        if pixels.shape != images.shape[1:]:
            got, expected = tuple(pixels.shape), tuple(images.shape[1:])
            raise DataError(
                f"{where} has the form {got}, item 0 has {expected}. "
                "Resize in the dataset's transform."
            )
        images[index] = pixels
    assert images is not None
    return images, labels


def _length(role: str, dataset: Any) -> int:
    """How many items a dataset has; at least one."""
    if not isinstance(dataset, ImageDataset):
        raise DataError(
            f"The {role} set is of type {type(dataset).__name__}; "
            "expected a dataset with a length and items."
        )
    try:
        count = len(dataset)
    except Exception as error:
        raise DataError(f"The {role} set has no length ({_words(error)}).") from error
    if count == 0:
        raise DataError(f"The {role} set is empty. Give a dataset with images, or leave it out.")
    return count


def _room(role: str, count: int, form: Sequence[int]) -> UInt8[Tensor, "_ _ _ _"]:
    """Memory for so many images."""
    try:
        return torch.empty((count, *form), dtype=torch.uint8)
    except (RuntimeError, MemoryError):
        gibibytes = count * math.prod(form) / 2**30
        raise DataError(
            f"The {role} set has {count:,} images of the form {tuple(form)}: {gibibytes:,.1f} GiB, "
            "more memory than there is. Give fewer or smaller ones, or use `--data "
            f"{defaults.DATA_FROM_FOLDER}`, which reads them as the run goes on."
        ) from None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _few(values: Sequence[int]) -> str:
    """At most ten numbers of a list, in words."""
    return ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")
