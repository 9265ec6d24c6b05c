"""What a folder holds, and the report that it gets: of a run, of a training, or of a study."""

from pathlib import Path

from nastk import ConfigurationError
from nastk.base import check_replaceable, write_atomically
from nastk.cli import reading, run_record, run_records
from nastk_drawing.report import run, study, trained, training
from nastk_drawing.report.page import html
from nastk_drawing.report.parts import Page

CONFIG, STUDY = "config.json", "study.json"


def page(folder: Path) -> Page:
    """Returns the report of what a folder holds.

    Raises:
        ConfigurationError: the folder holds no run, no training and no study.
        NastkError: a file in it is damaged; says how.
    """
    if (folder / CONFIG).is_file():
        return run.page(run_record(folder))
    if (found := trained.training(folder)) is not None:
        return training.page(found, folder)
    records = run_records(folder) if folder.is_dir() else []
    if not records:
        raise ConfigurationError(
            f"{folder} holds no run, no training and no study, of which a report could be made. "
            "Give the folder that `nastk search`, `nastk train` or `nastk compare` wrote; "
            "`nastk runs` lists runs."
        )
    return study.page(folder, records)


def write(folder: str | Path, path: str | Path | None = None) -> Path:
    """Write the report of a folder into an HTML file (`report.html` in it); returns the path.

    Raises:
        ConfigurationError: as for `page`, or the file's name does not end in .html.
        NastkError: a file in the folder is damaged, or the report cannot be written.
    """
    folder = Path(folder)
    target = Path(path) if path is not None else folder / "report.html"
    if target.suffix.lower() not in (".html", ".htm"):
        raise ConfigurationError(
            f"A report is an HTML file, got the file name {target.name!r}. "
            f"Name it {target.stem or 'report'}.html, for example."
        )
    check_replaceable(target)
    with reading(folder):
        content = html(page(folder))
    write_atomically(target, content.encode())
    return target
