"""Which image files a folder holds, and which class each belongs to."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nastk.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
LAYOUT = (
    "Expected PATH/<class>/<image>, or PATH/train/<class>/<image> with valid/ and test/ beside "
    "train/."
)


@dataclass(frozen=True)
class Listing:
    """Image files and the number of each one's class."""

    files: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """What a folder holds: class names in order, and the files of each split (None: no such split).

    Example: `scan(Path("flowers")).classes`
    """

    classes: tuple[str, ...]
    train: Listing
    valid: Listing | None
    test: Listing | None


def scan(
    root: Path,
    valid: Sequence[str] = ("valid", "val", "validation"),
    test: Sequence[str] = ("test",),
) -> Tree:
    """Find the images under `root`: class folders, or `train` with class folders and its siblings.

    `valid` and `test` are the names those may have; a name that is not looked for is passed over.

    Raises:
        DataError: no folder, no or one class, a class without images, classes that differ between
            splits.
    """
    if not root.is_dir():
        kind = "is a file; unpack it first" if root.exists() else "does not exist"
        raise DataError(f"The image folder {root} {kind}. {LAYOUT}")
    if not _folders(root / "train"):
        classes, train = _classes(root)
        return Tree(classes, train, None, None)
    classes, train = _classes(root / "train")
    others: list[Listing | None] = []
    for names in (valid, test):
        found = [root / name for name in names if (root / name).is_dir()]
        if len(found) > 1:
            raise DataError(
                f"{root} holds both {found[0].name}/ and {found[1].name}/. Keep one of them."
            )
        others.append(_same_classes(found[0], classes, root / "train") if found else None)
    return Tree(classes, train, others[0], others[1])


def _same_classes(folder: Path, classes: Sequence[str], train: Path) -> Listing:
    """The images of another split, whose classes must be those of train."""
    own, listing = _classes(folder)
    for where, missing in ((folder, set(classes) - set(own)), (train, set(own) - set(classes))):
        if missing:
            raise DataError(
                f"{folder} and {train} hold different classes: {_few(missing)} is missing in "
                f"{where}. Every class needs a folder in each of them."
            )
    return listing


def _classes(folder: Path) -> tuple[tuple[str, ...], Listing]:
    """Class names (sorted folder names) and files of a folder of class folders."""
    names = _folders(folder)
    if not names:
        loose = any(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir())
        what = "holds images but no class folders" if loose else "holds no class folders"
        raise DataError(f"{folder} {what}. {LAYOUT}")
    if len(names) == 1:
        raise DataError(
            f"{folder} holds the one class {names[0]!r}, and at least two are needed. {LAYOUT}"
        )
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = _images(folder / name)
        if not found:
            raise DataError(
                f"The class folder {folder / name} holds no images ({', '.join(SUFFIXES)}). "
                "Put images into it, or remove it."
            )
        files += found
        labels += [label] * len(found)
    return tuple(names), Listing(tuple(files), tuple(labels))


def _folders(folder: Path) -> list[str]:
    """Sorted names of the visible folders in `folder`; none where it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith(".")
    )


def _images(folder: Path) -> list[str]:
    """All visible image files below `folder`, sorted by path."""
    found = [
        os.path.join(where, name)
        for where, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    ]
    return sorted(found)


def check_enough(tree: Tree, parts: int, into: str) -> None:
    """Raise where a class has too few training images for `parts` splits (`into` in words).

    Raises:
        DataError: names the class.
    """
    counts = Counter(tree.train.labels)
    short = [name for label, name in enumerate(tree.classes) if counts[label] < parts]
    if short:
        raise DataError(
            f"Training images are divided into {into}: a class needs {parts}, and {_few(short)} "
            "has fewer. Add images, or give the splits folders of their own: train/, valid/, test/."
        )


def _few(names: Iterable[str]) -> str:
    """At most five names of many."""
    some = sorted(names)
    return ", ".join(repr(name) for name in some[:5]) + (
        f" and {len(some) - 5} more" if len(some) > 5 else ""
    )
