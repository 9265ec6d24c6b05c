"""`load_torch` reads both formats of torch.save without torch; weights are left out."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

from nastk import DataError
from nastk.base import DAMAGE
from nastk_tables.unpickle import load

ZIP = b"PK\x03\x04"
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
"""The first pickle of a file in the format before torch 1.6."""
DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, *DAMAGE)
"""The exceptions that broken archives raise; for an offset after the file's end it is OSError."""


def load_torch(path: Path) -> Any:
    """Returns the object in `path` as plain values.

    Raises:
        DataError: torch.save did not write the file, it is damaged, or it names an object that is
            not admitted.
        OSError: the file cannot be opened.
    """
    with open(path, "rb") as file:
        zipped = file.read(len(ZIP)) == ZIP
    return _zipped(path) if zipped else _legacy(path)


def _zipped(path: Path) -> Any:
    """Reads the format since torch 1.6: a zip archive with the object in `data.pkl`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.split("/")[-1] == "data.pkl"]
            if len(names) != 1:
                raise DataError(f"{path} is a zip archive, but none that torch.save wrote.")
            with archive.open(names[0]) as file:
                return load(file, str(path))
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({error}). Download it again.") from None


def _legacy(path: Path) -> Any:
    """Reads the format before torch 1.6: pickles of a magic number, version, machine and object.

    The weights follow; they are not read.
    """
    with open(path, "rb") as file:
        if load(file, str(path)) != MAGIC_NUMBER:
            raise DataError(f"{path} is no file that torch.save wrote.")
        load(file, str(path))
        load(file, str(path))
        return load(file, str(path))
