"""`read` and `write` a table as one file, mapped into memory and checked by its sha256.

    8 bytes    NASTKTAB
    8 bytes    length of the header, little-endian
    header     JSON: format, space, architectures, columns, sources, in a table of one's own also
               provenance; blanks up to 64 bytes
    values     float32, little-endian, one column after the other
    texts      the architectures in UTF-8, one per line
    32 bytes   sha256 of all bytes before

The file has no pickle and no time stamp: equal tables are equal files.
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
"""The exceptions that a header of another form raises while it is read."""


def read(path: Path) -> Table:
    """Returns the table in `path`, whose values are mapped, not copied: a few milliseconds.

    Raises:
        DataError: the file cannot be read, is no table, is damaged or cut short, or has another
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
    """Writes `table` to `path` atomically; returns the number of bytes.

    The new content is read back before it is written: an unreadable table never replaces a good
    one.

    Raises:
        DataError: the table would be read back differently.
        NastkError: the file could not be written (disk full, no permission).
    """
    header = json.dumps(
        {
            "format": FORMAT,
            "space": table.space,
            "architectures": len(table),
            "columns": [column.to_json() for column in table.columns],
            "sources": list(table.sources),
            **({"provenance": table.provenance} if table.provenance else {}),
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
    """Raises a DataError if reading `content` does not give `table`."""
    try:
        again = _parse(path, content, "")
        same = _described(again) == _described(table) and np.array_equal(
            again.values, np.asarray(table.values, "<f4"), equal_nan=True
        )
    except UNREADABLE as error:
        raise DataError(f"The table for {path} could not be read back: {error}.") from None
    if not same:
        raise DataError(
            f"The table for {path} would not be read back as it is: an architecture or a name in "
            "it has a line break, or the like. Nothing was written."
        )


def _described(table: Table) -> tuple[Any, ...]:
    """Returns all of a table but its numbers."""
    return (table.space, table.texts, table.columns, table.sources, dict(table.provenance))


def _mapped(path: Path) -> mmap.mmap:
    """Returns the file mapped into memory, read-only."""
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"The table {path} cannot be read: {reason}. Make it again with `nastk table import`."
        ) from None


def _parse(path: Path, content: mmap.mmap | bytes, digest: str) -> Table:
    """Returns the table that `content` describes."""
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
    sources, provenance = tuple(header["sources"]), header.get("provenance", {})
    if not isinstance(provenance, dict):
        raise ValueError("its provenance is no JSON object")
    return Table(header["space"], lines, columns, values, sources, digest, provenance)


def _damaged(path: Path, reason: str) -> DataError:
    """Returns the error for a damaged table."""
    return DataError(
        f"The table {path} is damaged: {reason}. Make it again with `nastk table import`."
    )
