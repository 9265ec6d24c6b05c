"""`Walk` lists the image files below folders; a file or folder counts once, despite links to it."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nastk import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
Identity = tuple[int, int]
"""The device and inode of a file or folder, the same for all links to it."""


class Walk:
    """Collects the image files of class folders, following links.

    A folder is visited only once, so that circular links do no harm. A folder or a file that links
    put into two classes or splits is refused: its label would be contradictory, or a training image
    would be in the test split.

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
        """Folders and files that were reached again through a link."""

    def claim(self, folder: Path) -> None:
        """Called for every class folder before the first call of `images`.

        Raises:
            DataError: a link makes it the same folder as another class folder.
        """
        owner = self._owners.setdefault(_identity(str(folder)), str(folder))
        if owner != str(folder):
            raise DataError(
                f"{owner} and {folder} are one folder, by a link. Its images would be in both: "
                "remove the link, or put other images there."
            )

    def images(self, folder: Path) -> list[str]:
        """Returns the visible image files below a class folder, sorted by path.

        Raises:
            DataError: a folder cannot be read, an image is a broken link, or a link leads into
                another class.
        """
        files: list[str] = []
        waiting = [str(folder)]
        while waiting:
            try:
                with os.scandir(current := waiting.pop()) as entries:
                    visible = [entry for entry in entries if not entry.name.startswith(".")]
            except OSError as error:
                raise _unreadable(current, error) from None
            for entry in visible:
                if _is_folder(entry):
                    if self._enters(entry.path, str(folder)):
                        waiting.append(entry.path)
                elif entry.name.lower().endswith(SUFFIXES) and self._is_file(entry):
                    files.append(entry.path)
        return sorted(files)

    def _enters(self, path: str, owner: str) -> bool:
        """True if a folder below the class folder `owner` was not visited before."""
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
        """True for a regular file or a link to one; notes links and special files."""
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

    def once(self, listed: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Called after `images` of all class folders: returns their files without repetitions.

        A link to a file that is in the same class folder is left out.

        Raises:
            DataError: a link puts a file into two class folders.
        """
        if not self._links:  # without links no file is reached twice
            return {owner: list(files) for owner, files in listed.items()}
        links = set(self._links)
        pairs = [(file, owner) for owner, files in listed.items() for file in files]
        pairs.sort(key=lambda pair: pair[0] in links)  # files before links to them
        first: dict[Identity, tuple[str, str]] = {}
        left_out: set[str] = set()
        for file, owner in pairs:
            known, known_owner = first.setdefault(_identity(file), (file, owner))
            if file == known or file not in links:  # hard links count as separate files
                continue
            if owner != known_owner:
                raise DataError(
                    f"The images {known} and {file} are one file, by a link, in two classes or "
                    "splits. Remove the link, or put another image there."
                )
            left_out.add(file)
        self.repeated += sorted(left_out)
        return {
            owner: [file for file in files if file not in left_out]
            for owner, files in listed.items()
        }


def folders_in(folder: Path) -> list[str]:
    """Returns the sorted names of the visible folders in `folder`; none if it is no folder.

    Raises:
        DataError: the folder cannot be read, or a name in it is no text.
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
    """True for a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: str) -> Identity:
    """Returns the identity of the file or folder that `path` leads to."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    return status.st_dev, status.st_ino


def _unreadable(path: str, error: OSError) -> DataError:
    """Returns the error for a file or folder that cannot be read."""
    return DataError(
        f"{path} cannot be read: {error.strerror or error}. Remove it, or make it readable."
    )
