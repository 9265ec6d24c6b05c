"""The entry point of the command `nastk`: `main` turns errors into messages and exit codes."""

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
"""System errors that come from a wrong path in a request, not from the disk or from permissions."""


def main() -> None:
    """Run the command line and exit; an error of nastk is printed as one message."""
    with _plain_warnings():
        code = _run_command()
    sys.exit(_flush(code))


def _run_command() -> Any:
    """Run the command and return the exit code."""
    from nastk.cli.app import build

    if not _current_folder():
        # Relative paths would fail, and some libraries of torch crash the process.
        _to_stderr(
            "error: The current folder does not exist any more. Go to another one (cd) first."
        )
        return 2
    try:
        build()()
    except SystemExit as ending:  # typer's own way to end
        return ending.code
    except KeyboardInterrupt:
        _to_stderr("stopped: interrupted.")
        return 130
    except BrokenPipeError:
        return 1  # the reader of stdout (`| head`) has closed it
    except (NastkError, OSError) as error:
        if os.environ.get("NASTK_TRACEBACK"):
            raise
        code, message = _code_and_message(error)
        if not _speaks():
            return code
        _to_stderr(f"{'stopped' if code == 130 else 'error'}: {message}")
        return code
    return 0


def _speaks() -> bool:
    """True if this process says why it failed: of several of a run only the first that fails."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return True
    from nastk.base.processes import speaks

    return speaks()


def _code_and_message(error: NastkError | OSError) -> tuple[int, str]:
    """Returns the exit code and the message for an error."""
    if isinstance(error, NastkError):
        return error.exit_code, str(error)
    code = 2 if error.errno in WRONG_REQUEST else 1
    why = error.strerror or str(error)
    if error.filename is not None:
        return code, f"{why}: {error.filename}"
    return code, _unprinted(why)


def _unprinted(why: str) -> str:
    """Returns the message for a result that could not be printed."""
    return f"The result could not be printed on stdout: {why}. What a run stored is kept."


def _current_folder() -> bool:
    """True if the current folder exists."""
    with suppress(OSError):
        Path.cwd()
        return True
    return False


def _flush(code: Any) -> Any:
    """Flush stdout and return the exit code; a stdout that cannot be written gives an error."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = code or 1
    except (OSError, ValueError) as error:
        if not code:
            _to_stderr(f"error: {_unprinted(getattr(error, 'strerror', None) or str(error))}")
            code = 1
    else:
        return code
    # Python flushes stdout again at exit, which would print a traceback.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open until the end)
    return code


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Context in which warnings are printed in one line, without path and line of their source."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *where, **more: f"warning: {_line(message)}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _line(message: object) -> str:
    """Returns a message as one printable line."""
    return printable(" ".join(str(message).split()))


def _to_stderr(message: str) -> None:
    """Print to stderr; where that cannot be written, only the exit code reports the error."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(printable(message), file=sys.stderr)
