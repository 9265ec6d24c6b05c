"""The benchmark's string for an architecture, written and read.

    |nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|

Nodes 1, 2 and 3 are joined by `+`; each lists, between bars, `operation~source` for every earlier
node in order. `read` takes exactly this and says where a text departs from it.
"""

from collections.abc import Sequence

from nastk.errors import DataError, near_miss

NODES = 4
"""Nodes of a cell, its input (node 0) and its output (the last one) included."""


def write(names: Sequence[str]) -> str:
    """The string of six operation names, given node by node.

    >>> write(["none", "skip_connect", "none", "nor_conv_1x1", "none", "none"])
    '|none~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|none~1|none~2|'
    """
    rest = iter(names)
    nodes = [[f"{next(rest)}~{source}" for source in range(node)] for node in range(1, NODES)]
    return "+".join(f"|{'|'.join(parts)}|" for parts in nodes)


def read(text: str, operations: Sequence[str]) -> list[str]:
    """The six operation names in `text`, node by node.

    Raises:
        DataError: it is no architecture of `operations`; says where it stops being one.
    """
    nodes = text.strip().split("+")
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


def _node(number: int, text: str, operations: Sequence[str]) -> list[str]:
    """The operations that lead to node `number`, in the order of their sources."""
    parts = text[1:-1].split("|")
    if len(text) < 2 or text[0] != "|" or text[-1] != "|" or len(parts) != number:
        form = "".join(f"|operation~{source}" for source in range(number)) + "|"
        raise DataError(f"Node {number} must be written {form}, got {_short(text)}.")
    return [_operation(number, source, part, operations) for source, part in enumerate(parts)]


def _operation(number: int, source: int, text: str, operations: Sequence[str]) -> str:
    """The operation from `source` to node `number`."""
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


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."
