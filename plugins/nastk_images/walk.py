"""Image files below folders, each real folder and each file once, whatever links lead to it."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nastk import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
Identity = tuple[int, int]
"""Device and number of a file or folder: the same for all links to it."""


class Walk:
    """Gathers the image files of class folders, following links, and remembers what it has seen.

    A folder that was visited is not visited again, so that links in a circle end. A folder or a
    file that links put into two classes or splits is refused: its label would be a contradiction,
    or its test a test of what was learnt.

    Example: `walk = Walk([root]); walk.claim(root / "cat"); walk.images(root / "cat")`
    """

    def __init__(self, around: Iterable[Path]) -> None:
        self._owners: dict[Identity, str] = {}
        for folder in around:
            self.claim(folder)
        self._around = set(self._owners)
        self._links: list[str] = []
        self.passed: list[str] = []
        """Entries with an image's suffix that are no files: pipes, sockets, devices."""
        self.repeated: list[str] = []
        """Folders and files that a link led to again."""

    def claim(self, folder: Path) -> None:
        """Called for every class folder before the first is walked.

        Raises:
            DataError: it is the same folder as another one, by a link.
        """
        owner = self._owners.setdefault(_identity(str(folder)), str(folder))
        if owner != str(folder):
            raise DataError(
                f"{owner} and {folder} are one folder, by a link. Its images would be in both: "
                "remove the link, or put other images there."
            )

    def images(self, folder: Path) -> list[str]:
        """The visible image files below a class folder, sorted by path.

        Raises:
            DataError: a folder cannot be read, an image is a link to nothing, or a link leads into
                another class.
        """
        found: list[str] = []
        waiting = [str(folder)]
        while waiting:
            try:
                with os.scandir(where := waiting.pop()) as entries:
                    visible = [entry for entry in entries if not entry.name.startswith(".")]
            except OSError as error:
                raise _unreadable(where, error) from None
            for entry in visible:
                if _is_folder(entry):
                    if self._enters(entry.path, str(folder)):
                        waiting.append(entry.path)
                elif entry.name.lower().endswith(SUFFIXES) and self._is_file(entry):
                    found.append(entry.path)
        return sorted(found)

    def _enters(self, path: str, owner: str) -> bool:
        """Whether a folder below the class folder `owner` is met for the first time."""
        identity = _identity(path)
        known = self._owners.get(identity)
        if known is None:
            self._owners[identity] = owner
            return True
        if known != owner and identity not in self._around:
            raise DataError(
                f"The folder {path} is {known} or lies in it, by a link. Its images would be in "
                "both: remove the link, or put other images there."
            )
        self.repeated.append(path)
        return False

    def _is_file(self, entry: "os.DirEntry[str]") -> bool:
        try:
            regular = entry.is_file()
            linked = entry.is_symlink()
        except OSError as error:
            raise _unreadable(entry.path, error) from None
        if linked and not os.path.exists(entry.path):
            raise DataError(
                f"The image {entry.path} is a link to nothing. Remove it, or mend the link."
            )
        if not regular:
            self.passed.append(entry.path)
        elif linked:
            self._links.append(entry.path)
        return regular

    def once(self, found: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """The files of each class folder without links to files that are there already.

        Called after all class folders were walked.

        Raises:
            DataError: links put one file into two class folders.
        """
        if not self._links:  # what a real folder holds is met once
            return {owner: list(files) for owner, files in found.items()}
        links = set(self._links)
        places = [(file, owner) for owner, files in found.items() for file in files]
        places.sort(key=lambda place: place[0] in links)  # files themselves come first
        first: dict[Identity, tuple[str, str]] = {}
        left_out: set[str] = set()
        for file, owner in places:
            known, its_owner = first.setdefault(_identity(file), (file, owner))
            if file == known or file not in links:  # hard links are files of their own
                continue
            if owner != its_owner:
                raise DataError(
                    f"The images {known} and {file} are one file, by a link, in two classes or "
                    "splits. Remove the link, or put another image there."
                )
            left_out.add(file)
        self.repeated += sorted(left_out)
        return {
            owner: [file for file in files if file not in left_out]
            for owner, files in found.items()
        }


def folders_in(folder: Path) -> list[str]:
    """Sorted names of the visible folders in `folder`; none where it is no folder.

    Raises:
        DataError: it cannot be read, or a name in it is no text.
    """
    if not os.path.isdir(folder):
        return []
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and _is_folder(entry)
            )
    except OSError as error:
        raise _unreadable(str(folder), error) from None
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(
                f"The folder {os.fsencode(name)!r} in {folder} has a name that is no text in "
                "UTF-8. Rename it."
            ) from None
    return names


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: str) -> Identity:
    try:
        found = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    return found.st_dev, found.st_ino


def _unreadable(path: str, error: OSError) -> DataError:
    return DataError(
        f"{path} cannot be read: {error.strerror or error}. Remove it, or make it readable."
    )
