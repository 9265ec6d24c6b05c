"""Files that are whole or absent: `write_atomically`; `sweep` removes what a kill left half done.

Example: `write_atomically(Path("runs/a/result.json"), b"{}")`
"""

import contextlib
import os
import re
import stat
from pathlib import Path

from nastk.base.errors import ConfigurationError, WriteError

UNFINISHED = re.compile(r"\..+\.(\d+)\.tmp")
"""Names of files that a process (the number) was writing when it ended."""

LONGEST = 200
"""Bytes of a file's name to which process and ending are added."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that `path` holds either all of it or what it held before.

    What a killed process left of an earlier try to write `path` is removed.

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
    """Called before long work whose result goes to `path`: raise where no file can take its place.

    A device such as /dev/full would be replaced by a file, where the user may do that.

    Raises:
        ConfigurationError: it is a folder, a device, a pipe or a socket.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # nothing there, or no place for anything: writing will tell
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
        raise ConfigurationError(f"{path} is {what}. Name a file to write with --out.")


def sweep(folder: Path, name: str | None = None, alone: bool = False) -> None:
    """Remove what killed processes left half written in `folder`: of the file `name`, or of all.

    What a living process writes stays, unless the caller is `alone`: holds a lock on the folder.
    (Process numbers come again, in containers always the same ones.)
    """
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            found = UNFINISHED.fullmatch(entry.name)
            if not found or (name is not None and not entry.name.startswith(f".{_stem(name)}.")):
                continue
            if alone or not _alive(int(found[1])):
                Path(entry.path).unlink(missing_ok=True)


def _stem(name: str) -> str:
    """What the name of an unfinished file begins with: a name of 255 bytes leaves no room."""
    return name if len(os.fsencode(name)) <= LONGEST else name[: LONGEST // 4]


def _alive(process: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # somebody else's
    return True
