"""`import_files` makes a table from a benchmark's files, for `nastk table import`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nastk import DataError, catalogue
from nastk_tables import macro, official, spreadsheet
from nastk_tables.sheet import Sheet, merge
from nastk_tables.table import Table

if TYPE_CHECKING:
    from nastk import SearchSpace

SIZES = {"nasbench201": 15_625, "nasbench-macro": 6_561}
"""The number of architectures of a space, for a note if a table holds fewer."""


@dataclass(frozen=True, eq=False)
class Imported:
    """An imported table with notes for the user.

    Example: `imported = import_files([Path("nb201.csv.gz")]); write(path, imported.table)`
    """

    table: Table
    notes: tuple[str, ...] = ()


def import_files(
    files: Sequence[Path],
    space: str = "nasbench201",
    epochs: int = 200,
    progress: official.Progress = lambda done, total: None,
    options: Mapping[str, Any] | None = None,
) -> Imported:
    """Reads `files` and merges their columns; the first file defines the architectures.

    `space` names the space of the architectures, `options` are its options; the table has the
    architectures as this space writes them. `epochs` is how long the networks of a CSV file were
    trained; official files contain this number. `progress` is called with (architectures read,
    architectures in all).

    Raises:
        ConfigurationError: there is no such space, or it has no such options.
        DataError: a file is missing, damaged, unsafe, of another kind, or does not fit the first,
            or a text in it is no architecture of the space.
    """
    component = catalogue().load("space", space)
    reader = component(component.parse_options(options))
    sheets = [_of_space(_sheet(file, epochs, progress), reader) for file in files]
    table = merge(sheets, space)
    notes = [note for sheet in sheets for note in sheet.notes]
    size = SIZES.get(space, len(table))
    if len(table) != size:
        notes.append(
            f"The table holds {len(table):,} of {size:,} architectures of {space}; ranks count "
            "these."
        )
    return Imported(table, tuple(notes))


def _of_space(sheet: Sheet, space: "SearchSpace") -> Sheet:
    """Returns the sheet with every architecture in the text form of `space`.

    Raises:
        DataError: a text is no architecture of the space; the message names the first one.
    """
    texts = []
    for number, text in enumerate(sheet.texts, start=1):
        try:
            texts.append(space.to_text(space.from_text(text)))
        except DataError as error:
            raise DataError(
                f"{sheet.source}: architecture {number} of {len(sheet.texts):,} is none of space "
                f"{space.name!r}: {error} Name the space whose architectures the file holds with "
                "`--space`."
            ) from None
    return replace(sheet, texts=tuple(texts))


def _sheet(path: Path, epochs: int, progress: official.Progress) -> Sheet:
    """Returns the content of a file or folder, by the reader of its kind."""
    if path.is_dir() and (path / official.META).is_file():
        return official.sheet(path, progress)
    if not path.is_file():
        problem = f"is a folder without {official.META}" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {problem}. Give {_kinds()}.")
    if path.name.endswith((".pth", official.PICKLED)):
        return official.sheet(path, progress)
    if path.name.endswith((".csv", ".csv.gz")):
        return spreadsheet.sheet(path, epochs)
    if path.name.endswith((".json", ".json.gz")):
        return macro.sheet(path)
    raise DataError(f"{path} is of no kind that can be imported. Give {_kinds()}.")


def _kinds() -> str:
    """Returns the kinds of files that can be imported, for messages."""
    return (
        "NAS-Bench-201-v1_1-096897.pth, NATS-tss-v1_0-3ffb9.pickle.pbz2, the unpacked folder "
        "NATS-tss-v1_0-3ffb9-simple, NAS-Bench-Macro's .json file (plain or gzipped), or .csv or "
        ".csv.gz files"
    )
