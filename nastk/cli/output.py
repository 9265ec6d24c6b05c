"""Output of the command line: results on stdout, everything else on stderr; JSON on request.

On a terminal, tables fit its width. In a pipe, a file or a log no line is wrapped, padded or cut,
whatever `COLUMNS` says. A run must not fail because stderr cannot be written, so errors in writing
to stderr are ignored.
"""

import json
import os
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

_muted = False

UNLIMITED = 10_000
"""Columns of output that does not go to a terminal."""


def stdout() -> Console:
    """Returns the console for results."""
    return Visible(highlight=False)


def stderr() -> Console:
    """Returns the console for progress, notes and warnings, which ignores errors in writing."""
    return Visible(file=cast(IO[str], Lenient(sys.stderr)), highlight=False, quiet=_muted)


def mute() -> None:
    """Print nothing from here on: of several processes of a run the first one prints.

    Errors are still printed.
    """
    global _muted
    _muted = True
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open until the end)


class Visible(Console):
    r"""A console that shows control characters in texts instead of sending them to the terminal.

    Names that come from files could otherwise change colours or move the cursor.

    Example: `Visible().print("a\x1b[31mb")` prints `a␛[31mb`
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields the segments of `renderable`, with printable texts."""
        for segment in super().render(renderable, options):
            plain = segment.control or segment.text.isprintable()
            yield segment if plain else Segment(printable(segment.text), segment.style)


class Lenient:
    """A text stream that ignores errors in writing, such as a closed reader or a full disk.

    Example: `print("a note", file=Lenient(sys.stderr))`
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` if possible; returns its length in any case."""
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if possible."""
        with suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """Returns any other attribute of the stream, such as `isatty`."""
        return getattr(self._stream, name)


def show(what: RenderableType) -> None:
    """Print something that rich draws (a summary, a table, a cell) on stdout."""
    console = stdout()
    if console.is_terminal:
        console.print(what)
    else:
        for line in _lines(what, console):
            print(line)


def line(text: str) -> None:
    """Print a line of a result on stdout without wrapping, so that commands in it can be copied."""
    stdout().print(text, markup=False, soft_wrap=True)


def note(text: str, style: str = "") -> None:
    """Print a line on stderr without wrapping."""
    stderr().print(text, markup=False, soft_wrap=True, style=style)


def warn(messages: list[str]) -> None:
    """Print every message as a warning on stderr."""
    for message in messages:
        note(f"warning: {message}", "yellow")


@contextmanager
def waiting(what: str, quiet: bool = False) -> Iterator[None]:
    """Context in which a terminal shows a spinner with the text `what`; it leaves no trace."""
    console = stderr()
    if quiet or not console.is_terminal:
        yield
        return
    # `Live` draws at once; its thread may not run while an import holds Python's lock.
    with Live(Spinner("dots", what), console=console, transient=True):
        yield


@contextmanager
def results_alone() -> Iterator[None]:
    """Context in which what libraries print on stdout goes to stderr: results stand there alone.

    Also what they print without Python: Ray says on file 1 that it repeats a task.
    """
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except (AttributeError, OSError):  # the process has no stdout, or a closed one
        yield
        return
    with suppress(OSError):  # without a stderr there is no other place
        os.dup2(2, 1)
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def print_json(value: Any) -> None:
    """Print `value` as indented JSON on stdout; NaN and infinite numbers become null."""
    print(json.dumps(finite(value), indent=2, allow_nan=False))


def _lines(what: RenderableType, console: Console) -> Iterator[str]:
    """Yields the lines of `what` at full width, as text without trailing blanks."""
    for segments in console.render_lines(what, console.options.update(width=UNLIMITED), pad=False):
        yield "".join(segment.text for segment in segments if not segment.control).rstrip()
