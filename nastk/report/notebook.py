"""The progress of a search in a notebook: one display below the cell that is drawn anew.

Notebooks are recognised by their kernel. Nothing is installed for this: the display is a piece of
HTML with a text beside it, which any notebook shows, and IPython is there where a notebook is.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from time import monotonic
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from nastk.base.events import Event
from nastk.report.progress import Bars, Lines

PAUSE = 0.25
"""Least seconds between two drawings."""
MOST = 15
"""Lines that stay in the display; of a long search the newest ones."""
WIDTH = 100
FRAME = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:normal;'
    'font-family:ui-monospace,Menlo,Consolas,monospace">{code}</pre>'
)


def in_notebook() -> bool:
    """True if this program runs in the kernel of a notebook, not at IPython's own prompt."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class NotebookView:
    """An observer that draws a run's events in the output of a notebook's cell.

    `epochs` and `steps_per_epoch` come from the plan; `title` is the first line, if any.

    Example: `with NotebookView(epochs=10, steps_per_epoch=50) as view: observers = [view]`
    """

    def __init__(self, epochs: int, steps_per_epoch: int, title: str = "") -> None:
        self._bars = Bars(Console(file=io.StringIO()), epochs, steps_per_epoch)
        self._source = Lines(epochs)
        self._title, self._lines = title, list[str]()
        self._over = False
        self._drawn = float("-inf")
        self._display: Any = None

    def __enter__(self) -> "NotebookView":
        display = import_module("IPython.display").display
        self._display = display(self, display_id=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._over = True  # the bars go, the lines stay
        self._display.update(self)

    def __call__(self, event: Event) -> None:
        """Called with every event: draws it, unless something was drawn just now."""
        self._bars.move(event)
        if line := self._source.line(event):
            self._lines.append(line)
        now = monotonic()
        if now - self._drawn >= PAUSE:
            self._drawn = now
            self._display.update(self)

    def _repr_mimebundle_(self, **wanted: Any) -> dict[str, str]:
        """Called by IPython to draw: returns the present state as HTML and as text."""
        console = Console(file=io.StringIO(), width=WIDTH, record=True, force_jupyter=False)
        console.print(self._state())
        text = console.export_text(clear=False)
        return {
            "text/html": console.export_html(inline_styles=True, code_format=FRAME),
            "text/plain": text,
        }

    def _state(self) -> RenderableType:
        """Returns what is to be seen now."""
        left_out = len(self._lines) - MOST
        earlier = [f"... {left_out} earlier lines"] if left_out > 0 else []
        shown = [self._title] * bool(self._title) + earlier + self._lines[-MOST:]
        parts: list[RenderableType] = [Text(line) for line in shown]
        return Group(*parts) if self._over else Group(*parts, self._bars.progress.get_renderable())


@contextmanager
def shown(
    observers: list[Any], epochs: int, steps_per_epoch: int, title: str = "", wanted: bool = True
) -> Iterator[None]:
    """Context in which a notebook shows a run, whose list of `observers` is given.

    Does nothing anywhere else, or if it is not `wanted`.
    """
    if not wanted or not in_notebook():
        yield
        return
    with NotebookView(epochs, steps_per_epoch, title) as view:
        observers.append(view)
        yield
