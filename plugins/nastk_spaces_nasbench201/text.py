"""Writes and reads the benchmark's string for an architecture.

    |nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|

Nodes 1, 2 and 3 are joined by `+`; each lists, between bars, `operation~source` for every earlier
node in order. `read` also accepts text around the string, such as XAutoDL's
`Structure(4 nodes with |...|)`; its errors say where the string departs from the form. It also
reads XAutoDL's lists of (operation, source) for each node, and NASLib's six numbers.
"""

import re
from collections.abc import Sequence
from typing import Any

from nastk import DataError
from nastk.base import near_miss, printed

NODES = 4
"""The number of nodes of a cell, including its input (node 0) and its output (the last node)."""

NASLIB = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""The operations in NASLib's numbering, from 0."""

STRING = re.compile(r"(\|*\s*\w*\s*~|\|).*(\||~\s*\w*)", re.DOTALL)
"""Matches the benchmark's string in a text, from its first bar or operation to its last."""

BY_SOURCE = [(source, node) for source in range(NODES - 1) for node in range(source + 1, NODES)]
"""The edges in NASLib's order: sorted by their source, not by their node."""


def write(names: Sequence[str]) -> str:
    """Returns the string of six operation names, given node by node.

    >>> write(["none", "skip_connect", "none", "nor_conv_1x1", "none", "none"])
    '|none~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|none~1|none~2|'
    """
    rest = iter(names)
    nodes = [[f"{next(rest)}~{source}" for source in range(node)] for node in range(1, NODES)]
    return "+".join(f"|{'|'.join(parts)}|" for parts in nodes)


def read(text: str, operations: Sequence[str]) -> list[str]:
    """Returns the six operation names in `text`, node by node.

    Raises:
        DataError: the text is no architecture of `operations`; the message says where it departs
            from the expected form.
    """
    match = STRING.search(text)
    if match is None:
        return _listed(text, operations)
    nodes = "".join(match[0].split()).split("+")
    if len(nodes) != NODES - 1:
        raise DataError(
            f"A NAS-Bench-201 architecture is {NODES - 1} nodes joined by '+', such as "
            f"{write(['nor_conv_3x3'] * 6)}, got {len(nodes)}: {_short(text)}."
        )
    return [
        name
        for number, node in enumerate(nodes, start=1)
        for name in _node(number, node, operations)
    ]


def _listed(text: str, operations: Sequence[str]) -> list[str]:
    """Returns the six operation names of a text without bars: lists of links, or six numbers."""
    match = re.search(r"[\[(].*[\])]", text, re.DOTALL)
    try:
        value = printed(match[0] if match else text)
    except ValueError:
        value = None
    if isinstance(value, int):
        raise DataError(
            f"{value} is a place in one edition of the benchmark's file; give the string that "
            "stands there, such as |nor_conv_3x3~0|+|...|."
        )
    if isinstance(value, list) and len(value) == 6 and all(type(item) is int for item in value):
        return _numbered(value, operations)
    if not isinstance(value, list) or len(value) != NODES - 1:
        raise DataError(
            f"A NAS-Bench-201 architecture is {NODES - 1} nodes joined by '+', such as "
            f"{write(['nor_conv_3x3'] * 6)}, a list of (operation, source) for each node, or "
            f"NASLib's six numbers; got {_short(text)}."
        )
    return [
        name
        for number, node in enumerate(value, start=1)
        for name in _node(number, _joined(number, node), operations)
    ]


def _joined(number: int, node: Any) -> str:
    """Returns the node's part of the string from a list of (operation, source[, weight])."""
    links = node if isinstance(node, list) else []
    if not links or not all(
        isinstance(link, list)
        and 2 <= len(link) <= 3
        and isinstance(link[0], str)
        and type(link[1]) is int
        for link in links
    ):
        raise DataError(
            f"Node {number} must be {number} of (operation, source), got {_short(node)}."
        )
    return f"|{'|'.join(f'{link[0]}~{link[1]}' for link in sorted(links, key=lambda x: x[1]))}|"


def _numbered(numbers: Sequence[int], operations: Sequence[str]) -> list[str]:
    """Returns the six operation names, node by node, from NASLib's numbers."""
    if bad := [number for number in numbers if not 0 <= number < len(NASLIB)]:
        raise DataError(
            f"NASLib numbers the operations from 0 to {len(NASLIB) - 1}, got {bad[0]}: "
            f"{', '.join(f'{index} {name}' for index, name in enumerate(NASLIB))}."
        )
    by_edge = {edge: NASLIB[number] for edge, number in zip(BY_SOURCE, numbers, strict=True)}
    return [
        _operation(node, source, f"{by_edge[source, node]}~{source}", operations)
        for node in range(1, NODES)
        for source in range(node)
    ]


def _node(number: int, text: str, operations: Sequence[str]) -> list[str]:
    """Returns the operations that lead to node `number`, in the order of their sources."""
    parts = text[1:-1].split("|")
    if len(text) < 2 or text[0] != "|" or text[-1] != "|" or len(parts) != number:
        form = "".join(f"|operation~{source}" for source in range(number)) + "|"
        raise DataError(f"Node {number} must be written {form}, got {_short(text)}.")
    return [_operation(number, source, part, operations) for source, part in enumerate(parts)]


def _operation(number: int, source: int, text: str, operations: Sequence[str]) -> str:
    """Returns the operation from `source` to node `number`, which `text` spells."""
    name, _, written = text.partition("~")
    if written != str(source):
        raise DataError(
            f"Input {source} of node {number} must be written operation~{source}, "
            f"got {_short(text)}."
        )
    if name not in operations:
        near = near_miss(name, operations)
        raise DataError(
            f"Input {source} of node {number}: no operation is named {name!r}.{near} "
            f"This space has: {', '.join(operations)}."
        )
    return name


def _short(value: Any) -> str:
    """Returns `repr(value)`, cut to 100 characters."""
    shown = repr(value)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."
