"""A run's trackers: `Tracking` makes those that were asked for, and tells them the run's events.

`trackers.json` in the run folder keeps for each tracker its options, what it has to know to go on,
and how many events it was told. So `nastk resume` goes on with the same trackers.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from nastk.base.component import ComponentSpec, named_spec, written
from nastk.base.errors import NastkError, UnreadableError
from nastk.base.events import Event, RunFinished
from nastk.base.failures import RAISED, described
from nastk.base.files import write_atomically
from nastk.base.plugins import catalogue
from nastk.base.reading import read_json_object
from nastk.base.values import document
from nastk.report.entries import entry, settings
from nastk.runs.folder import RunFolder
from nastk.runs.tracker import TrackedRun, Tracker
from nastk.spaces.subspace import Edge

TRACKERS = "trackers.json"
VARIABLE = "NASTK_TRACK"
"""Environment variable with names of trackers, between commas, for every run of the process."""


@dataclass
class Tracked:
    """A tracker of a run, with how many events it was told and what it has to remember."""

    tracker: Tracker
    told: int = 0
    memory: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False


@dataclass
class Tracking:
    """The trackers of the run in `folder`; does nothing where there are none.

    Example: `Tracking.of(folder, ["tensorboard"]).begin(config, edges)`
    """

    folder: RunFolder
    tracked: list[Tracked] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    _edges: Sequence[Edge] = ()
    _events: int = 0
    _finished: bool = False

    @classmethod
    def of(cls, folder: RunFolder, asked: Iterable[Any]) -> "Tracking":
        """Returns the trackers that are `asked` for, here or in `NASTK_TRACK`, or were before.

        One that an earlier part of the run had and that cannot be made now is left out, with a
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

    def begin(self, config: Mapping[str, Any], edges: Sequence[Edge]) -> None:
        """Called when the run's log is open, before its first event: tells trackers what they lack.

        `edges` are those of the search space.
        """
        self._edges = edges
        if not self.tracked:
            return
        lines = self.folder.events()
        self._events = len(lines)
        for each in self.tracked:
            run = TrackedRun(self.folder.path, settings(config), each.memory)
            with forgiven(each, "beginning"):
                each.memory = dict(each.tracker.begin(run))
                for line in lines[each.told :]:
                    self._tell(each, line)
        self._store()

    def hear(self, event: Event, line: Mapping[str, Any]) -> None:
        """Called with each event that is in the log, and its line."""
        if not self.tracked:
            return
        self._events += 1
        self._finished |= isinstance(event, RunFinished)
        for each in self.tracked:
            if not each.failed and each.told < self._events:
                with forgiven(each, f"being told of {event.kind}"):
                    self._tell(each, line)
        self._store()

    def end(self) -> None:
        """Called when the process leaves the run, however that comes."""
        for each in self.tracked:
            if not each.failed:
                with forgiven(each, "ending"):
                    each.tracker.end(self._finished)

    def _tell(self, each: Tracked, line: Mapping[str, Any]) -> None:
        """Tell a tracker of one event."""
        if (found := entry(line, self._edges)) is not None:
            each.tracker.write(found)
        each.told += 1

    def _store(self) -> None:
        """Write what the trackers have to remember; the run does not depend on it."""
        stored = {
            each.tracker.name: {
                "options": written(each.tracker.options),
                "told": each.told,
                "memory": dict(each.memory),
            }
            for each in self.tracked
        }
        with suppress(NastkError):
            write_atomically(self.folder.path / TRACKERS, document(stored))


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


def _stored(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """Returns the content of the run's `trackers.json`; empty where it is missing or damaged."""
    try:
        values = read_json_object(folder.path / TRACKERS)
    except UnreadableError:
        return {}
    return {name: value for name, value in values.items() if isinstance(value, dict)}


def _memory(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what a tracker had to remember."""
    memory = stored.get("memory")
    return memory if isinstance(memory, dict) else {}
