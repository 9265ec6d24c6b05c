"""Labelled images in three splits: `DataSource`, what a data plugin implements."""

from abc import ABC, abstractmethod
from typing import Any

from pydantic import Field

from nastk.base.component import Component
from nastk.base.errors import ConfigurationError
from nastk.data.augment import Augmentation
from nastk.data.splits import Splits
from nastk.data.task import Task


class DataSource(Component, ABC):
    """Labelled images in three splits, and the `Task` they pose.

    A source is made from its options and opened when the run is assembled, so that missing files
    and bad images are found before any training. One source may be asked for splits by several
    seeds: it reads its images once. What a user should know about how they were read is in `notes`,
    filled by `task` and `splits`.

    Example: `Digits(Digits.Options(train_fraction=0.8)).splits(seed=0).train.images.shape`
    """

    class Options(Component.Options):
        """What every source understands."""

        train_fraction: float = Field(
            0.5,
            gt=0,
            le=1,
            description="part of the training images that trains weights; the rest is valid",
        )
        limit: int | None = Field(
            None,
            ge=2,
            description="use at most this many training images, classes in their own proportions",
        )
        cutout: int = Field(
            0, ge=0, description="side in pixels of the square cut out of training images; 0 is off"
        )
        crop_padding: int | None = Field(
            None, ge=0, description="pixels padded before the random crop; unset: the source's own"
        )
        flip: bool | None = Field(
            None, description="mirror training images at random; unset: the source's own"
        )

    def __init__(self, options: Any = None) -> None:
        self.options = self.parse_options() if options is None else options
        self.notes: list[str] = []

    @property
    @abstractmethod
    def task(self) -> Task:
        """Called when a run is assembled: classes, channels, size, inferred from the images."""

    @abstractmethod
    def splits(self, seed: int) -> Splits:
        """Called once for a run: the images.

        The division into train and valid is stratified and depends on `seed` alone; test on none.

        Raises:
            DataError: files missing, unreadable, of a wrong form; says which and what to do.
        """

    def augmentation(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        crop_padding: int = 0,
        flip: bool = False,
    ) -> Augmentation:
        """Called in `splits`: this source's own treatment, with the user's options in its place.

        Raises:
            ConfigurationError: a crop or a cutout as large as the image, which would leave nothing.
        """
        options, size = self.options, self.task.size
        padding = crop_padding if options.crop_padding is None else options.crop_padding
        for name, pixels in (("crop_padding", padding), ("cutout", options.cutout)):
            if pixels >= size:
                raise ConfigurationError(
                    f"{self.name}: {name} must be less than the image's {size} pixels, "
                    f"got {pixels}. "
                    f"Set it with `-d {name}={size // 4}`."
                )
        return Augmentation(
            mean, std, padding, flip if options.flip is None else options.flip, options.cutout
        )
