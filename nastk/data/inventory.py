"""A record of the images of a run, to find the first difference when it is resumed: `Inventory`.

If a run goes on with different images, its splits mix: images of its test split may have trained
its weights. So a run records its images. A file is identified by its path below the folder, its
size and a hash of both its ends (files that are decoded during the run: by path and size), an image
in memory by a hash of its pixels.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from torch import Tensor

from nastk.base.errors import DataError
from nastk.data.splits import Split, Splits
from nastk.data.task import Task

SCHEMA = 1
NAMES = ("train", "valid", "test")
LISTED = 20_000
"""Up to so many images, each is listed; for more there is a digest of each class of each split."""
END = 16_384
"""The number of bytes that are hashed at the beginning of a file, and at its end."""


@dataclass(frozen=True)
class Part:
    """The record of a split.

    `counts` are the images of each class, `classes` a digest of each class, and `digest` one of all
    images in order. `images` lists them as (class, identity); None if there are too many.
    """

    counts: tuple[int, ...]
    classes: tuple[str, ...]
    digest: str
    images: tuple[tuple[int, str], ...] | None = None


@dataclass(frozen=True)
class Inventory:
    """The record of the images of a run: class names, shape, and a `Part` for each split.

    `form` is (channels, side) of squares and (channels, height, width) of rectangles.

    Example: `Inventory.of(splits, task).difference(stored)` is None if the images are the same.
    """

    labels: tuple[str, ...]
    form: tuple[int, ...]
    parts: Mapping[str, Part]

    @classmethod
    def of(cls, splits: Splits, task: Task) -> "Inventory":
        """Returns the record of the images as they are now.

        Raises:
            DataError: a file cannot be read.
        """
        listed = sum(len(getattr(splits, name)) for name in NAMES) <= LISTED
        parts = {name: _part(getattr(splits, name), task.classes, listed) for name in NAMES}
        return cls(task.names, _form(task), parts)

    @property
    def digest(self) -> str:
        """One digest of the whole record."""
        parts = [f"{name} {part.counts} {part.digest}" for name, part in self.parts.items()]
        return _digest("\n".join([*self.labels, str(self.form), *parts]).encode())

    def difference(self, before: "Inventory") -> str | None:
        """Returns, in words, the first difference to the record `before`; None if there is none."""
        if self.digest == before.digest:
            return None
        if self.labels != before.labels:
            return f"the classes are {_few(self.labels)}; they were {_few(before.labels)}"
        if self.form != before.form:
            now, then = (f"{form[0]} x {form[1]} x {form[-1]}" for form in (self.form, before.form))
            return f"images are read as {now} pixels; they were {then}"
        return self._by_name(before) or self._by_class(before) or _ORDER

    def _by_name(self, before: "Inventory") -> str | None:
        """Returns the first file that is new, gone or changed; None if files are not listed."""
        now, then = self._files(), before._files()
        if now is None or then is None:
            return None
        for name in sorted(now.keys() | then.keys()):
            if now.get(name) != then.get(name):
                what = "is new" if name not in then else "is gone" if name not in now else None
                return f"{name} {what or 'is another image than it was'}{self._total(before)}"
        return None

    def _total(self, before: "Inventory") -> str:
        """Returns a remark on the numbers of images, if they differ."""
        now, then = (
            sum(sum(part.counts) for part in inventory.parts.values())
            for inventory in (self, before)
        )
        return "" if now == then else f" ({now} images in all; there were {then})"

    def _by_class(self, before: "Inventory") -> str | None:
        """Returns the first class of a split whose number of images, or whose images, differ."""
        for name, part in self.parts.items():
            old = before.parts[name]
            for label, (now, then) in enumerate(zip(part.counts, old.counts, strict=False)):
                if now != then:
                    return (
                        f"split {name} has {now} images of class {self.labels[label]!r}; it had "
                        f"{then}"
                    )
        for name, part in self.parts.items():
            old = before.parts[name]
            for label, (digest, old_digest) in enumerate(
                zip(part.classes, old.classes, strict=False)
            ):
                if digest != old_digest:
                    where = self._first_changed(name, label, before)
                    return f"split {name} has other images of class {self.labels[label]!r}{where}"
        return None

    def _first_changed(self, name: str, label: int, before: "Inventory") -> str:
        """Returns the number of the first image of a class that differs, if images are listed."""
        now, then = self.parts[name].images, before.parts[name].images
        pairs = enumerate(zip(now or (), then or (), strict=False))
        changed = [index for index, (image, old) in pairs if image != old and image[0] == label]
        return f" (the first is image {changed[0]})" if changed else ""

    def _files(self) -> dict[str, str] | None:
        """Returns size and hash by file; None if images are not listed or are not files."""
        files: dict[str, str] = {}
        for part in self.parts.values():
            for _, identity in part.images or ():
                name, tab, rest = identity.rpartition("\t")
                if not tab:
                    return None
                files[name] = rest
        return files or None

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object; `from_json` reads it."""
        return {
            "schema": SCHEMA,
            "digest": self.digest,
            "labels": list(self.labels),
            "form": list(self.form),
            "splits": {
                name: {
                    "counts": list(part.counts),
                    "classes": list(part.classes),
                    "digest": part.digest,
                    "images": None
                    if part.images is None
                    else [list(image) for image in part.images],
                }
                for name, part in self.parts.items()
            },
        }

    @classmethod
    def from_json(cls, value: Any) -> "Inventory":
        """Returns the record that `to_json` wrote.

        Raises:
            DataError: `value` is no such object, or its digest does not match.
        """
        try:
            parts = {
                str(name): Part(
                    tuple(map(int, part["counts"])),
                    tuple(map(str, part["classes"])),
                    str(part["digest"]),
                    None
                    if part["images"] is None
                    else tuple((int(label), str(identity)) for label, identity in part["images"]),
                )
                for name, part in value["splits"].items()
            }
            form = tuple(map(int, value["form"]))
            inventory = cls(tuple(map(str, value["labels"])), form, parts)
            intact = (
                len(form) in (2, 3)
                and inventory.digest == value["digest"]
                and tuple(parts) == NAMES
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"it is no inventory of images ({error!r})") from None
        if not intact:
            raise DataError("its digest does not fit what it holds")
        return inventory


def _form(task: Task) -> tuple[int, ...]:
    """Returns a task's shape; squares have the side once, as in records of earlier versions."""
    sides = (task.size,) if isinstance(task.size, int) else task.size
    return (task.channels, *sides)


_ORDER = "the images are divided or ordered in another way"


def _part(split: Split, classes: int, listed: bool) -> Part:
    """Returns the record of a split, from one pass over its images."""
    labels = split.labels.tolist()
    digest, by_class = blake2b(digest_size=16), [blake2b(digest_size=8) for _ in range(classes)]
    images = []
    for label, identity in zip(labels, _identities(split), strict=True):
        line = f"{label} {identity}\n".encode(errors="surrogateescape")
        digest.update(line)
        by_class[label].update(line)
        if listed:
            images.append((label, identity))
    counts = Counter(labels)
    return Part(
        tuple(counts[label] for label in range(classes)),
        tuple(class_digest.hexdigest() for class_digest in by_class),
        digest.hexdigest(),
        tuple(images) if listed else None,
    )


def _identities(split: Split) -> Iterator[str]:
    """Yields the text that identifies each image of a split, in order."""
    in_memory = isinstance(split.images, Tensor)
    if split.files is not None:
        for file in split.files.paths:
            yield _file_identity(split.files.root, file, in_memory)
    elif isinstance(split.images, Tensor):
        for row in split.images:
            yield _digest(row.contiguous().numpy().tobytes())
    else:
        # Of a plugin's `ImageFile` without files, only the number of images is recorded.
        yield from ("" for _ in range(len(split)))


def _file_identity(root: str, file: str, content: bool) -> str:
    """Returns path below `root`, size and, with `content`, a hash of both ends of a file."""
    name = os.path.relpath(file, root).replace(os.sep, "/")
    try:
        if not content:
            return f"{name}\t{os.stat(file).st_size}"
        with open(file, "rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            ends = opened.read(END if size > 2 * END else size)
            if size > 2 * END:
                opened.seek(-END, os.SEEK_END)
                ends += opened.read(END)
    except OSError as error:
        raise DataError(
            f"The image {file} cannot be read ({error.strerror or error}). Was it moved meanwhile?"
        ) from None
    return f"{name}\t{size} {_digest(ends)}"


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def _few(names: tuple[str, ...]) -> str:
    """Returns at most eight names, and the number of the others."""
    first = ", ".join(names[:8])
    return first + (f" and {len(names) - 8} more" if len(names) > 8 else "")
