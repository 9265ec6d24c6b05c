"""`write` fills in the templates of a new package and writes its files."""

from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from nastk import ConfigurationError
from nastk.base import write_atomically
from nastk_new.names import Names

SUFFIX = ".template"
PACKAGE = "package"
"""The folder of templates whose files belong in the import package."""
HOOKS = {
    "updater": "updaters",
    "space": "search_spaces",
    "evaluator": "evaluators",
    "data": "data_sources",
    "tracker": "trackers",
}


def write(names: Names, folder: Path) -> list[Path]:
    """Writes the files of a new package to `folder`; returns their paths, sorted.

    Raises:
        ConfigurationError: the folder exists and is not empty, or is a file.
        WriteError: a file cannot be written.
    """
    check_free(folder)
    texts = contents(names)
    for path, text in texts.items():
        write_atomically(folder / path, text.encode())
    return sorted(folder / path for path in texts)


def check_free(folder: Path) -> None:
    """Raises a `ConfigurationError` if there is anything in `folder`, or if it is a file."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        kind = "is not empty" if folder.is_dir() else "is a file"
        raise ConfigurationError(
            f"The folder {folder} {kind}. Name another one with --out, or remove it."
        )


def contents(names: Names) -> dict[str, str]:
    """Returns the text of every file of the package, by its path below the package's folder."""
    values = {
        "name": names.name,
        "words": names.words,
        "kind": names.kind,
        "hook": HOOKS[names.kind],
        "distribution": names.distribution,
        "package": names.package,
        "class_name": names.class_name,
        "nastk_version": version("nastk"),
    }
    templates = files("nastk_new") / "templates"
    return {
        path: Template(text).substitute(values)
        for part in ("shared", names.kind)
        for path, text in _templates(templates / part, "", names.package)
    }


def _templates(folder: Traversable, prefix: str, package: str) -> list[tuple[str, str]]:
    """Returns path and text of each template in a folder and those below it."""
    found: list[tuple[str, str]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            below = package if entry.name == PACKAGE else entry.name
            found += _templates(entry, f"{prefix}{below}/", package)
        else:
            path = prefix + entry.name.removesuffix(SUFFIX)
            found.append((path, entry.read_text(encoding="utf-8")))
    return found
