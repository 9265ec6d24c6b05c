"""`Folder`: any folder of images as a data source, `--data folder:PATH`."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, field_validator

from nastk import Augmentation, DataSource, Split, Splits, Task
from nastk.base import generator
from nastk.data import Files, divide, read_size, statistics, stratified
from nastk_images.form import Form, form_of
from nastk_images.levels import MEASURED, Levels, measured
from nastk_images.listing import Listing, Tree, check_enough, scan
from nastk_images.pictures import RANDOM_CROP_FROM, PictureFiles
from nastk_images.presets import QUICK
from nastk_images.reading import overheard


class Folder(DataSource):
    """Images in class folders: `PATH/<class>/<image>`, or `PATH/train/<class>/<image>`.

    There may be folders `valid` and `test` beside `train`.

    Without a folder `test`, a fifth of each class is held out first as the test split, the same for
    every seed. The other images are divided by `train_fraction`, unless there is a folder `valid`
    (or `val`). Mean and deviation are measured on the training images.

    Example: `Folder(Folder.Options(path="flowers", size=64)).task`
    """

    name = "folder"
    summary = "a folder of your own images: `--data folder:PATH`"
    presets = (QUICK,)

    class Options(DataSource.Options):
        """The options of the source: which folder, and how to read it."""

        path: Path = Field(description="the folder; `--data folder:PATH` sets it")
        size: int | tuple[int, int] | None = Field(
            None,
            description="pixels a side of square images, or HEIGHTxWIDTH such as 24x32, from 4 to "
            "1024; unset: inferred from the images, square",
        )
        layout: Literal["auto", "classes"] = Field(
            "auto",
            description=(
                "auto: folders called train, valid, test (or the like) are splits; classes: every "
                "folder is a class"
            ),
        )
        memory: float = Field(
            2.0,
            ge=0,
            description=(
                "GiB that decoded images may take; larger sets are read while the run goes on"
            ),
        )

        @field_validator("size", mode="before")
        @classmethod
        def _read_size(cls, value: Any) -> Any:
            return None if value is None else read_size(value, 4, 1024)

    @cached_property
    def task(self) -> Task:
        """See `DataSource.task`; reads the pictures' headers."""
        return Task(
            len(self._tree.classes), self._form.channels, self._form.size, self._tree.classes
        )

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`; decodes all pictures if they fit in memory."""
        training, valid, test = self._whole
        fraction = self.options.train_fraction if valid is None else 1.0
        train, rest = divide(training, fraction, self.options.limit, seed)
        return Splits(train, rest if valid is None else valid, test)

    @cached_property
    def _tree(self) -> Tree:
        tree = scan(
            Path(os.path.expanduser(self.options.path)),
            only_classes=self.options.layout == "classes",
        )
        self.notes.extend(tree.notes)
        parts = ["train"]
        if tree.valid is None and self.options.train_fraction < 1:
            parts.append("valid")
        if tree.test is None:
            parts.append("test")
            self.notes.append(
                "There is no folder test/: a fifth of the images is held out as test, for all "
                "seeds alike."
            )
        if tree.valid is not None:
            self.notes.append(
                "The folder's own valid images are the valid split; train_fraction is not used."
            )
        check_enough(tree, len(parts), " and ".join(parts))
        return tree

    @cached_property
    def _form(self) -> Form:
        listings = (self._tree.train, self._tree.valid, self._tree.test)
        files = [file for listing in listings if listing for file in listing.files]
        with overheard() as warned:
            form = form_of(files, self.options.size)
        self.notes.extend(form.notes)
        self._tell(warned)
        return form

    @cached_property
    def _in_memory(self) -> bool:
        """True if all decoded images fit into the option `memory`."""
        listings = (self._tree.train, self._tree.valid, self._tree.test)
        count = sum(len(listing.files) for listing in listings if listing)
        needed = count * math.prod(self.task.shape)
        return bool(needed <= self.options.memory * 2**30)

    @cached_property
    def _whole(self) -> tuple[Split, Split | None, Split]:
        """The training images, the folder's own valid split or None, and the test split."""
        with overheard() as warned:
            training, valid, test = self._read()
            # Files that are cropped at random when they are read need no second random crop.
            padding = 0 if self._crops else self.task.shorter // 8
            augmentation = self.augmentation(
                *statistics(training.images), crop_padding=padding, flip=True
            )
        self._tell(warned)
        training, test = (replace(split, augmentation=augmentation) for split in (training, test))
        return (
            training,
            replace(valid, augmentation=augmentation) if valid is not None else None,
            test,
        )

    def _read(self) -> tuple[Split, Split | None, Split]:
        """Returns the splits of `_whole` without augmentation."""
        tree = self._tree
        labels = torch.tensor(tree.train.labels)
        held_out, rest = torch.arange(0), torch.arange(len(labels))
        if tree.test is None:
            held_out, rest = stratified(
                labels, round(0.2 * len(labels)), generator(0, "data", "held-out test")
            )
        levels = self._levels([tree.train.files[index] for index in rest.tolist()])
        training = self._split(tree.train, levels)
        valid = None if tree.valid is None else self._split(tree.valid, levels)
        if tree.test is not None:
            return training, valid, self._split(tree.test, levels)
        return training.select(rest), valid, training.select(held_out)

    def _levels(self, training: Sequence[str]) -> Levels | None:
        """Returns the range of grey training pictures with more than 8 bits, or None."""
        if not self._form.deep:
            return None
        levels = measured(training, len(training) if self._in_memory else MEASURED)
        if levels is not None:
            self.notes.append(levels.note)
        return levels

    @property
    def _crops(self) -> bool:
        """True if pictures are cropped at random places and scales when they are read."""
        return not self._in_memory and self.task.shorter >= RANDOM_CROP_FROM

    def _tell(self, warned: Sequence[str]) -> None:
        """Adds PIL's warnings to the notes, each of them once."""
        notes = [f"While the images were read, PIL warned: {warning}" for warning in warned]
        self.notes.extend(note for note in notes if note not in self.notes)

    def _split(self, listing: Listing, levels: Levels | None) -> Split:
        """Returns the split of the files in `listing`, without augmentation."""
        task = self.task
        files = PictureFiles(listing.files, task.size, task.channels, self._crops, levels)
        return Split(
            files.read_all() if self._in_memory else files,
            torch.tensor(listing.labels),
            Augmentation((), ()),
            Files(str(self.options.path.expanduser()), listing.files),
        )
