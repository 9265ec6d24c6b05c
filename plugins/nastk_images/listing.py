"""Which images a folder holds: its layout, the class of each image, and its split."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from nastk import DataError
from nastk_images.walk import SUFFIXES, Walk, folders_in

LAYOUT = (
    "Expected PATH/<class>/<image>, or PATH/train/<class>/<image> with valid/ and test/ beside "
    "train/."
)
SPELLINGS = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test", "testing"),
}
"""The splits, and the names that their folders may have, in any case."""
USUAL = ("train", "valid", "val", "validation", "test")
"""Names of splits that nobody needs to be told of."""


@dataclass(frozen=True)
class Listing:
    """Image files and the number of each one's class."""

    files: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """What a folder holds: class names in order, and the files of each split (None: no such split).

    `notes` say what was passed over.

    Example: `scan(Path("flowers")).classes`
    """

    classes: tuple[str, ...]
    train: Listing
    valid: Listing | None
    test: Listing | None
    notes: tuple[str, ...] = ()


def scan(
    root: Path,
    spellings: Mapping[str, Sequence[str]] = SPELLINGS,
    only_classes: bool = False,
) -> Tree:
    """Find the images under `root`: class folders, or a train folder with them and its siblings.

    `spellings` are the names that the folders of splits may have; a split without names is not
    looked for. With `only_classes`, all folders in `root` are classes, whatever they are called.

    Raises:
        DataError: no folder, no or one class, a class without images, classes that differ between
            splits, folders that may be splits or classes, links that contradict each other.
    """
    _check_folder(root)
    splits = {} if only_classes else _splits(root, spellings)
    notes = _beside(root, splits) if splits else []
    splits = splits or {"train": root}
    classes = {split: _classes(folder) for split, folder in splits.items()}
    for split, folder in splits.items():
        _check_same(folder, classes[split], splits["train"], classes["train"])
    walk = Walk([root, *(folder for folder in splits.values() if folder != root)])
    places = {split: [splits[split] / name for name in names] for split, names in classes.items()}
    for folder in (all_of_them := list(chain(*places.values()))):
        walk.claim(folder)
    found = walk.once({str(folder): walk.images(folder) for folder in all_of_them})
    listings = {
        split: _listing([(folder, found[str(folder)]) for folder in folders])
        for split, folders in places.items()
    }
    return Tree(
        tuple(classes["train"]),
        listings["train"],
        listings.get("valid"),
        listings.get("test"),
        (*notes, *_passed_over(walk)),
    )


def _check_folder(root: Path) -> None:
    try:
        if root.is_dir():
            return
        kind = "is a file; unpack it first" if root.exists() else "does not exist"
    except OSError as error:
        kind = f"cannot be read: {error.strerror or error}"
    raise DataError(f"The image folder {root} {kind}. {LAYOUT}")


def _splits(root: Path, spellings: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """The folder of each split; none where all folders are classes.

    Raises:
        DataError: two folders for one split, or nobody can say whether folders are splits.
    """
    names = folders_in(root)
    found = {
        split: [name for name in names if name.lower() in known]
        for split, known in spellings.items()
    }
    if not any(folders_in(root / name) for name in found["train"]):
        _check_classes(root, names, list(chain(*found.values())))
        return {}
    for several in found.values():
        if len(several) > 1:
            raise DataError(f"{root} holds both {several[0]}/ and {several[1]}/. Keep one of them.")
    splits = {split: root / several[0] for split, several in found.items() if several}
    classes = set(folders_in(splits["train"]))
    others = set(names) - {folder.name for folder in splits.values()}
    twins = [name for name in sorted(others) if len(classes & set(folders_in(root / name))) > 1]
    if twins:
        raise DataError(
            f"{root} holds {_few(twins)} beside {splits['train'].name}/ with the same class "
            "folders, and the name does not say which split that is. Call it valid or test, or "
            "move it elsewhere."
        )
    return splits


def _check_classes(root: Path, names: Sequence[str], like_splits: Sequence[str]) -> None:
    """Raise where folders that would be classes look like splits."""
    for name in like_splits:
        if len(set(folders_in(root / name)) & set(names)) > 1:
            raise DataError(
                f"{root} holds class folders, and beside them {name}/ with folders of the same "
                "names. Put the class folders into train/, or move the other one elsewhere."
            )
    common = set(folders_in(root / names[0])) if len(names) > 1 else set()
    for name in names[1:]:
        if len(common) < 2:
            return
        common &= set(folders_in(root / name))
    if len(common) > 1:
        raise DataError(
            f"{root} holds {_few(names)}, and each of them {_few(common)}: these may be splits of "
            "the data, or classes with subfolders. Call the splits train, valid and test, or say "
            "`-d layout=classes`."
        )


def _beside(root: Path, splits: Mapping[str, Path]) -> list[str]:
    """In words: folders with unusual names that are splits, and folders that are not read."""
    names = {folder.name: split for split, folder in splits.items()}
    renamed = [f"{name}/ as {split}" for name, split in names.items() if name not in USUAL]
    others = [name for name in folders_in(root) if name not in names]
    notes = []
    if renamed:
        notes.append(f"Read as splits, by their names: {', '.join(renamed)}.")
    if others:
        notes.append(f"Not read, since they are beside the splits: {_few(others)}.")
    return notes


def _check_same(folder: Path, own: Sequence[str], train: Path, classes: Sequence[str]) -> None:
    """Raise where a split has other classes than train."""
    for where, missing in ((folder, set(classes) - set(own)), (train, set(own) - set(classes))):
        if missing:
            raise DataError(
                f"{folder} and {train} hold different classes: {_few(missing)} is missing in "
                f"{where}. Every class needs a folder in each of them."
            )


def _classes(folder: Path) -> list[str]:
    """Class names: the sorted names of the folders in `folder`."""
    names = folders_in(folder)
    if not names:
        loose = any(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir())
        what = "holds images but no class folders" if loose else "holds no class folders"
        raise DataError(f"{folder} {what}. {LAYOUT}")
    if len(names) == 1:
        inside = folders_in(folder / names[0])
        advice = f" Did you mean {folder / names[0]}?" if len(inside) > 1 else ""
        raise DataError(
            f"{folder} holds the one class {names[0]!r}, and at least two are needed.{advice} "
            f"{LAYOUT}"
        )
    return names


def _listing(classes: Sequence[tuple[Path, Sequence[str]]]) -> Listing:
    """The files of all classes, class after class, with their labels."""
    files: list[str] = []
    labels: list[int] = []
    for label, (folder, found) in enumerate(classes):
        if not found:
            raise DataError(
                f"The class folder {folder} holds no images ({', '.join(SUFFIXES)}). "
                "Put images into it, or remove it."
            )
        files += found
        labels += [label] * len(found)
    return Listing(tuple(files), tuple(labels))


def _passed_over(walk: Walk) -> list[str]:
    """In words: what was met and not read."""
    notes = []
    if walk.repeated:
        notes.append(
            f"Links lead to what is read already, and are not followed: {_few(walk.repeated)}."
        )
    if walk.passed:
        notes.append(f"Passed over, since they are no files: {_few(walk.passed)}.")
    return notes


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
