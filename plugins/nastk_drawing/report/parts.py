"""What a report is made of: values that the templates turn into HTML.

A page has a headline and sections; a section has parts. Texts are plain: templates escape them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Text:
    """A paragraph; a `warning` stands out, with a `name` in bold before it."""

    kind: ClassVar[str] = "text"
    words: str
    name: str = ""
    warning: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture: its SVG, what it shows in words, and a caption.

    A `wide` one keeps its size and scrolls on narrow screens; a `boxed` one has a box around it.
    """

    kind: ClassVar[str] = "figure"
    svg: str
    words: str
    caption: str = ""
    wide: bool = False
    width: float = 300.0
    boxed: bool = False


@dataclass(frozen=True)
class Grid:
    """Figures beside one another, as many as fit."""

    kind: ClassVar[str] = "grid"
    figures: Sequence[Figure]
    least: int = 300


@dataclass(frozen=True)
class Table:
    """A table: the names of its columns, rows of cells, and the columns that hold numbers.

    A cell that begins with `*` is marked as chosen. `shares` has for each row a fraction (0..1)
    that is drawn as a bar behind its last cell.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    shares: Sequence[float] = ()
    total: bool = False


@dataclass(frozen=True)
class Pairs:
    """Names with their values, such as settings."""

    kind: ClassVar[str] = "pairs"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Text to copy: a command, a genotype, a file."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Details:
    """Parts that are folded away behind a summary."""

    kind: ClassVar[str] = "details"
    summary: str
    parts: Sequence["Part"]


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    kind: ClassVar[str] = "heading"
    words: str


Part = Text | Figure | Grid | Table | Pairs | Code | Details | Heading


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading, which is also its anchor."""

    heading: str
    parts: Sequence[Part]

    @property
    def anchor(self) -> str:
        """The section's name in links."""
        return self.heading.lower().replace(" ", "-")


@dataclass(frozen=True)
class Tile:
    """A number of the headline: what it is, the number, and what it has to be read with."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    subtitle: str
    state: str
    lead: Sequence[str]
    tiles: Sequence[Tile]
    warnings: Sequence[Text]
    sections: Sequence[Section]
    footer: Sequence[str] = field(default_factory=tuple)
