"""`PictureSource`: what sources of pictures share, whether they come from folders or data sets."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator

from nastk import Augmentation, DataSource, Split, Splits, Task
from nastk.base import generator
from nastk.data import Files, Preparation, divide, read_size, statistics, stratified
from nastk_images.arrays import ArrayFiles, form_of_arrays
from nastk_images.form import Form, form_of
from nastk_images.levels import MEASURED, Levels, measured
from nastk_images.listing import Listing, Tree, check_enough
from nastk_images.pictures import RANDOM_CROP_FROM, PictureFiles
from nastk_images.presets import QUICK
from nastk_images.reading import overheard
from nastk_images.stored import Picture, is_array


class PictureSource(DataSource):
    """Pictures of any form with their classes; a subclass says in `listed` which there are.

    Without test pictures, a fifth of each class is held out first as the test split, the same for
    every seed. The others are divided by `train_fraction`, unless there are valid pictures. Mean
    and deviation are measured on the training images.
    """

    presets = (QUICK,)
    remedy: ClassVar[str] = "name splits of your own for valid and test"
    """What a user can do if a class has too few images to be divided."""
    no_test: ClassVar[str] = "There are no test images"
    """The first words of the note if a fifth is held out."""
    own_valid: ClassVar[str] = "The set's own valid images"
    """The first words of the note if valid images are given."""

    class Options(DataSource.Options):
        """The options that all sources of pictures have."""

        size: int | tuple[int, int] | None = Field(
            None,
            description="pixels a side of square images, or HEIGHTxWIDTH such as 24x32, from 4 to "
            "1024; unset: inferred from the images, square",
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

    @abstractmethod
    def listed(self) -> Tree:
        """Called once, when a run is assembled: returns the classes and the pictures of each split.

        Raises:
            DataError: there are no such pictures, or their labels cannot be used.
        """

    @property
    def root(self) -> str | None:
        """The folder of the files, to recognise them when a run is resumed.

        It is None if pictures are no files; they are then recognised by their pixels.
        """
        return None

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
        tree = self.listed()
        self.notes.extend(tree.notes)
        parts = ["train"]
        if tree.valid is None and self.options.train_fraction < 1:
            parts.append("valid")
        if tree.test is None:
            parts.append("test")
            self.notes.append(
                f"{self.no_test}: a fifth of the images is held out as test, for all seeds alike."
            )
        if tree.valid is not None:
            self.notes.append(f"{self.own_valid} are the valid split; train_fraction is not used.")
        check_enough(tree, len(parts), " and ".join(parts), self.remedy)
        return tree

    @cached_property
    def _form(self) -> Form:
        listings = (self._tree.train, self._tree.valid, self._tree.test)
        files = [file for listing in listings if listing for file in listing.files]
        with overheard() as warned:
            reader = form_of_arrays if self._arrays else form_of
            form = reader(files, self.options.size)
        self.notes.extend(form.notes)
        self._tell(warned)
        return form

    @cached_property
    def _arrays(self) -> bool:
        """True if images are arrays of numpy."""
        return is_array(self._tree.train.files[0])

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

    def _levels(self, training: Sequence[Picture]) -> Levels | None:
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
        fits = self._in_memory or self._arrays
        return not fits and self.task.shorter >= RANDOM_CROP_FROM

    def _tell(self, warned: Sequence[str]) -> None:
        """Adds PIL's warnings to the notes, each of them once."""
        notes = [f"While the images were read, PIL warned: {warning}" for warning in warned]
        self.notes.extend(note for note in notes if note not in self.notes)

    def _split(self, listing: Listing, levels: Levels | None) -> Split:
        """Returns the split of the files in `listing`, without augmentation."""
        task, root = self.task, self.root
        files = (
            ArrayFiles(listing.files)
            if self._arrays
            else PictureFiles(listing.files, task.size, task.channels, self._crops, levels)
        )
        return Split(
            files.read_all() if self._in_memory else files,
            torch.tensor(listing.labels),
            Augmentation((), ()),
            None if root is None else Files(root, listing.paths),
            Preparation() if isinstance(files, ArrayFiles) else files.preparation,
        )
