"""A search from Python: `search` waits for a result, `stream` hands over events, `resume` goes on.

The work is done by `Run` (`run.py`), which the command line uses too.
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
from nastk.data.pair import PairSource
from nastk.runs.config import SearchConfig, resolve
from nastk.runs.folder import RunFolder
from nastk.runs.relay import Observer
from nastk.runs.result import Result
from nastk.runs.run import Run


def search(
    space: str | ComponentSpec | Mapping[str, Any] | None = None,
    updater: str | ComponentSpec | Mapping[str, Any] | None = None,
    data: Any = None,
    *,
    epochs: int | None = None,
    out: str | Path | None = None,
    observers: Iterable[Observer] = (),
    **request: Any,
) -> Result:
    """Search for an architecture and wait for the result.

    Args:
        space: what to search, as a name or `nastk.use(name, option=value)`.
        updater: the method, likewise.
        data: the same, or a pair (train, valid) or triple (train, valid, test) of Python data sets;
            `digits` where None.
        epochs: short for `trainer={"epochs": epochs}`.
        out: the run folder; the first free one under `runs/` where None.
        observers: functions that hear every event.
        **request: other keys of `SearchConfig`: seed, preset, evaluators, device, precision ...

    Raises:
        ConfigurationError: what was asked for cannot be done; nothing has run.
        StopRequested: the run was interrupted; its checkpoint is written.

    Example: `nastk.search(space="darts", updater=nastk.use("shapley", samples=20), epochs=10)`
    """
    request = {**request, "space": space, "updater": updater}
    if epochs is not None:
        request["trainer"] = {**(request.get("trainer") or {}), "epochs": epochs}
    datasets = None
    if isinstance(data, (list, tuple)):
        datasets, data = data, PairSource.name
    config = resolve({**request, "data": data})
    run = Run.new(config, out, datasets, observers)
    for _ in run.events():
        pass
    return run.result()


class EventStream(Iterator[Event]):
    """The events of a search as it runs; whoever lets go of it stops the search cleanly.

    Then the checkpoint of the step that was reached is written and the run folder is free again:
    when a loop over it is left, at `close` or the end of a `with`, when the last variable that
    holds it goes, or when the program ends.

    Example:
        with nastk.stream({"space": "darts", "updater": "random"}) as events:
            first = next(events)
    """

    def __init__(self, events: Generator[Event, None, None]) -> None:
        self._events = events
        # Python would end a generator only after the modules that it needs to write a checkpoint.
        self._ending = weakref.finalize(self, _ended, events)

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """Stop the search, with a checkpoint; once it has ended, nothing.

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


def _ended(events: Generator[Event, None, None]) -> None:
    """Stop a search whose stream nobody holds any more; nobody could catch what goes wrong."""
    try:
        events.close()
    except NastkError as error:
        print(f"error: {error}", file=sys.stderr)


def stream(
    config: SearchConfig | Mapping[str, Any], *, out: str | Path | None = None, data: Any = None
) -> EventStream:
    """Search, handing each event to the caller's loop; leaving it is a clean, checkpointed stop.

    The search begins with the first event that is asked for. Held in a variable, it stands still
    between two events, and ends as `EventStream` says.

    Example: `for event in nastk.stream({"space": "darts", "updater": "random"}): print(event)`
    """
    return EventStream(_events(config, out, data))


def _events(
    config: SearchConfig | Mapping[str, Any], out: str | Path | None, data: Any
) -> Generator[Event, None, None]:
    resolved = config if isinstance(config, SearchConfig) else resolve(config)
    yield from Run.new(resolved, out, data).events()


def resume(
    path: str | Path,
    *,
    data: Any = None,
    observers: Iterable[Observer] = (),
    finish: bool = False,
) -> Result:
    """Continue an interrupted run exactly where its newest checkpoint was written.

    On a CPU the run then equals an uninterrupted one bit for bit. A finished run gives its result.
    With `finish` nothing more is trained: the decision of that checkpoint is judged and stored,
    and `Result.finished_early` says how far the run had come.

    Raises:
        ConfigurationError: there is no run at `path`, or it is to be finished and has no
            checkpoint.
        CheckpointError: no checkpoint of it can be read.
    """
    folder = RunFolder.open(path)
    if folder.state() != "finished":
        for _ in Run.resumed(folder, data, observers, finish).events():
            pass
    return Result(folder)
