"""Results of studies that go on where they were stopped: a CSV with a row for each piece.

`head` begins the tables that scripts print of them.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def head(heads: Sequence[str]) -> str:
    """The first two lines of a Markdown table."""
    return f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|"


def read(path: Path, **wanted: str) -> list[dict[str, str]]:
    """The rows with these values; none where nothing has been measured yet."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if wanted.items() <= row.items()]


def append(path: Path, fields: Sequence[str], *rows: Mapping[str, Any]) -> None:
    """Append rows, below a header where the file is new."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields)
        if new:
            writer.writeheader()
        writer.writerows(rows)
