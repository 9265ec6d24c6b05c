"""Files that torch.save wrote, read without torch: both of its formats, weights left out."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

from nastk import DataError
from nastk.base import DAMAGE
from nastk_tables.unpickle import load

ZIP = b"PK\x03\x04"
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
"""The first pickle of the format before torch 1.6."""
DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, *DAMAGE)
"""What broken archives raise; an offset beyond the file's end is an OSError."""


def load_torch(path: Path) -> Any:
    """The object in `path`, as plain values.

    Raises:
        DataError: it is no file of torch's, is damaged, or names what is not admitted.
        OSError: it cannot be opened.
    """
    with open(path, "rb") as file:
        zipped = file.read(len(ZIP)) == ZIP
    return _zipped(path) if zipped else _legacy(path)


def _zipped(path: Path) -> Any:
    """Since torch 1.6: a zip archive whose `data.pkl` is the object; weights lie beside it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [each for each in archive.namelist() if each.split("/")[-1] == "data.pkl"]
            if len(names) != 1:
                raise DataError(f"{path} is a zip archive, but none that torch.save wrote.")
            with archive.open(names[0]) as file:
                return load(file, str(path))
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({error}). Download it again.") from None


def _legacy(path: Path) -> Any:
    """Before torch 1.6: four pickles (magic number, version, machine, object), then weights."""
    with open(path, "rb") as file:
        if load(file, str(path)) != MAGIC_NUMBER:
            raise DataError(f"{path} is no file that torch.save wrote.")
        load(file, str(path))
        load(file, str(path))
        return load(file, str(path))
