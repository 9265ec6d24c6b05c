"""Passing on the events of a run: `EventRelay`."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nastk.base.events import Event
from nastk.base.failures import RAISED
from nastk.base.plugins import catalogue
from nastk.runs.endings import Endings
from nastk.runs.folder import EventLog
from nastk.runs.latest import Latest
from nastk.runs.tracking import Tracking

Observer = Callable[[Event], None]


@dataclass
class EventRelay:
    """Passes the events of a run to its log, trackers, observers, plugins, and the caller's loop.

    Events are written and observed as they are emitted, often within a weight step. The caller's
    loop gets them from `waiting` between two weight steps. Before the log is open, while the run is
    assembled, events are dropped: a run begins with `RunStarted`.

    Example: `RunContext(emit=EventRelay(endings, [print]).emit)`
    """

    endings: Endings
    observers: list[Observer]
    log: EventLog | None = None
    tracking: Tracking | None = None
    _waiting: deque[Event] = field(default_factory=deque)
    _latest: Latest | None = None

    @property
    def notices(self) -> list[str]:
        """What the trackers have to say when a run is resumed."""
        return [] if self.tracking is None else self.tracking.notices

    @contextmanager
    def logging_to(self, log: EventLog) -> Iterator[None]:
        """Context in which events are passed on, and all but transient ones written to `log`."""
        self.log, self._latest = log, Latest(self.endings.path)
        self._latest.remove()  # that of a process that was killed
        try:
            yield
        finally:
            if self.tracking is not None:
                self.tracking.end()
            log.close()
            self._latest.remove()

    def emit(self, event: Event) -> None:
        """Pass an event on.

        Raises:
            PluginError: an observer failed.
            NastkError: the log could not be written.
        """
        if self.log is None or self._latest is None:
            return
        if event.transient:
            self._latest.write(event)
        else:
            line = self.log.write(event.to_json())
            if self.tracking is not None:
                self.tracking.hear(event, line)
        self._waiting.append(event)
        try:
            for observer in self.observers:
                observer(event)
            catalogue().manager.hook.observe(event=event)
        except RAISED as error:
            raise self.endings.observer_failed(event.kind, error) from error

    def waiting(self) -> Iterator[Event]:
        """Yields the events since the last call, in their order."""
        while self._waiting:
            yield self._waiting.popleft()
