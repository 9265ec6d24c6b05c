"""Architectures that no run of the user found, as arguments of a command: `given_architecture`.

Such an architecture is a text that a space can read, such as a genotype or a published name, or a
file that holds one, or nastk's own JSON. Without `--space` all installed spaces try to read it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nastk.base.component import assignments
from nastk.base.errors import ConfigurationError, DataError, near_miss
from nastk.base.plugins import catalogue
from nastk.base.reading import json_object_in, read_text
from nastk.cli import output
from nastk.runs.folder import CONFIG, RunFolder, is_one_word
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace

LARGEST = 2**20
"""Most bytes of a file that holds an architecture."""


@dataclass(frozen=True)
class GivenArchitecture:
    """An architecture from outside a run, with its space, and its `source` for titles."""

    architecture: Architecture
    space: SearchSpace
    source: str


def given_architecture(word: str, space: str | None, options: Sequence[str]) -> GivenArchitecture:
    """Returns the architecture that `word` is, or that the file `word` holds.

    Args:
        word: a published name, a text, or a file with either or with nastk's JSON.
        space: the space that reads it; where None, the installed one that can.
        options: `name=value` of that space.

    Raises:
        ConfigurationError: `word` is none of these; says what it could be.
        DataError: the named space cannot read the text; says where the error is.
    """
    text, source = content(word)
    space_options = assignments(options, "-s")
    stored = _stored_json(text)
    if space is None and stored is not None:
        space = str(stored.get("space"))
        space_options = {**_options_beside(word), **space_options}
    if space is not None:
        read = _read(space, text, space_options)
        return GivenArchitecture(read[0], read[1], source)
    readers = list(_readers(text, space_options))
    if not readers:
        raise _unread(word, text)
    best = max(readers, key=lambda pair: _fitness(pair[1], text))
    other_names = [reader.name for _, reader in readers if reader is not best[1]]
    if other_names:
        output.note(
            f"Read as an architecture of space {best[1].name}; {', '.join(other_names)} "
            f"read{'s' if len(other_names) == 1 else ''} it too (choose with --space)."
        )
    return GivenArchitecture(best[0], best[1], source)


def content(word: str) -> tuple[str, str]:
    """Returns the text that `word` is or that the file `word` holds, and a name for titles."""
    with suppress(OSError, ValueError):
        path = Path(word)
        if path.exists():
            return read_text(path, LARGEST, pipes=True), path.name
    return word, word if len(word) <= 40 and "\n" not in word else "an architecture given as text"


def own_json(word: str) -> tuple[Architecture, str] | None:
    """Returns the architecture in a file that nastk wrote, and the file's name; else None.

    Such a file can be read without the space.
    """
    text, source = content(word)
    value = _stored_json(text)
    return None if value is None else (Architecture.from_json(value), source)


def _stored_json(text: str) -> Mapping[str, Any] | None:
    """Returns the JSON object of an architecture that nastk wrote; None for any other text."""
    value = json_object_in(text)
    if value is None:
        return None
    value = value.get("architecture", value)
    known = isinstance(value, Mapping) and {"schema", "space", "edges"} <= set(value)
    return value if known else None


def _options_beside(word: str) -> dict[str, Any]:
    """Returns the space's options of the run whose folder holds the file `word`, if any."""
    folder = RunFolder(Path(word).parent)
    if not (folder.path / CONFIG).is_file():
        return {}
    spec = folder.config().get("space")
    return dict(spec.get("options") or {}) if isinstance(spec, Mapping) else {}


def _read(space: str, text: str, options: Mapping[str, Any]) -> tuple[Architecture, SearchSpace]:
    """Returns the architecture that the space called `space` reads in a text, and that space."""
    space_class: type[SearchSpace] = catalogue().load("space", space)
    reader = space_class(space_class.parse_options({**space_class.options_for(text), **options}))
    return reader.from_text(text), reader


def _readers(text: str, options: Mapping[str, Any]) -> Iterator[tuple[Architecture, SearchSpace]]:
    """Yields every installed space that can read the text, with the architecture that it reads."""
    for name in catalogue().names("space"):
        # A plugin's space may raise any error; it then counts as unable to read the text.
        with suppress(Exception):
            yield _read(name, text, options)


def _fitness(space: SearchSpace, text: str) -> tuple[bool, int]:
    """Returns the sort key among spaces that read a text; the largest one is taken.

    First come spaces in which the text is a published name, then those with most operations.
    """
    published = text.strip().upper() in space.published
    return published, sum(len(edge.operations) for edge in space.edges)


def _unread(word: str, text: str) -> ConfigurationError | DataError:
    """Returns the error for a word that is no architecture of any installed space."""
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
