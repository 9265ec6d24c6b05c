"""What trackers are told of a training: `Followed`, the numbers of each epoch and of the end."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import time
from typing import Any

from nastk import Trackers
from nastk.report import Entry
from nastk_training.training import EpochRecord

END = "evaluation/train/"
"""The beginning of the names of what is measured when a training is over."""


class Followed:
    """The trackers of the training of one seed, in its folder.

    Example: `Followed(folder, ["tensorboard"], steps=50).begin(settings, training.records)`
    """

    def __init__(self, folder: Path, asked: Sequence[Any], steps: int) -> None:
        self._trackers, self._steps = Trackers.of(folder, asked), steps
        self.notices = self._trackers.notices

    def begin(self, settings: Mapping[str, Any], records: Sequence[EpochRecord]) -> None:
        """Called before the training begins or goes on after some epochs."""
        made = [partial(self._epoch, record) for record in records]
        self._trackers.begin(settings, made)

    def epoch(self, record: EpochRecord) -> None:
        """Called after each epoch."""
        self._trackers.tell(partial(self._epoch, record), f"epoch {record.epoch}")

    def end(self, epochs: int, accuracies: Mapping[str, float] | None) -> None:
        """Called when the process leaves the training; with `accuracies` where it is over."""
        if accuracies is not None:
            numbers = {f"{END}{name}_accuracy": value for name, value in accuracies.items()}
            last = Entry(epochs, epochs * self._steps, time(), numbers, {})
            self._trackers.tell(lambda: last, "the end")
        self._trackers.end(accuracies is not None)

    def _epoch(self, record: EpochRecord) -> Entry:
        """Returns the numbers of an epoch, by the names that a search has."""
        numbers = {
            "train/loss": record.loss,
            "train/accuracy": record.train_accuracy,
            "train/learning_rate": record.rate,
            "cost/seconds": record.seconds,
        }
        if record.valid_accuracy is not None:
            numbers["valid/accuracy"] = record.valid_accuracy
        return Entry(record.epoch, record.epoch * self._steps, time(), numbers, {})
