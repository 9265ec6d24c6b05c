"""Atomic writing of files: `write_atomically`; `sweep` removes files that were left unfinished.

Example: `write_atomically(Path("runs/a/result.json"), b"{}")`
"""

import contextlib
import os
import re
import stat
from pathlib import Path

from nastk.base.errors import ConfigurationError, WriteError

UNFINISHED = re.compile(r"\..+\.(\d+)\.tmp")
"""The form of the temporary names of files that are being written; the number is the process."""

LONGEST = 200
"""Bytes that a file's name may have so that its temporary name holds it in full."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`, which holds either all of it or its former content.

    Temporary files of killed processes that were writing `path` are removed.

    Raises:
        ConfigurationError: `path` is a folder, a device, a pipe or a socket.
        WriteError: the file could not be written (disk full, no permission).
    """
    check_replaceable(path)
    temporary = path.with_name(f".{_stem(path.name)}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WriteError(path, str(error.strerror or error)) from None
    sweep(path.parent, path.name)


def check_replaceable(path: Path) -> None:
    """Called before long work whose result goes to `path`: raises if a file cannot replace it.

    Without this check a device such as /dev/full would become a file, if the user has the rights.

    Raises:
        ConfigurationError: `path` is a folder, a device, a pipe or a socket.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # it does not exist, or cannot: writing raises a clear error
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise ConfigurationError(f"{path} is {kind}. Name a file to write with --out.")


def sweep(folder: Path, name: str | None = None, alone: bool = False) -> None:
    """Remove unfinished files of killed processes in `folder`: those of the file `name`, or all.

    Files of a running process stay, unless the caller is `alone`, that is, holds a lock on the
    folder. (Process numbers are reused; in containers they are always the same.)
    """
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            match = UNFINISHED.fullmatch(entry.name)
            if not match or (name is not None and not entry.name.startswith(f".{_stem(name)}.")):
                continue
            if alone or not _is_running(int(match[1])):
                Path(entry.path).unlink(missing_ok=True)


def _stem(name: str) -> str:
    """Returns the beginning of a temporary name: `name`, shortened if it is nearly 255 bytes."""
    return name if len(os.fsencode(name)) <= LONGEST else name[: LONGEST // 4]


def _is_running(process: int) -> bool:
    """True if a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it belongs to another user
    return True
