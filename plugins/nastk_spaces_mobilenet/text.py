"""Writes and reads the text of an architecture: a word per layer, as `mb6_7x7 mb3_5x5 skip skip`.

`read` also accepts two other spellings: `k7e6` (kernel 7, expansion 6) and ProxylessNAS's
`7x7_MBConv6` with `Zero` for a skipped layer; words in a list, with quotes, commas or bars between
stages; and the configurations of `configs.py`.
"""

import re
from collections.abc import Sequence
from typing import Any

from nastk import DataError, Edge
from nastk.base import near_miss, printed
from nastk_spaces_mobilenet.configs import words
from nastk_spaces_mobilenet.layouts import Layout
from nastk_spaces_mobilenet.operations import SKIP

SPELLINGS = (
    re.compile(r"k(?P<kernel>\d+)e(?P<expansion>\d+)"),
    re.compile(r"(?P<kernel>\d+)x(?P=kernel)_mbconv(?P<expansion>\d+)"),
)

EDGES = " \t\r\n[]()'\"|,;"
"""The characters that a text may have around its words."""

BETWEEN = re.compile(r"[\s,;|'\"]+")
"""Matches the characters that a text may have between two words."""


def write(names: Sequence[str]) -> str:
    """Returns the text of a chain of operations."""
    return " ".join(names)


def read(text: str, edges: Sequence[Edge], layout: Layout, multiplier: float) -> list[str]:
    """Returns the operation of each layer.

    Raises:
        DataError: the text has another number of words, a layer does not offer its word, or it is
            a configuration of other widths.
    """
    config = configuration(text)
    if config is None:
        spelled = [word for word in BETWEEN.split(text.strip(EDGES)) if word]
    else:
        spelled = words(config, layout, multiplier)
    if config is None and len(spelled) > 1 and all(word.isdecimal() for word in spelled):
        raise DataError(
            "Numbers are places in a program's own list of candidates, which another has in "
            f"another order (SPOS, FairNAS). Give the names, such as {edges[0].operations[0]}."
        )
    if len(spelled) != len(edges):
        raise DataError(
            f"An architecture of this space is {len(edges)} words, one for each layer, such as "
            f"'{edges[0].operations[0]} ...', or a configuration of Once-for-all or ProxylessNAS; "
            f"got {len(spelled)}: {_short(text)}."
        )
    return [
        _operation(number, word, edge)
        for number, (word, edge) in enumerate(zip(spelled, edges, strict=True), start=1)
    ]


def configuration(text: str) -> dict[str, Any] | None:
    """Returns the configuration in a text, as Python or JSON prints it; None if there is none.

    Raises:
        DataError: the text begins like a configuration but cannot be read as one.
    """
    start, end = text.find("{"), text.rfind("}")
    if start < 0:
        return None
    try:
        value = printed(text[start : end + 1])
    except ValueError as error:
        raise DataError(f"This stops being a configuration {error}.") from None
    return value if isinstance(value, dict) else None


def _operation(number: int, word: str, edge: Edge) -> str:
    """Returns the operation that `word` spells, checked against layer `number`."""
    name = _plain(word)
    if name not in edge.operations:
        raise DataError(
            f"Layer {number} ({edge.name}) has no operation {word!r}."
            f"{near_miss(name, edge.operations)} It has: {', '.join(edge.operations)}."
        )
    return name


def _plain(word: str) -> str:
    """Returns the word in our own spelling."""
    lower = word.lower()
    for spelling in SPELLINGS:
        if match := spelling.fullmatch(lower):
            return f"mb{match['expansion']}_{match['kernel']}x{match['kernel']}"
    return SKIP if lower == "zero" else lower


def _short(text: str) -> str:
    """Returns `repr(text)`, cut to 60 characters."""
    shown = repr(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
