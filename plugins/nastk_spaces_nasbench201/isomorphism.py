"""`canonical` writes what a cell's last node computes; isomorphic cells have the same text.

The 15,625 architectures have 6,466 different texts, as many as Dong and Yang (2020) count. A text
is an expression in the cell's input, `0`:

* an edge with `skip_connect` gives its source's expression unchanged;
* an edge with `none`, or an edge whose source is just `#`, gives `#`;
* any other edge gives `(source)@operation`;
* a node is the sorted sum of its edges.
"""

from nastk import Architecture

INPUT, NOTHING = "0", "#"


def canonical(architecture: Architecture) -> str:
    """Returns the benchmark's text for a cell; equal texts are one architecture to the benchmark.

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
    """Returns the expression that one edge adds to its node."""
    # A sum such as `#+#` is zero too, but the benchmark does not simplify sums, so neither do we.
    if operation == "none" or source == NOTHING:
        return NOTHING
    return source if operation == "skip_connect" else f"({source})@{operation}"
