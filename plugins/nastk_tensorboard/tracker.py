"""The tracker `tensorboard`: event files below the run folder, which TensorBoard finds itself."""

from collections.abc import Mapping
from typing import Any

from nastk import TrackedRun, Tracker
from nastk.base import library
from nastk.report import Entry

FOLDER = "tensorboard"
"""The folder of the event files within the run folder."""


class TensorBoard(Tracker):
    """Writes numbers as scalars over weight steps, and texts as they are, beside the settings.

    A process that goes on with the run adds a file to the same folder, which TensorBoard reads as
    one record.

    Example: `nastk.search("darts", "shapley", trackers=["tensorboard"])`
    """

    name = "tensorboard"
    summary = "curves of a run in TensorBoard's event files"

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        # The writer is torch's; what it writes with comes with the extra.
        library("tensorboard", "tensorboard", "The tracker tensorboard")

    def begin(self, run: TrackedRun) -> Mapping[str, Any]:
        """Called when a process begins with the run: opens an event file."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / FOLDER))
        if not run.memory:
            rows = "".join(f"| {name} | {value} |\n" for name, value in run.settings.items())
            self._writer.add_text("settings", f"| setting | value |\n|---|---|\n{rows}", 0)
            self._writer.flush()
        return {"folder": FOLDER}

    def write(self, entry: Entry) -> None:
        """Called after each event: adds its numbers and texts, and writes them to the disk."""
        for name, number in entry.numbers.items():
            self._writer.add_scalar(name, number, entry.step, entry.time or None)
        for name, text in entry.texts.items():
            self._writer.add_text(name, text, entry.step, entry.time or None)
        self._writer.flush()

    def end(self, finished: bool) -> None:
        """Called when the process leaves the run: closes the file."""
        self._writer.close()
