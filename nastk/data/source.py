"""Labelled images in three splits: `DataSource`, what a data plugin implements."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from nastk.base.component import Component
from nastk.base.errors import ConfigurationError
from nastk.data.augment import Augmentation
from nastk.data.objective import BALANCED, objective_for
from nastk.data.splits import Splits
from nastk.data.task import Task

SMALLEST = 1e-6
"""The smallest weight that a class can be given; the largest is its inverse."""


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
        label_smoothing: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="share of each label that is spread over all classes where weights and "
            "architectures are trained; reported losses are of labels as they are",
        )
        class_weights: Literal["balanced"] | tuple[Annotated[float, Field(gt=0)], ...] | None = (
            Field(
                None,
                description="how much an image counts in training, by its class: balanced (in "
                "inverse proportion to the class's train images) or a list with a number for each "
                "class; unset: all alike",
            )
        )

        @field_validator("class_weights", mode="before")
        @classmethod
        def _weights(cls, value: Any) -> Any:
            """One complaint for all that is neither of the three."""
            numbers = isinstance(value, (list, tuple)) and bool(value)
            if value is None or value == BALANCED or (numbers and all(map(_is_weight, value))):
                return value
            raise ValueError(
                f"{BALANCED}, or a list of numbers from {SMALLEST:g} to {1 / SMALLEST:g}, such as "
                "[1,2.5,1]"
            )

    def __init__(self, options: Any = None) -> None:
        self.options = self.parse_options() if options is None else options
        self.notes: list[str] = []

    @property
    @abstractmethod
    def task(self) -> Task:
        """Called when a run is assembled: classes, channels, size, inferred from the images.

        Without the objective that the options ask for, which `task_of` adds.
        """

    @abstractmethod
    def splits(self, seed: int) -> Splits:
        """Called once for a run: the images.

        The division into train and valid is stratified and depends on `seed` alone; test on none.

        Raises:
            DataError: files missing, unreadable, of a wrong form; says which and what to do.
        """

    def task_of(self, splits: Splits) -> Task:
        """Called after `splits`: the task, with what training on its train part minimises.

        Options that are not derived from `DataSource.Options` ask for nothing.

        Raises:
            ConfigurationError: class weights that do not fit the classes or the train images.
        """
        task, options = self.task, self.options
        if not isinstance(options, DataSource.Options):
            return task
        objective = objective_for(
            options.label_smoothing,
            options.class_weights,
            splits.train.labels,
            task.names,
            self.name,
        )
        return replace(task, objective=objective)

    def augmentation(
        self,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        crop_padding: int = 0,
        flip: bool = False,
    ) -> Augmentation:
        """Called in `splits`: this source's own treatment, with the user's options in its place.

        Raises:
            ConfigurationError: a crop or a cutout as large as the image's shorter side.
        """
        options, size = self.options, self.task.shorter
        padding = crop_padding if options.crop_padding is None else options.crop_padding
        for name, pixels in (("crop_padding", padding), ("cutout", options.cutout)):
            if pixels >= size:
                raise ConfigurationError(
                    f"{self.name}: {name} must be less than the image's {size} pixels"
                    f"{_side(self.task)}, got {pixels}. "
                    f"Set it with `-d {name}={size // 4}`."
                )
        return Augmentation(
            mean, std, padding, flip if options.flip is None else options.flip, options.cutout
        )


def _side(task: Task) -> str:
    """Which side is meant, where the two differ."""
    return "" if task.height == task.width else " of the shorter side"


def _is_weight(value: object) -> bool:
    """True if it is a number that can be a class's weight."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return SMALLEST <= value <= 1 / SMALLEST
