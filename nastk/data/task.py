"""What a source offers and a network must fit: classes, channels, size; inferred, never typed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """`classes` labels (named in order by `labels`), images of `channels` x `size` x `size` pixels.

    Example: `Task(classes=10, channels=3, size=32)`
    """

    classes: int
    channels: int
    size: int
    labels: tuple[str, ...] = ()
