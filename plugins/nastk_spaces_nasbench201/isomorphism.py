"""Which architectures the benchmark counts as one: `canonical` writes what the last node computes.

The 15,625 architectures have 6,466 different texts, as many as Dong and Yang (2020) count. A text
is an expression in the cell's input, `0`:

* an edge with `skip_connect` gives its source's expression as it is;
* an edge with `none`, or one whose source is nothing but a single `none`, gives `#`;
* any other edge gives `(source)@operation`;
* a node is the sorted sum of its edges.
"""

from nastk import Architecture

INPUT, NOTHING = "0", "#"


def canonical(architecture: Architecture) -> str:
    """The benchmark's text for what a cell computes: equal for architectures that it counts as one.

    `architecture` has one operation on each of the six edges.

    Example: `(((0)@avg_pool_3x3)@nor_conv_3x3+(0)@nor_conv_3x3)@avg_pool_3x3+0+0`
    """
    arriving: dict[int, list[str]] = {0: [INPUT]}
    for edge, operation in architecture.links():
        # Edges come node by node, so every source is complete.
        source = "+".join(sorted(arriving[edge.tail]))
        arriving.setdefault(edge.head, []).append(_term(operation, source))
    return "+".join(sorted(arriving[max(arriving)]))


def _term(operation: str, source: str) -> str:
    """What one edge adds to its node."""
    # A sum of nothings is not taken for nothing: the benchmark does not look into sums either.
    if operation == "none" or source == NOTHING:
        return NOTHING
    return source if operation == "skip_connect" else f"({source})@{operation}"
