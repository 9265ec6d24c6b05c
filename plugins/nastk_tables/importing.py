"""From a benchmark's files to a table: `import_files`, behind `nastk table import`."""

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
"""How many architectures a space has, to say so where a table holds fewer."""


@dataclass(frozen=True, eq=False)
class Imported:
    """The table, and what whoever asked for it should know.

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
    """Read `files` and merge their columns; the first says which architectures there are.

    `space` names the space whose text form the architectures have, `options` are its options; each
    architecture is kept as the space writes it. `epochs` is how long the networks of a CSV file
    were trained; official files say it themselves.

    Raises:
        ConfigurationError: there is no such space, or it has no such options.
        DataError: a file is missing, damaged, unsafe, of another kind, or does not fit the first;
            or holds what is no architecture of the space.
    """
    component = catalogue().load("space", space)
    reader = component(component.parse_options(options))
    sheets = [_of_space(_sheet(file, epochs, progress), reader) for file in files]
    table = merge(sheets, space)
    notes = [note for sheet in sheets for note in sheet.notes]
    whole = SIZES.get(space, len(table))
    if len(table) != whole:
        notes.append(
            f"The table holds {len(table):,} of {whole:,} architectures of {space}; ranks count "
            "these."
        )
    return Imported(table, tuple(notes))


def _of_space(sheet: Sheet, space: "SearchSpace") -> Sheet:
    """The same sheet with each architecture as `space` writes it.

    Raises:
        DataError: names the first text that is no architecture of the space, and its row.
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
    if path.is_dir() and (path / official.META).is_file():
        return official.sheet(path, progress)
    if not path.is_file():
        what = f"is a folder without {official.META}" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}. Give {_kinds()}.")
    if path.name.endswith((".pth", official.PICKLED)):
        return official.sheet(path, progress)
    if path.name.endswith((".csv", ".csv.gz")):
        return spreadsheet.sheet(path, epochs)
    if path.name.endswith((".json", ".json.gz")):
        return macro.sheet(path)
    raise DataError(f"{path} is of no kind that can be imported. Give {_kinds()}.")


def _kinds() -> str:
    return (
        "NAS-Bench-201-v1_1-096897.pth, NATS-tss-v1_0-3ffb9.pickle.pbz2, the unpacked folder "
        "NATS-tss-v1_0-3ffb9-simple, NAS-Bench-Macro's .json file (plain or gzipped), or .csv or "
        ".csv.gz files"
    )
