"""Where output goes: results to stdout, everything else to stderr; JSON where it was asked for.

At a terminal tables fit its width. Elsewhere (a pipe, a file, a log) nothing is wrapped, padded or
cut: a line is a line, whatever `COLUMNS` says. A run never ends because nobody can be told of it:
what stderr does not take is dropped.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.spinner import Spinner

from nastk.base.values import finite
from nastk.base.wording import printable

UNLIMITED = 10_000
"""Columns of what is no terminal."""


def stdout() -> Console:
    """The console for results."""
    return Visible(highlight=False)


def stderr() -> Console:
    """The console for progress, notes and warnings; it drops what cannot be written."""
    return Visible(file=cast(IO[str], Lenient(sys.stderr)), highlight=False)


class Visible(Console):
    r"""A console on which names from elsewhere steer nothing: their control signs are shown.

    Example: `Visible().print("a\x1b[31mb")` prints `a␛[31mb`
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of `renderable`, with its texts made printable."""
        for segment in super().render(renderable, options):
            plain = segment.control or segment.text.isprintable()
            yield segment if plain else Segment(printable(segment.text), segment.style)


class Lenient:
    """A text stream that never fails: its reader may have gone, its disk may be full.

    Example: `print("a note", file=Lenient(sys.stderr))`
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):  # ValueError: it is closed
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """Whatever else the stream has, such as `isatty`."""
        return getattr(self._stream, name)


def show(what: RenderableType) -> None:
    """Something that rich draws (a summary, a table, a cell) on stdout."""
    console = stdout()
    if console.is_terminal:
        console.print(what)
    else:
        for line in _lines(what, console):
            print(line)


def line(text: str) -> None:
    """A line of a result on stdout, never broken: commands in it can be copied."""
    stdout().print(text, markup=False, soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """A line on stderr, never broken."""
    stderr().print(text, markup=False, soft_wrap=True, style=style)


def warn(messages: list[str]) -> None:
    """Each message as a warning on stderr."""
    for message in messages:
        note(f"warning: {message}", "yellow")


@contextmanager
def waiting(what: str, quiet: bool = False) -> Iterator[None]:
    """While inside, a terminal shows that something takes a while; nothing of it stays."""
    console = stderr()
    if quiet or not console.is_terminal:
        yield
        return
    # Drawn at once, before whatever takes a while keeps Python to itself.
    with Live(Spinner("dots", what), console=console, transient=True):
        yield


def print_json(value: Any) -> None:
    """`value` as indented JSON on stdout; null where an old run holds a number that is none."""
    print(json.dumps(finite(value), indent=2, allow_nan=False))


def _lines(what: RenderableType, console: Console) -> Iterator[str]:
    """The lines of `what` at its full width, as text without anything behind their last sign."""
    for segments in console.render_lines(what, console.options.update(width=UNLIMITED), pad=False):
        yield "".join(one.text for one in segments if not one.control).rstrip()
