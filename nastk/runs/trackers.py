"""Trackers of any work that goes on after a kill: `Trackers` makes them and tells them its numbers.

`trackers.json` in the folder of the work keeps for each tracker its options, what it has to know to
go on, and how many entries it was told. `tracking.py` has those of a run; `nastk train` has a
training's.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nastk.base.component import ComponentSpec, named_spec, written
from nastk.base.errors import NastkError, UnreadableError
from nastk.base.failures import RAISED, described
from nastk.base.files import write_atomically
from nastk.base.plugins import catalogue
from nastk.base.reading import read_json_object
from nastk.base.values import document
from nastk.report.entries import Entry
from nastk.report.entries import settings as flat
from nastk.runs.tracker import TrackedRun, Tracker

TRACKERS = "trackers.json"
Make = Callable[[], Entry | None]
"""Makes an entry, None where there is nothing to tell; what fails in it stops no work."""
VARIABLE = "NASTK_TRACK"
"""Environment variable with names of trackers, between commas, for every run of the process."""


@dataclass
class Tracked:
    """A tracker, with how many entries it was told and what it has to remember."""

    tracker: Tracker
    told: int = 0
    memory: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False


@dataclass
class Trackers:
    """The trackers of the work in `folder`; does nothing where there are none.

    `notices` are what the user should know of those that were left out.

    Example: `Trackers.of(folder, ["tensorboard"]).begin({"epochs": 8}, [])`
    """

    folder: Path
    tracked: list[Tracked] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    _told: int = 0

    @classmethod
    def of(cls, folder: Path, asked: Iterable[Any]) -> "Trackers":
        """Returns the trackers that are `asked` for, here or in `NASTK_TRACK`, or were before.

        One that an earlier part of the work had and that cannot be made now is left out, with a
        notice.

        Raises:
            ConfigurationError: one that is asked for now has an unknown name or option, or its
                library is missing.
        """
        before = _stored(folder)
        specs = [tracker_use(given) for given in [*_of_environment(), *asked]]
        made = {spec.name: _made(spec.name, spec.options) for spec in specs}
        notices = []
        for name, stored in before.items():
            if name in made:
                continue
            try:
                made[name] = _made(name, stored.get("options") or {})
            except NastkError as error:
                notices.append(f"The run goes on without its tracker {name!r}. {error}")
        tracked = [
            Tracked(tracker, before.get(name, {}).get("told", 0), _memory(before.get(name, {})))
            for name, tracker in made.items()
        ]
        return cls(folder, tracked, notices)

    def begin(self, settings: Mapping[str, Any], entries: Sequence[Make]) -> None:
        """Called before the work begins or goes on: tells trackers what they lack.

        `settings` are those of the work, `entries` make all that it has behind it.
        """
        if not self.tracked:
            return
        self._told = len(entries)
        for each in self.tracked:
            run = TrackedRun(self.folder, flat(settings), each.memory)
            with forgiven(each, "beginning"):
                each.memory = dict(each.tracker.begin(run))
                for entry in entries[each.told :]:
                    _tell(each, entry)
        self._store()

    def tell(self, entry: Make, what: str) -> None:
        """Called with what makes the next entry; `what` it is of is for warnings."""
        if not self.tracked:
            return
        self._told += 1
        for each in self.tracked:
            if not each.failed and each.told < self._told:
                with forgiven(each, f"being told of {what}"):
                    _tell(each, entry)
        self._store()

    def end(self, finished: bool) -> None:
        """Called when the process leaves the work, however that comes."""
        for each in self.tracked:
            if not each.failed:
                with forgiven(each, "ending"):
                    each.tracker.end(finished)

    def _store(self) -> None:
        """Write what the trackers have to remember; the work does not depend on it."""
        stored = {
            each.tracker.name: {
                "options": written(each.tracker.options),
                "told": each.told,
                "memory": dict(each.memory),
            }
            for each in self.tracked
        }
        with suppress(NastkError):
            write_atomically(self.folder / TRACKERS, document(stored))


def _tell(each: Tracked, make: Make) -> None:
    """Tell a tracker of one entry."""
    if (entry := make()) is not None:
        each.tracker.write(entry)
    each.told += 1


@contextmanager
def forgiven(each: Tracked, doing: str) -> Iterator[None]:
    """Context around each call of a tracker: one that raises is left out, with one warning."""
    try:
        yield
    except RAISED as error:
        each.failed = True
        name = catalogue().called("tracker", each.tracker.name)
        warnings.warn(
            f"{name} failed {doing}: {described(error)}. The run goes on without it.",
            RuntimeWarning,
            stacklevel=3,
        )


def tracker_use(given: Any) -> ComponentSpec:
    """Returns the tracker that a user named: as any component, or as `NAME[,OPTION=VALUE...]`.

    Raises:
        ConfigurationError: `given` has neither form.

    >>> tracker_use("mlflow,experiment=leaves").options
    {'experiment': 'leaves'}
    """
    return named_spec(given, "A tracker is named as NAME[,OPTION=VALUE...]")


def _of_environment() -> list[str]:
    """Returns the names in `NASTK_TRACK`."""
    names = os.environ.get(VARIABLE, "").split(",")
    return [name.strip() for name in names if name.strip()]


def _made(name: str, options: Mapping[str, Any]) -> Tracker:
    """Returns the tracker called `name`.

    Raises:
        ConfigurationError: its name or an option is unknown, or its library is missing.
    """
    kind: type[Tracker] = catalogue().load("tracker", name)
    return kind(kind.parse_options(options))


def _stored(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the content of the folder's `trackers.json`; empty where it is missing or damaged."""
    try:
        values = read_json_object(folder / TRACKERS)
    except UnreadableError:
        return {}
    return {name: value for name, value in values.items() if isinstance(value, dict)}


def _memory(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what a tracker had to remember."""
    memory = stored.get("memory")
    return memory if isinstance(memory, dict) else {}
