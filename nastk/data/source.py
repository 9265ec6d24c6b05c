"""`DataSource`, the interface of data plugins: labelled images in three splits."""

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
"""The smallest weight that a class may have; the largest is its inverse."""


class DataSource(Component, ABC):
    """Labelled images in three splits, and their `Task`.

    A source is made from its options and read when the run is assembled, so that missing files and
    bad images raise an error before any training. `splits` may be called with several seeds; the
    images are read once. `task` and `splits` may add remarks for the user, on how the images were
    read, to `notes`.

    Example: `Digits(Digits.Options(train_fraction=0.8)).splits(seed=0).train.images.shape`
    """

    class Options(Component.Options):
        """The options that every source has."""

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
            """Refuse any other value with a single message."""
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
        """Called when a run is assembled: the classes, channels and size, read from the images.

        It has no objective for the options yet; `task_of` adds that.
        """

    @abstractmethod
    def splits(self, seed: int) -> Splits:
        """Called once for a run: returns the images of the three splits.

        The division into train and valid is stratified and depends on `seed` alone. The test split
        does not depend on it.

        Raises:
            DataError: a file is missing, cannot be read or has a wrong form; the message says which
                file and what to do.
        """

    def task_of(self, splits: Splits) -> Task:
        """Called after `splits`: returns the task with the objective for this source's options.

        The objective is the usual one if the options are not derived from `DataSource.Options`.

        Raises:
            ConfigurationError: the class weights do not fit the classes or the train images.
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
        """Called in `splits`: returns the augmentation, where the user's options come first.

        The arguments are the values of this source for options that the user left unset.

        Raises:
            ConfigurationError: the crop padding or the cutout is not smaller than the shorter side
                of the images.
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
    """Returns the words that say which side is meant, if the two sides differ."""
    return "" if task.height == task.width else " of the shorter side"


def _is_weight(value: object) -> bool:
    """True if `value` is a number that may be the weight of a class."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return SMALLEST <= value <= 1 / SMALLEST
