"""`find`, `default_path` and `findings`: the files of tables, and how to get a missing table."""

import os
from pathlib import Path
from typing import Any

from nastk import ConfigurationError, DataError
from nastk.base import near_miss

SUFFIX = ".table"
KNOWN = "nasbench201"
ADVICE = (
    "Download NATS-tss-v1_0-3ffb9-simple.tar (https://github.com/D-X-Y/NATS-Bench lists the "
    "places), unpack it, and run `nastk table import NATS-tss-v1_0-3ffb9-simple`. "
    "NAS-Bench-201-v1_1-096897.pth and CSV files will do, too."
)


def folder() -> Path:
    """Returns the folder of tables: `tables` in $NASTK_DATA, else ~/.cache/nastk/tables."""
    root = os.environ.get("NASTK_DATA")
    return Path(os.path.expanduser(Path(root) / "tables" if root else "~/.cache/nastk/tables"))


def default_path(name: str) -> Path:
    """Returns the path of the table called `name`, whether or not the file exists.

    Raises:
        ConfigurationError: the name is that of a folder or a path.
    """
    if not name.strip(".") or Path(name).name != name:
        raise ConfigurationError(
            f"A table's name is a word such as {KNOWN!r}, got {name!r}. Give a path with --out."
        )
    return folder() / f"{name}{SUFFIX}"


def is_name(table: str) -> bool:
    """True if `table` is a name and not a path."""
    return bool(table) and Path(table).name == table and not table.endswith(SUFFIX)


def find(table: str) -> Path:
    """Returns the file of a table from its name or its path.

    Raises:
        ConfigurationError: there is no such file; the message says how to get the data and which
            command to run.
    """
    named = is_name(table)
    path = default_path(table) if named else Path(os.path.expanduser(table))
    if os.path.isfile(path):  # for a name that is too long Path.is_file would raise
        return path
    imported = sorted(file.stem for file in folder().glob(f"*{SUFFIX}"))
    problem = f"No table is named {table!r}" if named else "There is no such table"
    listing = f" Imported: {', '.join(imported)}." if imported else ""
    raise ConfigurationError(f"{problem} ({path}).{near_miss(table, imported)}{listing} {ADVICE}")


def findings() -> list[dict[str, Any]]:
    """Returns the state of the table of NAS-Bench-201, as one {what, found, ok, advice}."""
    from nastk_tables.storage import read

    path = default_path(KNOWN)
    finding = {"what": f"table {KNOWN}", "found": f"{path} (not imported)", "ok": True}
    if not os.path.isfile(path):
        return [{**finding, "advice": ADVICE}]
    try:
        table = read(path)
    except DataError as error:
        return [{**finding, "found": str(error), "ok": False, "advice": ADVICE}]
    content = f"{path} ({len(table):,} architectures, {len(table.columns)} columns)"
    return [{**finding, "found": content, "advice": ""}]
