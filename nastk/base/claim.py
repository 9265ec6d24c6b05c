"""`claimed`: which of several processes works on a piece, such as the next free training.

Any number of processes may go through the same pieces: each asks for every piece and does those
that it gets. The lock is the operating system's, which frees it when a process ends, also by a
kill.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from nastk.base.errors import WriteError


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Context that gives True if this process has the lock file `path`, for as long as it lasts.

    It gives False if another process has it. Nothing waits. Between asking and getting another
    process may have done the piece: look whether it is done after it was claimed.

    Raises:
        WriteError: the file cannot be written.

    Example: `with claimed(folder / "a.lock") as mine: ...`
    """
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        mine = True
    except Timeout:
        mine = False
    except OSError as error:
        raise WriteError(path, str(error.strerror or error)) from None
    try:
        yield mine
    finally:
        if mine:
            lock.release()
