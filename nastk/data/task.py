"""What a source offers and a network must fit: classes, channels, size; inferred, never typed.

Beside them stands the `Objective`: what training on these images minimises, and what is reported.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nastk.data.image_size import ImageSize, simplest
from nastk.data.objective import Objective


@dataclass(frozen=True)
class Task:
    """`classes` labels (named in order by `labels`), images of `channels` x `height` x `width`.

    `size` is a number of pixels for square images, else (height, width); an equal pair becomes the
    number. `objective` is what training minimises.

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
        """Rows of pixels."""
        return self.size if isinstance(self.size, int) else self.size[0]

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.size if isinstance(self.size, int) else self.size[1]

    @property
    def shorter(self) -> int:
        """Pixels of the shorter side."""
        return min(self.height, self.width)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of an image's tensor."""
        return self.channels, self.height, self.width

    @property
    def form(self) -> str:
        """The same in words: `3 x 32 x 32`."""
        return " x ".join(map(str, self.shape))

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names; their numbers where they have none."""
        return self.labels or tuple(map(str, range(self.classes)))

    def to_json(self) -> dict[str, Any]:
        """A JSON object, with the objective where it is not the usual one; `from_json` reads it."""
        size = self.size if isinstance(self.size, int) else list(self.size)
        own = {} if self.objective.is_plain else {"objective": self.objective.to_json()}
        return {
            "classes": self.classes,
            "channels": self.channels,
            "size": size,
            "labels": list(self.labels),
            **own,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Task":
        """The inverse of `to_json`; reads tasks of squares, as earlier versions wrote them, too."""
        size = value["size"]
        own = value.get("objective")
        return cls(
            value["classes"],
            value["channels"],
            size if isinstance(size, int) else (size[0], size[1]),
            tuple(value["labels"]),
            Objective() if own is None else Objective.from_json(own),
        )
