"""`scan` lists the images in a folder, with the class and the split of each image."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from nastk import DataError
from nastk_images.stored import Picture
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
"""The names that the folders of splits may have, in upper or lower case."""
USUAL = ("train", "valid", "val", "validation", "test")
"""The usual names of splits; a note names folders that are splits by another name."""


@dataclass(frozen=True)
class Listing:
    """Pictures with the numbers of their classes."""

    files: tuple[Picture, ...]
    labels: tuple[int, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of pictures that are files."""
        return tuple(map(str, self.files))


@dataclass(frozen=True)
class Tree:
    """The content of a folder or a data set: its class names in order, and its splits.

    A split is None if there is none. `notes` list what was not read.

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
    """Returns the images below `root`, which has class folders, or folders of splits with them.

    `spellings` are the names that the folders of splits may have; a split without names is not
    searched for. With `only_classes`, all folders in `root` are classes, whatever their names.

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
    by_split = {split: [splits[split] / name for name in names] for split, names in classes.items()}
    for folder in (all_folders := list(chain(*by_split.values()))):
        walk.claim(folder)
    images = walk.once({str(folder): walk.images(folder) for folder in all_folders})
    listings = {
        split: _listing([(folder, images[str(folder)]) for folder in folders])
        for split, folders in by_split.items()
    }
    return Tree(
        tuple(classes["train"]),
        listings["train"],
        listings.get("valid"),
        listings.get("test"),
        (*notes, *_passed_over(walk)),
    )


def _check_folder(root: Path) -> None:
    """Raises a DataError if `root` is not a readable folder."""
    try:
        if root.is_dir():
            return
        kind = "is a file; unpack it first" if root.exists() else "does not exist"
    except OSError as error:
        kind = f"cannot be read: {error.strerror or error}"
    raise DataError(f"The image folder {root} {kind}. {LAYOUT}")


def _splits(root: Path, spellings: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Returns the folder of each split; no folders if all of them are classes.

    Raises:
        DataError: a split has two folders, or it is unclear which folders are splits.
    """
    names = folders_in(root)
    candidates = {
        split: [name for name in names if name.lower() in known]
        for split, known in spellings.items()
    }
    if not any(folders_in(root / name) for name in candidates["train"]):
        _check_classes(root, names, list(chain(*candidates.values())))
        return {}
    for folders in candidates.values():
        if len(folders) > 1:
            raise DataError(f"{root} holds both {folders[0]}/ and {folders[1]}/. Keep one of them.")
    splits = {split: root / folders[0] for split, folders in candidates.items() if folders}
    classes = set(folders_in(splits["train"]))
    others = set(names) - {folder.name for folder in splits.values()}
    twins = [name for name in sorted(others) if len(classes & set(folders_in(root / name))) > 1]
    if twins:
        raise DataError(
            f"{root} holds {few(twins)} beside {splits['train'].name}/ with the same class "
            "folders, and the name does not say which split that is. Call it valid or test, or "
            "move it elsewhere."
        )
    return splits


def _check_classes(root: Path, names: Sequence[str], like_splits: Sequence[str]) -> None:
    """Raises a DataError if folders that would be classes look like splits."""
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
            f"{root} holds {few(names)}, and each of them {few(common)}: these may be splits of "
            "the data, or classes with subfolders. Call the splits train, valid and test, or say "
            "`-d layout=classes`."
        )


def _beside(root: Path, splits: Mapping[str, Path]) -> list[str]:
    """Returns notes on folders that are splits by unusual names, and on folders not read."""
    names = {folder.name: split for split, folder in splits.items()}
    renamed = [f"{name}/ as {split}" for name, split in names.items() if name not in USUAL]
    others = [name for name in folders_in(root) if name not in names]
    notes = []
    if renamed:
        notes.append(f"Read as splits, by their names: {', '.join(renamed)}.")
    if others:
        notes.append(f"Not read, since they are beside the splits: {few(others)}.")
    return notes


def _check_same(folder: Path, names: Sequence[str], train: Path, classes: Sequence[str]) -> None:
    """Raises a DataError if a split has other classes (`names`) than train (`classes`)."""
    for side, missing in ((folder, set(classes) - set(names)), (train, set(names) - set(classes))):
        if missing:
            raise DataError(
                f"{folder} and {train} hold different classes: {few(missing)} is missing in "
                f"{side}. Every class needs a folder in each of them."
            )


def _classes(folder: Path) -> list[str]:
    """Returns the class names: the sorted names of the folders in `folder`."""
    names = folders_in(folder)
    if not names:
        loose = any(entry.suffix.lower() in SUFFIXES for entry in folder.iterdir())
        problem = "holds images but no class folders" if loose else "holds no class folders"
        raise DataError(f"{folder} {problem}. {LAYOUT}")
    if len(names) == 1:
        inside = folders_in(folder / names[0])
        advice = f" Did you mean {folder / names[0]}?" if len(inside) > 1 else ""
        raise DataError(
            f"{folder} holds the one class {names[0]!r}, and at least two are needed.{advice} "
            f"{LAYOUT}"
        )
    return names


def _listing(classes: Sequence[tuple[Path, Sequence[str]]]) -> Listing:
    """Returns the files of all classes, class after class, with their labels."""
    files: list[str] = []
    labels: list[int] = []
    for label, (folder, images) in enumerate(classes):
        if not images:
            raise DataError(
                f"The class folder {folder} holds no images ({', '.join(SUFFIXES)}). "
                "Put images into it, or remove it."
            )
        files += images
        labels += [label] * len(images)
    return Listing(tuple(files), tuple(labels))


def _passed_over(walk: Walk) -> list[str]:
    """Returns notes on links and special files that were not read."""
    notes = []
    if walk.repeated:
        notes.append(
            f"Links lead to what is read already, and are not followed: {few(walk.repeated)}."
        )
    if walk.passed:
        notes.append(f"Passed over, since they are no files: {few(walk.passed)}.")
    return notes


def check_enough(tree: Tree, parts: int, into: str, remedy: str) -> None:
    """Checks that every class has a training image for each of `parts` splits.

    `into` names these splits for the message; `remedy` is what helps beside more images.

    Raises:
        DataError: a class has too few images; the message names it.
    """
    counts = Counter(tree.train.labels)
    short = [name for label, name in enumerate(tree.classes) if counts[label] < parts]
    if short:
        raise DataError(
            f"Training images are divided into {into}: a class needs {parts}, and {few(short)} "
            f"has fewer. Add images, or {remedy}."
        )


def few(names: Iterable[str]) -> str:
    """Returns the first five names as text, with the number of further ones."""
    ordered = sorted(names)
    return ", ".join(repr(name) for name in ordered[:5]) + (
        f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    )
