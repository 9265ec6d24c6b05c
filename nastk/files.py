"""Files that are whole or absent: `write_atomically`, for checkpoints, results and tables."""

import contextlib
import os
from pathlib import Path

from nastk.errors import NastkError


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` so that `path` holds either all of it or what it held before.

    Raises:
        NastkError: the file could not be written (disk full, no permission).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
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
        raise NastkError(
            f"{path} could not be written: {error.strerror or error}. "
            "Make room or choose another --out; what was there before is untouched."
        ) from None
