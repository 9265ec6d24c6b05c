"""Which images a run began with, and the first difference to those of now: `Inventory`.

A run that goes on with other images mixes its splits: the images of its test split may have trained
its weights. So a run keeps what its images were. Files are known by path below their folder, size
and the hash of their ends (of files that are decoded while the run goes on: path and size), images
in memory by the hash of their pixels.
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
"""Images up to which each one is listed; of more, each class of each split has a digest."""
END = 16_384
"""Bytes of a file that are hashed at its beginning, and at its end."""


@dataclass(frozen=True)
class Part:
    """What a split holds: images of each class, a digest of each class, one of all in order.

    `images` lists them as (class, what it is known by); None where there are too many.
    """

    counts: tuple[int, ...]
    classes: tuple[str, ...]
    digest: str
    images: tuple[tuple[int, str], ...] | None = None


@dataclass(frozen=True)
class Inventory:
    """The images of a run: class names, form, and each split's `Part`.

    `form` is (channels, side), of rectangles (channels, height, width).

    Example: `Inventory.of(splits, task).difference(stored)` is None where they are the same.
    """

    labels: tuple[str, ...]
    form: tuple[int, ...]
    parts: Mapping[str, Part]

    @classmethod
    def of(cls, splits: Splits, task: Task) -> "Inventory":
        """Look at the images as they are now.

        Raises:
            DataError: a file is gone.
        """
        listed = sum(len(getattr(splits, name)) for name in NAMES) <= LISTED
        parts = {name: _part(getattr(splits, name), task.classes, listed) for name in NAMES}
        return cls(task.names, _form(task), parts)

    @property
    def digest(self) -> str:
        """One digest of everything."""
        parts = [f"{name} {part.counts} {part.digest}" for name, part in self.parts.items()]
        return _digest("\n".join([*self.labels, str(self.form), *parts]).encode())

    def difference(self, before: "Inventory") -> str | None:
        """The first thing, in words, in which these images differ from those `before`."""
        if self.digest == before.digest:
            return None
        if self.labels != before.labels:
            return f"the classes are {_few(self.labels)}; they were {_few(before.labels)}"
        if self.form != before.form:
            now, then = (f"{one[0]} x {one[1]} x {one[-1]}" for one in (self.form, before.form))
            return f"images are read as {now} pixels; they were {then}"
        return self._by_name(before) or self._by_class(before) or _ORDER

    def _by_name(self, before: "Inventory") -> str | None:
        """The first file that is new, gone or another one, where files are listed."""
        now, then = self._files(), before._files()
        if now is None or then is None:
            return None
        for name in sorted(now.keys() | then.keys()):
            if now.get(name) != then.get(name):
                what = "is new" if name not in then else "is gone" if name not in now else None
                return f"{name} {what or 'is another image than it was'}{self._total(before)}"
        return None

    def _total(self, before: "Inventory") -> str:
        now, then = (sum(sum(part.counts) for part in one.parts.values()) for one in (self, before))
        return "" if now == then else f" ({now} images in all; there were {then})"

    def _by_class(self, before: "Inventory") -> str | None:
        """The first class of a split with another number of images, or with others."""
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
            for label, (here, there) in enumerate(zip(part.classes, old.classes, strict=False)):
                if here != there:
                    where = self._place(name, label, before)
                    return f"split {name} has other images of class {self.labels[label]!r}{where}"
        return None

    def _place(self, name: str, label: int, before: "Inventory") -> str:
        """The number of the first image of a class that differs, where images are listed."""
        now, then = self.parts[name].images, before.parts[name].images
        pairs = enumerate(zip(now or (), then or (), strict=False))
        places = [place for place, (one, other) in pairs if one != other and one[0] == label]
        return f" (the first is image {places[0]})" if places else ""

    def _files(self) -> dict[str, str] | None:
        """What each file is known by; None where images are not listed or are no files."""
        found: dict[str, str] = {}
        for part in self.parts.values():
            for _, known in part.images or ():
                name, tab, rest = known.rpartition("\t")
                if not tab:
                    return None
                found[name] = rest
        return found or None

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it."""
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
                    "images": None if part.images is None else [list(one) for one in part.images],
                }
                for name, part in self.parts.items()
            },
        }

    @classmethod
    def from_json(cls, value: Any) -> "Inventory":
        """The inverse of `to_json`.

        Raises:
            DataError: it is no such object, or its digest does not fit it.
        """
        try:
            parts = {
                str(name): Part(
                    tuple(map(int, one["counts"])),
                    tuple(map(str, one["classes"])),
                    str(one["digest"]),
                    None
                    if one["images"] is None
                    else tuple((int(label), str(known)) for label, known in one["images"]),
                )
                for name, one in value["splits"].items()
            }
            form = tuple(map(int, value["form"]))
            found = cls(tuple(map(str, value["labels"])), form, parts)
            whole = (
                len(form) in (2, 3) and found.digest == value["digest"] and tuple(parts) == NAMES
            )
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"it is no inventory of images ({error!r})") from None
        if not whole:
            raise DataError("its digest does not fit what it holds")
        return found


def _form(task: Task) -> tuple[int, ...]:
    """A task's form; that of squares has the side once, as in every record before rectangles."""
    sides = (task.size,) if isinstance(task.size, int) else task.size
    return (task.channels, *sides)


_ORDER = "the images are divided or ordered in another way"


def _part(split: Split, classes: int, listed: bool) -> Part:
    """One pass over the images of a split."""
    labels = split.labels.tolist()
    whole, by_class = blake2b(digest_size=16), [blake2b(digest_size=8) for _ in range(classes)]
    images = []
    for label, known in zip(labels, _known(split), strict=True):
        line = f"{label} {known}\n".encode(errors="surrogateescape")
        whole.update(line)
        by_class[label].update(line)
        if listed:
            images.append((label, known))
    counts = Counter(labels)
    return Part(
        tuple(counts[label] for label in range(classes)),
        tuple(one.hexdigest() for one in by_class),
        whole.hexdigest(),
        tuple(images) if listed else None,
    )


def _known(split: Split) -> Iterator[str]:
    """What each image of a split is known by."""
    memory = isinstance(split.images, Tensor)
    if split.files is not None:
        for file in split.files.paths:
            yield _file(split.files.root, file, memory)
    elif isinstance(split.images, Tensor):
        for row in split.images:
            yield _digest(row.contiguous().numpy().tobytes())
    else:
        # A set of somebody's own that is read one by one: its number of images is what is known.
        yield from ("" for _ in range(len(split)))


def _file(root: str, file: str, content: bool) -> str:
    """Path below `root`, size and, where asked for, a hash of both ends of a file."""
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
    some = ", ".join(names[:8])
    return some + (f" and {len(names) - 8} more" if len(names) > 8 else "")
