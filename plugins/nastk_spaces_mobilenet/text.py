"""The text of an architecture: one word for each layer, such as `mb6_7x7 mb3_5x5 skip skip`.

`read` also understands two other spellings: `k7e6` (kernel 7, expansion 6) and ProxylessNAS's
`7x7_MBConv6` with `Zero` for a layer that is skipped.
"""

import re
from collections.abc import Sequence

from nastk.errors import DataError, near_miss
from nastk.subspace import Edge
from nastk_spaces_mobilenet.operations import SKIP

SPELLINGS = (
    re.compile(r"k(?P<kernel>\d+)e(?P<expansion>\d+)"),
    re.compile(r"(?P<kernel>\d+)x(?P=kernel)_mbconv(?P<expansion>\d+)"),
)


def write(names: Sequence[str]) -> str:
    """The text of a chain of operations."""
    return " ".join(names)


def read(text: str, edges: Sequence[Edge]) -> list[str]:
    """The operation of each layer.

    Raises:
        DataError: the text has another number of words, or a layer does not offer its word.
    """
    words = text.split()
    if len(words) != len(edges):
        raise DataError(
            f"An architecture of this space is {len(edges)} words, one for each layer, such as "
            f"'{edges[0].operations[0]} ...'; got {len(words)}: {_short(text)}."
        )
    return [
        _operation(number, word, edge)
        for number, (word, edge) in enumerate(zip(words, edges, strict=True), start=1)
    ]


def _operation(number: int, word: str, edge: Edge) -> str:
    """The operation that one word means."""
    name = _plain(word)
    if name not in edge.operations:
        raise DataError(
            f"Layer {number} ({edge.name}) has no operation {word!r}."
            f"{near_miss(name, edge.operations)} It has: {', '.join(edge.operations)}."
        )
    return name


def _plain(word: str) -> str:
    """A word in our own spelling."""
    lower = word.lower()
    for spelling in SPELLINGS:
        if found := spelling.fullmatch(lower):
            return f"mb{found['expansion']}_{found['kernel']}x{found['kernel']}"
    return SKIP if lower == "zero" else lower


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
