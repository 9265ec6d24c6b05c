"""`Csv`: images that a table lists, with their labels, `--data csv:FILE`."""

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from nastk import DataError
from nastk.base import near_miss
from nastk_images.labelled import Label, Labelled, tree_of
from nastk_images.listing import SPELLINGS, Tree
from nastk_images.source import PictureSource

USUAL = {
    "image": ("path", "image", "file", "filename", "image_path", "filepath", "file_name"),
    "label": ("label", "class", "target", "category", "labels"),
    "split": ("split", "set", "subset", "partition"),
}
"""The usual names of the columns, in lower case."""
DELIMITERS = ",;\t|"


class Csv(PictureSource):
    """Images that a CSV file lists: a header, then a row for each with its path and its label.

    Relative paths begin at the folder of the file, or at `root`. A column for splits may say train,
    valid or test; without one, test and valid are divided off as for a folder.

    Example: `Csv(Csv.Options(path="flowers.csv")).task`
    """

    name = "csv"
    summary = "images that a table lists: `--data csv:FILE`"
    remedy: ClassVar[str] = "give the table a column split with train, valid and test"
    no_test: ClassVar[str] = "The table has no test images"
    own_valid: ClassVar[str] = "The table's own valid images"

    class Options(PictureSource.Options):
        """The options of the source: which table, and how to read it."""

        path: Path = Field(description="the table; `--data csv:FILE` sets it")
        root: Path | None = Field(
            None, description="where relative paths begin; unset: the table's folder"
        )
        image: str | None = Field(
            None, description=f"the column of the paths; unset: one of {', '.join(USUAL['image'])}"
        )
        label: str | None = Field(
            None,
            description=f"the column of the classes; unset: one of {', '.join(USUAL['label'])}",
        )
        split: str | None = Field(
            None,
            description=f"the column of the splits; unset: one of {', '.join(USUAL['split'])}, if "
            "there is one",
        )

    @property
    def root(self) -> str:
        """See `PictureSource.root`."""
        root = self.options.root or self.options.path.expanduser().absolute().parent
        return str(root.expanduser().absolute())

    def listed(self) -> Tree:
        """See `PictureSource.listed`."""
        table = self.options.path.expanduser()
        rows = read_rows(table)
        found = columns(table, next(rows)[1], self.options)
        kept = _Collected(table, self.root)
        for line, values in rows:
            kept.add(line, values, found)
        return tree_of(kept.parts(), f"The table {table}", notes=kept.notes)


def read_rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the number of the line and the values of each row; the header comes first.

    Raises:
        DataError: the table cannot be read, is empty, or has a row with more or fewer values.
    """
    if not table.is_file():
        kind = "is no file" if table.exists() else "does not exist"
        raise DataError(f"The table {table} {kind}. Expected `--data csv:FILE`.")
    line = 0
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            file.seek(0)
            delimiter = max(DELIMITERS, key=header.count)
            width = 0
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for values in reader:
                line = reader.line_num
                if not any(value.strip() for value in values):
                    continue
                width = width or len(values)
                if len(values) != width:
                    raise DataError(
                        f"{table}, line {line}: {len(values)} values, where the header has {width}."
                    )
                yield line, [value.strip() for value in values]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The table {table} cannot be read after line {line}: {error}. Expected text in UTF-8 "
            "with a header."
        ) from None
    if not width:
        raise DataError(f"The table {table} is empty. Expected a header such as path,label.")


def columns(table: Path, header: Sequence[str], options: Csv.Options) -> dict[str, int]:
    """Returns the numbers of the columns for image and label and, if there is one, for split.

    Raises:
        DataError: a column does not exist, or none has a usual name.
    """
    found: dict[str, int] = {}
    for role, usual in USUAL.items():
        asked = getattr(options, role)
        if asked is not None:
            if asked not in header:
                raise DataError(
                    f"The table {table} has no column {asked!r}.{near_miss(asked, header)} "
                    f"It has: {', '.join(header)}."
                )
            found[role] = header.index(asked)
            continue
        lower = [name.lower() for name in header]
        matches = [lower.index(name) for name in usual if name in lower]
        if matches:
            found[role] = matches[0]
        elif role != "split":
            raise DataError(
                f"The table {table} has the columns {', '.join(header)}, and none of them is "
                f"called {', '.join(usual[:3])} or the like. Name the column with "
                f"`-d {role}=NAME`; the first line must be a header."
            )
    return found


@dataclass
class _Collected:
    """The rows that were read: pictures and labels of each split, every file once."""

    table: Path
    root: str
    first: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    """For each file: the line that named it first, its label and its split."""
    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)

    def add(self, line: int, values: Sequence[str], found: Mapping[str, int]) -> None:
        """Called for each row.

        Raises:
            DataError: names the row whose file, label or split cannot be used.
        """
        where = f"{self.table}, line {line}"
        image, label = values[found["image"]], values[found["label"]]
        split = values[found["split"]] if "split" in found else "train"
        for column, value in (("image", image), ("label", label)):
            if not value:
                raise DataError(f"{where}: the {column} is empty. Fill it, or remove the row.")
        role = next((role for role, usual in SPELLINGS.items() if split.lower() in usual), None)
        if role is None:
            raise DataError(f"{where}: the split is {split!r}; expected train, valid or test.")
        file = os.path.join(self.root, os.path.expanduser(image))
        if not os.path.isfile(file):
            raise DataError(
                f"{where}: the image {file} does not exist or is no file. Relative paths begin at "
                f"{self.root} (`-d root=FOLDER` changes that)."
            )
        known = self.first.setdefault(os.path.realpath(file), (line, label, role))
        if known[0] == line:
            self.rows.setdefault(role, []).append((file, label))
        elif known[1:] == (label, role):
            self.repeated.append(file)
        else:
            raise DataError(
                f"{where}: the image {file} is {label} in {role}, and line {known[0]} has it as "
                f"{known[1]} in {known[2]}. Remove one of the rows."
            )

    def parts(self) -> dict[str, Labelled]:
        """Returns the pictures of the splits; labels that are all whole numbers become numbers."""
        labels = [label for rows in self.rows.values() for _, label in rows]
        numbers = all(re.fullmatch(r"-?[0-9]{1,9}", label) for label in labels)
        kinds: Mapping[bool, type[Label]] = {True: int, False: str}
        parts = {
            role: Labelled([file for file, _ in rows], [kinds[numbers](label) for _, label in rows])
            for role, rows in self.rows.items()
        }
        return {"train": Labelled((), ()), **parts}

    @property
    def notes(self) -> list[str]:
        """A note on files that are listed twice."""
        if not self.repeated:
            return []
        count = len(self.repeated)
        return [f"{count} rows list an image again, such as {self.repeated[0]}; it is read once."]
