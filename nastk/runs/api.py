"""Searches from Python: `search` returns a result, `stream` yields events, `resume` continues.

All three drive a `Run` (`run.py`), as the command line does.
"""

import sys
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nastk.base.component import ComponentSpec
from nastk.base.errors import NastkError
from nastk.base.events import Event
from nastk.report.notebook import shown
from nastk.runs.config import resolve, resolve_call
from nastk.runs.folder import RunFolder
from nastk.runs.relay import Observer
from nastk.runs.result import Result
from nastk.runs.run import Run
from nastk.runs.search_config import SearchConfig


def search(
    space: str | ComponentSpec | Mapping[str, Any] | None = None,
    updater: str | ComponentSpec | Mapping[str, Any] | None = None,
    data: Any = None,
    *,
    epochs: int | None = None,
    out: str | Path | None = None,
    observers: Iterable[Observer] = (),
    trackers: Iterable[str | ComponentSpec | Mapping[str, Any]] = (),
    progress: bool = True,
    **request: Any,
) -> Result:
    """Search for an architecture and wait for the result.

    Args:
        space: the search space, as a name or `nastk.use(name, option=value)`.
        updater: the method, likewise.
        data: the images, likewise, or a pair (train, valid) or triple (train, valid, test) of
            Python data sets; `digits` where None.
        epochs: short for `trainer={"epochs": epochs}`.
        out: the run folder; the first free one under `runs/` where None.
        observers: functions that are called with every event.
        trackers: tools that draw the run's numbers, as names or `nastk.use(name, option=value)`.
        progress: show bars in a notebook; elsewhere nothing is shown in any case.
        **request: other keys of `SearchConfig`: seed, preset, evaluators, device, precision ...

    Raises:
        ConfigurationError: the request cannot be carried out; nothing has run.
        StopRequested: the run was interrupted; its checkpoint is written.

    Example: `nastk.search(space="darts", updater=nastk.use("shapley", samples=20), epochs=10)`
    """
    config, datasets = resolve_call(space, updater, data, epochs, request)
    run = Run.new(config, out, datasets, observers, trackers)
    _carry_out(run, progress)
    return run.result()


def _carry_out(run: Run, progress: bool) -> None:
    """Carry a run out; a notebook shows its `progress`."""
    plan = run.assembly.plan
    with shown(run.observers, plan.epochs, plan.steps_per_epoch, wanted=progress):
        for _ in run.events():
            pass


class EventStream(Iterator[Event]):
    """An iterator over the events of a search while it runs; closing it stops the search cleanly.

    A clean stop writes the checkpoint of the step that was reached and unlocks the run folder. It
    happens when a loop over the stream is left, at `close` or the end of a `with`, when the last
    reference to the stream is deleted, or when the program ends.

    Example:
        with nastk.stream({"space": "darts", "updater": "random"}) as events:
            first = next(events)
    """

    def __init__(self, events: Generator[Event, None, None]) -> None:
        self._events = events
        # At exit Python closes a generator only after it has unloaded the modules that writing a
        # checkpoint needs; a finalizer runs before that.
        self._finalizer = weakref.finalize(self, _close_quietly, events)

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """Stop the search after writing a checkpoint; does nothing once the search has ended.

        Raises:
            NastkError: the checkpoint could not be written.
        """
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _close_quietly(events: Generator[Event, None, None]) -> None:
    """Stop a search whose stream was deleted; prints errors, as no caller could catch them."""
    try:
        events.close()
    except NastkError as error:
        print(f"error: {error}", file=sys.stderr)


def stream(
    config: SearchConfig | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    data: Any = None,
    trackers: Iterable[str | ComponentSpec | Mapping[str, Any]] = (),
) -> EventStream:
    """Search and yield each event to the caller's loop; leaving the loop stops with a checkpoint.

    The search begins when the first event is requested. A stream that is held in a variable pauses
    between two events, and ends as `EventStream` describes.

    Example: `for event in nastk.stream({"space": "darts", "updater": "random"}): print(event)`
    """
    return EventStream(_events(config, out, data, trackers))


def _events(
    config: SearchConfig | Mapping[str, Any],
    out: str | Path | None,
    data: Any,
    trackers: Iterable[Any],
) -> Generator[Event, None, None]:
    resolved = config if isinstance(config, SearchConfig) else resolve(config)
    yield from Run.new(resolved, out, data, trackers=trackers).events()


def resume(
    path: str | Path,
    *,
    data: Any = None,
    observers: Iterable[Observer] = (),
    trackers: Iterable[str | ComponentSpec | Mapping[str, Any]] = (),
    finish: bool = False,
    progress: bool = True,
) -> Result:
    """Continue an interrupted run exactly where its newest checkpoint was written.

    On a CPU the run then equals an uninterrupted one bit for bit. For a finished run, returns its
    result. The run's trackers go on, and `trackers` beside them. With `finish` nothing more is
    trained: the decision of that checkpoint is evaluated and stored, and `Result.finished_early`
    says how far the run had come. A notebook shows bars unless `progress` is False.

    Raises:
        ConfigurationError: there is no run at `path`, or `finish` is set and the run has no
            checkpoint.
        CheckpointError: none of its checkpoints can be read.
    """
    folder = RunFolder.open(path)
    if folder.state() != "finished":
        _carry_out(Run.resumed(folder, data, observers, finish, trackers), progress)
    return Result(folder)
