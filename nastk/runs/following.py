"""Following what others write: `Appended` has new lines of a file, `Followed` a run's events.

Nothing here changes a run, and a run does not know that it is followed.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nastk.base.events import Event
from nastk.runs.folder import EVENTS, RunFolder
from nastk.runs.latest import latest
from nastk.runs.stored import event_of, read_events


@dataclass
class Appended:
    """The lines that are appended to the file at `path`, which may not exist yet.

    A last line without its end is left for the next call. Where the file was cut, as a resumed run
    cuts its log back to its checkpoint, reading goes on at its new end.

    Example: `lines = Appended(path); print(lines.new())`
    """

    path: Path
    _place: int = 0

    def new(self) -> bytes:
        """Returns the whole lines since the last call; empty where there are none."""
        try:
            with open(self.path, "rb") as file:
                end = os.fstat(file.fileno()).st_size
                if end < self._place:
                    self._place = end
                file.seek(max(self._place - 1, 0))
                content = file.read()
        except FileNotFoundError:
            return b""
        if self._place:
            before, content = content[:1], content[1:]
            if before != b"\n":  # it was cut and has grown again: go on at the next line
                rest = content.partition(b"\n")[2]
                self._place += len(content) - len(rest)
                content = rest
        whole = content[: content.rfind(b"\n") + 1]
        self._place += len(whole)
        return whole


@dataclass
class Followed:
    """The events of a run, as they are written: those of its log, and the newest transient one.

    Example: `for line, event in Followed(RunFolder.open("runs/a")).new(): ...`
    """

    folder: RunFolder
    began: float | None = None
    """When the process that works on the run began with it, as `time.time` gives it."""
    _log: Appended = field(init=False)
    _last: Event | None = None

    def __post_init__(self) -> None:
        self._log = Appended(self.folder.path / EVENTS)

    def new(self, running: bool) -> Iterator[tuple[Mapping[str, Any] | None, Event | None]]:
        """Yields what is new, each as the line of the log and as an event.

        The line is None for the transient event, which is in no log and only there if the run is
        `running`; the event is None for a line of a kind that this version does not know.
        """
        lines, _ = read_events(self._log.new())
        for line in lines:
            yield line, event_of(line)
        if running and (newest := latest(self.folder.path)) is not None and newest[0] != self._last:
            self._last, self.began = newest
            yield None, self._last
