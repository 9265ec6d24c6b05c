"""Following what others write: new lines of a file, events of a run, epochs of a training.

Nothing here changes a run, and a run does not know that it is followed.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nastk.base.errors import UnreadableError
from nastk.base.events import Event
from nastk.base.reading import json_value, read_json_object
from nastk.runs.folder import EVENTS, RunFolder, is_free
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


TRAINED, TRAINING_LOCK, TRAINING_LOG, MODEL = "trained", "training.lock", "log.jsonl", "model.json"
"""What trainings of found networks are kept in, below a run or in a folder of their own."""


@dataclass
class FollowedTraining:
    """The epochs of a training, seed by seed, as they are written.

    Example: `for epoch in FollowedTraining(Path("runs/a/trained/train")).new(): ...`
    """

    folder: Path
    _logs: dict[Path, Appended] = field(default_factory=dict)
    _last: Event | None = None

    @classmethod
    def below(cls, place: Path) -> "list[FollowedTraining]":
        """Returns the training in a folder, and those in the folder `trained` in it, by name."""
        folders = [place, *sorted(place.glob(f"{TRAINED}/*"))]
        return [cls(folder) for folder in folders if (folder / TRAINING_LOCK).is_file()]

    def state(self) -> str:
        """`running` (its lock is held), `finished` (every seed has a model), or `interrupted`."""
        if not is_free(self.folder / TRAINING_LOCK):
            return "running"
        seeds = self._seeds()
        done = bool(seeds) and all((seed / MODEL).is_file() for seed in seeds)
        return "finished" if done else "interrupted"

    def new(self) -> Iterator[dict[str, Any]]:
        """Yields each new epoch as its line of the log, with the `training` and its `seed`."""
        for seed in self._seeds():
            log = self._logs.setdefault(seed, Appended(seed / TRAINING_LOG))
            for line in log.new().splitlines():
                try:
                    value = json_value(line.decode())
                except ValueError:
                    continue
                if isinstance(value, dict) and isinstance(value.get("epoch"), int):
                    number = int(seed.name.partition("-")[2])
                    yield {"training": self.folder.name, "seed": number, **value}

    def working(self) -> Event | None:
        """Returns what the training is at, if that is new; read only while it is running."""
        newest = latest(self.folder)
        if newest is None or newest[0] == self._last:
            return None
        self._last = newest[0]
        return self._last

    def models(self) -> dict[int, dict[str, Any]]:
        """Returns the descriptions of the trained networks by their seeds, `model.json`."""
        found = {}
        for seed in self._seeds():
            if (seed / MODEL).is_file():
                with suppress(UnreadableError):
                    found[int(seed.name.partition("-")[2])] = read_json_object(seed / MODEL)
        return found

    def _seeds(self) -> list[Path]:
        """Returns the folders of the seeds, in their order."""
        found = [
            path
            for path in self.folder.glob("seed-*")
            if path.name.partition("-")[2].isdecimal() and path.is_dir()
        ]
        return sorted(found, key=lambda path: int(path.name.partition("-")[2]))
