"""`Task`, the properties of images that a network has to fit: classes, channels, size.

They are read from the images, not given by users. A task also has the `Objective`: the loss that
training on these images minimises, and the loss and accuracy that are reported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nastk.data.image_size import ImageSize, simplest
from nastk.data.objective import Objective


@dataclass(frozen=True)
class Task:
    """A classification task: the number of `classes`, and images of `channels` and `size`.

    `size` is the side in pixels of square images, otherwise (height, width); a pair of equal
    numbers becomes one number. `labels` are the names of the classes, in order. `objective` is the
    loss and the metric.

    Example: `Task(classes=10, channels=3, size=32)`, `Task(2, 13, (20, 28)).width`
    """

    classes: int
    channels: int
    size: ImageSize
    labels: tuple[str, ...] = ()
    objective: Objective = field(default_factory=Objective)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", simplest(self.size))

    @property
    def height(self) -> int:
        """The number of rows of pixels."""
        return self.size if isinstance(self.size, int) else self.size[0]

    @property
    def width(self) -> int:
        """The number of columns of pixels."""
        return self.size if isinstance(self.size, int) else self.size[1]

    @property
    def shorter(self) -> int:
        """The length of the shorter side in pixels."""
        return min(self.height, self.width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image's tensor: (channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def form(self) -> str:
        """The shape as text: `3 x 32 x 32`."""
        return " x ".join(map(str, self.shape))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, or their numbers if they have no names."""
        return self.labels or tuple(map(str, range(self.classes)))

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object; `from_json` reads it.

        It has an objective only if that is not the usual one.
        """
        size = self.size if isinstance(self.size, int) else list(self.size)
        objective = {} if self.objective.is_plain else {"objective": self.objective.to_json()}
        return {
            "classes": self.classes,
            "channels": self.channels,
            "size": size,
            "labels": list(self.labels),
            **objective,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Task":
        """Returns the task that `to_json` wrote, in this version or an earlier one."""
        size = value["size"]
        objective = value.get("objective")
        return cls(
            value["classes"],
            value["channels"],
            size if isinstance(size, int) else (size[0], size[1]),
            tuple(value["labels"]),
            Objective() if objective is None else Objective.from_json(objective),
        )
