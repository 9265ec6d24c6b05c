"""Where tables lie, and how to get what is not there: `find`, `default_path`, `findings`."""

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
    """`tables` in the environment's NASTK_DATA, else ~/.cache/nastk/tables."""
    root = os.environ.get("NASTK_DATA")
    return Path(os.path.expanduser(Path(root) / "tables" if root else "~/.cache/nastk/tables"))


def default_path(name: str) -> Path:
    """Where the table of that name lies, whether or not it is there.

    Raises:
        ConfigurationError: the name is that of a folder or a path.
    """
    if not name.strip(".") or Path(name).name != name:
        raise ConfigurationError(
            f"A table's name is a word such as {KNOWN!r}, got {name!r}. Give a path with --out."
        )
    return folder() / f"{name}{SUFFIX}"


def is_name(table: str) -> bool:
    """Whether a table is given by its name, not by its path."""
    return bool(table) and Path(table).name == table and not table.endswith(SUFFIX)


def find(table: str) -> Path:
    """The file of a table, from its name or from its path.

    Raises:
        ConfigurationError: there is no such file; says how to get the data and what to type.
    """
    named = is_name(table)
    path = default_path(table) if named else Path(os.path.expanduser(table))
    if os.path.isfile(path):  # False, where Path.is_file raises, for a name too long
        return path
    there = sorted(each.stem for each in folder().glob(f"*{SUFFIX}"))
    what = f"No table is named {table!r}" if named else "There is no such table"
    others = f" Imported: {', '.join(there)}." if there else ""
    raise ConfigurationError(f"{what} ({path}).{near_miss(table, there)}{others} {ADVICE}")


def findings() -> list[dict[str, Any]]:
    """Whether the table of NAS-Bench-201 is there and whole, as {what, found, ok, advice}."""
    from nastk_tables.storage import read

    path = default_path(KNOWN)
    finding = {"what": f"table {KNOWN}", "found": f"{path} (not imported)", "ok": True}
    if not os.path.isfile(path):
        return [{**finding, "advice": ADVICE}]
    try:
        table = read(path)
    except DataError as error:
        return [{**finding, "found": str(error), "ok": False, "advice": ADVICE}]
    found = f"{path} ({len(table):,} architectures, {len(table.columns)} columns)"
    return [{**finding, "found": found, "advice": ""}]
