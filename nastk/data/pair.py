"""The data source for datasets in Python, as in `nastk.search(data=(train_set, valid_set))`."""

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
"""A set with fewer grey levels between its darkest and its brightest pixel gets a note."""
Stored = tuple[UInt8[Tensor, "images channels height width"], Int[Tensor, "images"]]


@runtime_checkable
class ImageDataset(Protocol):
    """A map-style dataset like those of torch and torchvision, with items (image, label)."""

    def __len__(self) -> int:
        """Returns the number of items."""

    def __getitem__(self, index: int, /) -> Any:
        """Returns an image and its label (0, 1, 2, ...).

        The image is a PIL image, a tensor of uint8 or of floats from 0 to 1, or a numpy array.
        """


class PairSource(DataSource):
    """Labelled images from datasets of the caller: train, and optionally valid and test.

    Every item is read once and stored as uint8, so the datasets should not augment or normalise:
    nastk does both. Without `valid`, `train_fraction` divides the train set. Without `test` the
    test split is empty, and evaluators that need one raise an error.

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
        train_images, train_labels = self._stored["train"]
        classes = torch.unique(train_labels).tolist()
        if len(classes) < 2 or classes != list(range(len(classes))):
            raise DataError(
                f"The train set has the labels {_few(classes)}; "
                "expected two or more: 0, 1, 2, ... with no gap."
            )
        for role, (images, labels) in self._stored.items():
            self._compare(role, images, labels, train_images, len(classes))
        names = getattr(self._sets["train"], "classes", None)
        named = isinstance(names, Sequence) and len(names) == len(classes)
        channels, height, width = train_images.shape[1:]
        self._note_channels(channels, height, width)
        return Task(
            len(classes),
            channels,
            (height, width),
            tuple(map(str, names)) if names and named else (),
        )

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`: a valid set of the caller is not divided, whatever the seed."""
        task = self.task
        images, labels = self._stored["train"]
        self._note_levels(images)
        mean, std = statistics(images)
        treatment = self.augmentation(mean, std, crop_padding=task.shorter // 8, flip=True)
        training = Split(images, labels, treatment)
        given = {role: Split(*stored, treatment) for role, stored in self._stored.items()}
        fraction = 1.0 if "valid" in given else self.options.train_fraction
        train, valid = divide(training, fraction, self.options.limit, seed)
        return Splits(train, given.get("valid", valid), given.get("test", training.select([])))

    @cached_property
    def _stored(self) -> dict[str, Stored]:
        """The images and labels of every given dataset, read once."""
        return {
            role: _read(role, dataset)
            for role, dataset in self._sets.items()
            if dataset is not None or role == "train"
        }

    def _note_levels(self, images: UInt8[Tensor, "_ _ _ _"]) -> None:
        """Add a note if the train set has few grey levels, as 12-bit pixels scaled as 16-bit do."""
        low, high = int(images.min()), int(images.max())
        if 0 < high - low < FEW:
            note = (
                f"All pixels of the train set lie between {low} and {high} of 0 to 255: at most "
                f"{high - low + 1} levels are left of them. Scale the images to the whole range."
            )
            self.notes.extend([note] if note not in self.notes else [])

    def _note_channels(self, channels: int, height: int, width: int) -> None:
        """Add a note on how images were read that have neither one channel nor three."""
        if channels not in (1, 3):
            self.notes.append(
                f"The images are read as {channels} channels of {height}x{width} pixels (height x "
                "width): tensors have channels first, arrays last."
            )

    def _compare(
        self, role: str, images: Tensor, labels: Tensor, train_images: Tensor, classes: int
    ) -> None:
        """Raise an error if a set does not have the image shape and labels of the train set."""
        if images.shape[1:] != train_images.shape[1:]:
            got, expected = tuple(images.shape[1:]), tuple(train_images.shape[1:])
            raise DataError(
                f"The {role} set has images of form {got}, the train set {expected}. "
                "Give both one form."
            )
        unknown = sorted(set(torch.unique(labels).tolist()) - set(range(classes)))
        if unknown:
            raise DataError(
                f"The {role} set has the labels {_few(unknown)}, which the train set does not have."
            )


def _read(role: str, dataset: Any) -> Stored:
    """Returns all images and labels of a dataset, in its order."""
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
            images = _allocated(role, count, pixels.shape)
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
    """Returns the number of items of a dataset, which is at least one."""
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


def _allocated(role: str, count: int, form: Sequence[int]) -> UInt8[Tensor, "_ _ _ _"]:
    """Returns an empty tensor for `count` images of this shape."""
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
    """Returns an error with its type, in words."""
    return f"{type(error).__name__}: {error}"


def _few(values: Sequence[int]) -> str:
    """Returns at most the first ten numbers of a list, in words."""
    return ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")
