"""Datasets that exist in Python: the data source of `nastk.search(data=(train_set, valid_set))`."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from nastk.data.source import DataSource
from nastk.data.splits import Split, Splits, divide
from nastk.data.statistics import statistics
from nastk.data.task import Task
from nastk.errors import DataError

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
        return Task(
            len(seen),
            images.shape[1],
            images.shape[2],
            tuple(map(str, names)) if names and named else (),
        )

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`: the caller's own valid set stays whole, whatever the seed."""
        task = self.task
        images, labels = self._stored["train"]
        mean, std = statistics(images)
        treatment = self.augmentation(mean, std, crop_padding=task.size // 8, flip=True)
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
            if dataset is not None
        }

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
    if not isinstance(dataset, ImageDataset):
        raise DataError(
            f"The {role} set is of type {type(dataset).__name__}; "
            "expected a dataset with a length and items."
        )
    if len(dataset) == 0:
        raise DataError(f"The {role} set is empty. Give a dataset with images, or leave it out.")
    images: Tensor | None = None
    labels = torch.empty(len(dataset), dtype=torch.long)
    for index in range(len(dataset)):
        where = f"Item {index} of the {role} set"
        try:
            image, label = dataset[index]
            labels[index] = int(label)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{where} is not (image, label) with a whole number as label: {error}."
            ) from None
        pixels = as_pixels(image, where)
        if images is None:
            images = torch.empty((len(dataset), *pixels.shape), dtype=torch.uint8)
        if pixels.shape != images.shape[1:]:
            got, expected = tuple(pixels.shape), tuple(images.shape[1:])
            raise DataError(
                f"{where} has the form {got}, item 0 has {expected}. "
                "Resize in the dataset's transform."
            )
        images[index] = pixels
    assert images is not None
    return images, labels


def as_pixels(image: Any, where: str) -> UInt8[Tensor, "channels size size"]:
    """A PIL image, tensor or array as uint8 pixels, channels first, square, with 1 or 3 channels.

    Floats are read as 0..1. Tensors have channels first, arrays last (or none, if grey).

    Raises:
        DataError: begins with `where`.
    """
    if isinstance(image, Tensor):
        values = image.detach().cpu()
        values = values[None] if values.ndim == 2 else values
    else:
        if hasattr(image, "convert") and getattr(image, "mode", "") not in ("L", "RGB"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        values = torch.from_numpy(np.array(image))
        values = (
            values[None]
            if values.ndim == 2
            else values.permute(2, 0, 1)
            if values.ndim == 3
            else values
        )
    if values.ndim != 3 or values.shape[0] not in (1, 3) or values.shape[1] != values.shape[2]:
        raise DataError(
            f"{where} has the form {tuple(values.shape)}; "
            "expected 1 or 3 channels of a square image. "
            "Crop or resize in the dataset's transform."
        )
    return _as_bytes(values, where)


def _as_bytes(values: Tensor, where: str) -> UInt8[Tensor, "channels size size"]:
    """Pixels as uint8; floats from the scale 0..1."""
    if values.dtype == torch.uint8:
        return values
    if not values.is_floating_point():
        raise DataError(
            f"{where} has pixels of type {values.dtype}; expected uint8, or floats from 0 to 1."
        )
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"{where} has pixels from {low:.3g} to {high:.3g}; floats are read as 0..1. "
            "Leave normalising to nastk, and take it out of the dataset's transform."
        )
    return values.mul(255).round().to(torch.uint8)


def _few(values: Sequence[int]) -> str:
    """At most ten numbers of a list, in words."""
    return ", ".join(map(str, values[:10])) + (", ..." if len(values) > 10 else "")
