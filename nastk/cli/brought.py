"""What a command is told to look at: a run folder, or an architecture from elsewhere.

Elsewhere is a text that some space reads, such as a genotype or a published name, or a file that
holds one, or nastk's own JSON. Without `--space` the installed spaces are asked in turn.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nastk.base.component import assignments
from nastk.base.errors import ConfigurationError, DataError, near_miss
from nastk.base.plugins import catalogue
from nastk.base.reading import json_value, read_text
from nastk.cli import output
from nastk.runs.folder import CONFIG, RunFolder, is_one_word
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace

LARGEST = 2**20
"""Bytes of a file that holds an architecture."""


@dataclass(frozen=True)
class Brought:
    """An architecture from elsewhere with its space, and where it comes from, for titles."""

    architecture: Architecture
    space: SearchSpace
    source: str


def brought(word: str, space: str | None, options: Sequence[str]) -> Brought:
    """The architecture that `word` is, or that the file `word` holds.

    Args:
        word: a published name, a text, or a file with either or with nastk's JSON.
        space: the space that reads it; where None, the installed one that does.
        options: `name=value` of that space.

    Raises:
        ConfigurationError: it is none of these; says what it could be.
        DataError: the space that was named does not read it; says where it stops.
    """
    text, source = content(word)
    given = assignments(options, "-s")
    own = _own(text)
    if space is None and own is not None:
        space = str(own.get("space"))
        given = {**_options_beside(word), **given}
    if space is not None:
        found = _read(space, text, given)
        return Brought(found[0], found[1], source)
    readers = list(_readers(text, given))
    if not readers:
        raise _unread(word, text)
    best = max(readers, key=lambda pair: _fitness(pair[1], text))
    others = [one.name for _, one in readers if one is not best[1]]
    if others:
        output.note(
            f"Read as an architecture of space {best[1].name}; {', '.join(others)} "
            f"read{'s' if len(others) == 1 else ''} it too (choose with --space)."
        )
    return Brought(best[0], best[1], source)


def content(word: str) -> tuple[str, str]:
    """The text that `word` is or that the file `word` holds, and what to call it."""
    with suppress(OSError, ValueError):
        path = Path(word)
        if path.exists():
            return read_text(path, LARGEST, pipes=True), path.name
    return word, word if len(word) <= 40 and "\n" not in word else "an architecture given as text"


def own_json(word: str) -> tuple[Architecture, str] | None:
    """The architecture in a file that nastk wrote, which needs no space to be read; else None."""
    text, source = content(word)
    own = _own(text)
    return None if own is None else (Architecture.from_json(own), source)


def _own(text: str) -> Mapping[str, Any] | None:
    """The JSON object of an architecture that nastk wrote."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json_value(text)
    except ValueError:
        return None
    value = value.get("architecture", value)
    known = isinstance(value, Mapping) and {"schema", "space", "edges"} <= set(value)
    return value if known else None


def _options_beside(word: str) -> dict[str, Any]:
    """The space's options of the run whose folder holds the file `word`."""
    folder = RunFolder(Path(word).parent)
    if not (folder.path / CONFIG).is_file():
        return {}
    named = folder.config().get("space")
    return dict(named.get("options") or {}) if isinstance(named, Mapping) else {}


def _read(space: str, text: str, options: Mapping[str, Any]) -> tuple[Architecture, SearchSpace]:
    found: type[SearchSpace] = catalogue().load("space", space)
    made = found(found.parse_options({**found.options_for(text), **options}))
    return made.from_text(text), made


def _readers(text: str, options: Mapping[str, Any]) -> Iterator[tuple[Architecture, SearchSpace]]:
    """Every installed space that reads the text, with what it reads."""
    for name in catalogue().names("space"):
        # Someone's space may break in any way: then it is not the one that reads it.
        with suppress(Exception):
            yield _read(name, text, options)


def _fitness(space: SearchSpace, text: str) -> tuple[bool, int]:
    """Which of several spaces is meant: where it was published, then the one of most choices."""
    published = text.strip().upper() in space.published
    return published, sum(len(edge.operations) for edge in space.edges)


def _unread(word: str, text: str) -> ConfigurationError | DataError:
    shown = repr(word) if len(word) <= 60 else f"{word[:57]!r}..."
    names: list[str] = []
    for name in catalogue().names("space"):
        with suppress(Exception):
            names += catalogue().load("space", name).published
    hint = near_miss(text.strip().upper(), names) if len(text) <= 40 else ""
    if is_one_word(word) and not Path(word).exists():
        try:
            RunFolder.open(word)
        except ConfigurationError as error:
            return ConfigurationError(
                f"{error} No installed space reads {word!r} as an architecture either.{hint}"
            )
    return ConfigurationError(
        f"{shown} is no run folder, no file with an architecture, no published name, and no text "
        f"that an installed space reads.{hint} Name the space with --space (and -s), and the "
        "message says where the text stops being one of it."
    )
