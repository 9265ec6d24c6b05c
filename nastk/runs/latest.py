"""Where a running run is just now: `Latest` keeps the newest transient event in a small file.

`events.jsonl` has a line an epoch; what moves a bar between two lines is in `latest.json`, which
is there only while a process works on the run. Losing it loses nothing.
"""

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from nastk.base.errors import UnreadableError
from nastk.base.events import EvaluatorWorking, Event, StepDone, UpdaterWorking
from nastk.base.reading import read_json_object
from nastk.base.values import finite

LATEST = "latest.json"
SECONDS = 1.0
"""Least time between two writings: watching is not worth more of the run's time."""

SHOWN: dict[str, type[Event]] = {
    shown.kind: shown for shown in (StepDone, UpdaterWorking, EvaluatorWorking)
}


@dataclass
class Latest:
    """The file with the newest transient event of the work in `folder`, for those who watch it.

    Example: `Latest(folder.path).write(StepDone("0", 0, 12, 1.3, 0.4, 50))`
    """

    folder: Path
    began: float = field(default_factory=time.time)
    _written: float = float("-inf")
    _place: tuple[int, int] | None = None

    def write(self, event: Event) -> None:
        """Called with every transient event: replaces the file at most once a second.

        Nothing depends on this file, so errors in writing it are ignored.
        """
        now = time.monotonic()
        if event.kind not in SHOWN or now - self._written < SECONDS:
            return
        self._written = now
        self._place = self._place or _identity(self.folder)
        if self._place is None or _identity(self.folder) != self._place:
            return  # another folder stands where the run's was
        value = finite({**event.to_json(), "began": round(self.began, 3)})
        temporary = self.folder / f".{LATEST}.{os.getpid()}.tmp"
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(value), encoding="utf-8")
            temporary.replace(self.folder / LATEST)

    def remove(self) -> None:
        """Called when a process begins with the run and when it leaves it: removes the file."""
        if self._place in (None, _identity(self.folder)):
            with contextlib.suppress(OSError):
                (self.folder / LATEST).unlink(missing_ok=True)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Returns what tells a folder from another in its place; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def latest(folder: Path) -> tuple[Event, float] | None:
    """Returns the newest transient event of the run in `folder`, and when its process began.

    The time is as `time.time` gives it. None where no process works on the run, or it has not got
    so far.
    """
    try:
        value = read_json_object(folder / LATEST)
        event = TypeAdapter(SHOWN[value["kind"]]).validate_python(value)
        return event, float(value["began"])
    except (UnreadableError, ValidationError, KeyError, TypeError, ValueError):
        return None
