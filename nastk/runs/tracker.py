"""`Tracker`, the interface of plugins that write a run's numbers to a tool of the user's choice."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nastk.base.component import Component
from nastk.report.entries import Entry


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run when it begins with it.

    `settings` are those of its configuration, on one level: `updater.options.samples`. `memory` is
    what the tracker's `begin` returned when it began with this run; empty the first time.

    Example: `TrackedRun(Path("runs/a"), {"seed": 0})`
    """

    folder: Path
    settings: Mapping[str, Any]
    memory: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.resolve().name


class Tracker(Component, ABC):
    """Writes the numbers of one run to a tool that draws and compares them.

    One is made for each run whose user asked for it by name. It is told each event once, in order,
    in a resumed run too: what a tracker already has is not repeated, and what it lacks, because it
    was turned on late or had failed, is told when it begins. Where it raises, the user is warned
    once and the run goes on without it.

    Example: `nastk.search("darts", "shapley", trackers=["tensorboard"])`
    """

    def __init__(self, options: Any = None) -> None:
        """Called before anything of the run is written: checks that the tool's library is there.

        Raises:
            MissingExtraError: the library is not installed.
        """
        self.options = self.parse_options() if options is None else options

    @abstractmethod
    def begin(self, run: TrackedRun) -> Mapping[str, Any]:
        """Called when a process begins with the run or goes on with it, before any entry.

        Returns what the tracker has to know to go on with the same record, as JSON: an id.
        """

    @abstractmethod
    def write(self, entry: Entry) -> None:
        """Called after each event that has numbers or texts."""

    @abstractmethod
    def end(self, finished: bool) -> None:
        """Called when the process leaves the run, which has `finished` or may be resumed later."""
