"""A table as one file: mapped into memory, checked by its sha256, written whole or not at all.

    8 bytes    NASTKTAB
    8 bytes    length of the header, little-endian
    header     JSON: format, space, architectures, columns, sources; blanks up to 64 bytes
    values     float32, little-endian, one column after the other
    texts      the architectures in UTF-8, a line each
    32 bytes   sha256 of everything before

No pickle, and nothing that depends on the moment: equal tables are equal files.
"""

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np

from nastk import DataError
from nastk.base import write_atomically
from nastk_tables.column import Column
from nastk_tables.table import Table

MAGIC = b"NASTKTAB"
FORMAT = 1
START = 16
DIGEST = 32
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What a header of another form raises on its way to a table."""


def read(path: Path) -> Table:
    """The table in `path`, its values mapped and not copied: milliseconds for a few megabytes.

    Raises:
        DataError: the file cannot be read, is no table, is damaged or cut short, or is of another
        format.
    """
    content = _mapped(path)
    if content[: len(MAGIC)] != MAGIC:
        raise DataError(
            f"{path} is no table of nastk. Make one from it with `nastk table import {path}`, if "
            "it is a benchmark's file."
        )
    digest = hashlib.sha256(memoryview(content)[:-DIGEST])
    if len(content) < START + DIGEST or digest.digest() != content[-DIGEST:]:
        raise _damaged(path, "its checksum does not fit its content, or its end is missing")
    try:
        return _parse(path, content, digest.hexdigest())
    except UNREADABLE as error:
        raise _damaged(path, str(error)) from None


def write(path: Path, table: Table) -> int:
    """Store `table` so that `path` holds all of it or what it held before; the bytes written.

    What will be written is read first: a table that could not be read never takes a good one's
    place.

    Raises:
        DataError: the table would not come back as it is.
        NastkError: the file could not be written (disk full, no permission).
    """
    header = json.dumps(
        {
            "format": FORMAT,
            "space": table.space,
            "architectures": len(table),
            "columns": [column.to_json() for column in table.columns],
            "sources": list(table.sources),
        }
    ).encode()
    header += b" " * (-(START + len(header)) % 64)
    values = np.ascontiguousarray(table.values, dtype="<f4").tobytes()
    texts = "\n".join(table.texts).encode()
    content = MAGIC + len(header).to_bytes(8, "little") + header + values + texts
    content += hashlib.sha256(content).digest()
    _check_readable(path, content, table)
    write_atomically(path, content)
    return len(content)


def _check_readable(path: Path, content: bytes, table: Table) -> None:
    """Raise where `content` would not be read as `table`."""
    try:
        again = _parse(path, content, "")
        same = (again.space, again.texts, again.columns, again.sources) == (
            (table.space, table.texts, table.columns, table.sources)
        ) and np.array_equal(again.values, np.asarray(table.values, "<f4"), equal_nan=True)
    except UNREADABLE as error:
        raise DataError(f"The table for {path} could not be read back: {error}.") from None
    if not same:
        raise DataError(
            f"The table for {path} would not be read back as it is: an architecture or a name in "
            "it has a line break, or the like. Nothing was written."
        )


def _mapped(path: Path) -> mmap.mmap:
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"The table {path} cannot be read: {reason}. Make it again with `nastk table import`."
        ) from None


def _parse(path: Path, content: mmap.mmap | bytes, digest: str) -> Table:
    size = int.from_bytes(content[len(MAGIC) : START], "little")
    header: dict[str, Any] = json.loads(content[START : START + size])
    if header["format"] != FORMAT:
        raise DataError(
            f"The table {path} has format {header['format']}; this nastk reads format {FORMAT}. "
            "Upgrade with `pip install -U nastk`, or make it again with `nastk table import`."
        )
    columns = tuple(Column.from_json(column) for column in header["columns"])
    if header["architectures"] < 1:
        raise ValueError("it holds no architectures")
    shape = (len(columns), header["architectures"])
    count = shape[0] * shape[1]
    values = np.frombuffer(content, "<f4", count, START + size).reshape(shape)
    texts = content[START + size + 4 * count : -DIGEST].decode()
    lines = tuple(texts.split("\n")) if texts else ()
    if len(lines) != shape[1]:
        raise ValueError(f"{len(lines)} architectures, expected {shape[1]}")
    return Table(header["space"], lines, columns, values, tuple(header["sources"]), digest)


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(
        f"The table {path} is damaged: {reason}. Make it again with `nastk table import`."
    )
