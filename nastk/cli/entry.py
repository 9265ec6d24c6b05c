"""What `nastk` runs: `main`, whose errors end in one message and an exit code."""

import errno
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nastk.base.errors import NastkError
from nastk.base.wording import printable

WRONG_REQUEST = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR}
"""What the system says of a path that somebody typed, rather than of a disk or a right."""


def main() -> None:
    """Run the command line; an error of nastk's ends in one message and its exit code."""
    with _plain_warnings():
        code = _ended()
    sys.exit(_flushed(code))


def _ended() -> Any:
    """Run the command that was asked for; the exit code."""
    from nastk.cli.app import build

    if not _current_folder():
        # Not only are relative paths nowhere then: libraries of torch's end the process.
        _say("error: The current folder does not exist any more. Go to another one (cd) first.")
        return 2
    try:
        build()()
    except SystemExit as ending:  # typer's own way to end
        return ending.code
    except KeyboardInterrupt:
        _say("stopped: interrupted.")
        return 130
    except BrokenPipeError:
        return 1  # the reader of stdout (`| head`) has gone; nothing more can be said to it
    except (NastkError, OSError) as error:
        if os.environ.get("NASTK_TRACEBACK"):
            raise
        code, message = _told(error)
        _say(f"{'stopped' if code == 130 else 'error'}: {message}")
        return code
    return 0


def _told(error: NastkError | OSError) -> tuple[int, str]:
    """An exit code and a message."""
    if isinstance(error, NastkError):
        return error.exit_code, str(error)
    code = 2 if error.errno in WRONG_REQUEST else 1
    why = error.strerror or str(error)
    if error.filename is not None:
        return code, f"{why}: {error.filename}"
    return code, _unprinted(why)


def _unprinted(why: str) -> str:
    return f"The result could not be printed on stdout: {why}. What a run stored is kept."


def _current_folder() -> bool:
    with suppress(OSError):
        Path.cwd()
        return True
    return False


def _flushed(code: Any) -> Any:
    """The exit code, once stdout has taken everything; one that cannot is said and left."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = code or 1
    except (OSError, ValueError) as error:
        if not code:
            _say(f"error: {_unprinted(getattr(error, 'strerror', None) or str(error))}")
            code = 1
    else:
        return code
    # Python flushes once more at its end, and would print a traceback then.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open until the end)
    return code


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings of libraries and of nastk in one line, without the path and the line of a source."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *where, **more: f"warning: {_line(message)}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _line(message: object) -> str:
    return printable(" ".join(str(message).split()))


def _say(message: str) -> None:
    """Print to stderr; where that cannot be written, the exit code alone has to tell."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(printable(message), file=sys.stderr)
