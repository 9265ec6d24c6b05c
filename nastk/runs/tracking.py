"""A run's trackers: `Tracking` tells those that were asked for the events of its log.

`nastk resume` goes on with the same trackers; `trackers.py` keeps what they were told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nastk.base.events import Event, RunFinished
from nastk.report.entries import entry
from nastk.runs.folder import RunFolder
from nastk.runs.trackers import Trackers
from nastk.spaces.subspace import Edge


@dataclass
class Tracking:
    """The trackers of the run in `folder`; does nothing where there are none.

    Example: `Tracking.of(folder, ["tensorboard"]).begin(config, edges)`
    """

    folder: RunFolder
    trackers: Trackers
    _edges: Sequence[Edge] = field(default=())
    _finished: bool = False

    @classmethod
    def of(cls, folder: RunFolder, asked: Iterable[Any]) -> "Tracking":
        """Returns the trackers that are `asked` for, as `Trackers.of` does.

        Raises:
            ConfigurationError: one that is asked for now has an unknown name or option, or its
                library is missing.
        """
        return cls(folder, Trackers.of(folder.path, asked))

    @property
    def notices(self) -> list[str]:
        """What the user should know of trackers that were left out."""
        return self.trackers.notices

    def begin(self, config: Mapping[str, Any], edges: Sequence[Edge]) -> None:
        """Called when the run's log is open, before its first event: tells trackers what they lack.

        `edges` are those of the search space.
        """
        self._edges = edges
        if self.trackers.tracked:
            lines = self.folder.events()
            self.trackers.begin(config, [partial(entry, line, edges) for line in lines])

    def hear(self, event: Event, line: Mapping[str, Any]) -> None:
        """Called with each event that is in the log, and its line."""
        self._finished |= isinstance(event, RunFinished)
        if self.trackers.tracked:
            self.trackers.tell(partial(entry, line, self._edges), event.kind)

    def end(self) -> None:
        """Called when the process leaves the run, however that comes."""
        self.trackers.end(self._finished)
