"""The probability that a random path joins input and output, and its change by each operation.

A path takes one of the alive operations of each edge, uniformly and independently of other edges;
`none` cuts its edge. The probabilities are exact: from node to node, they are kept for each set of
nodes that may be reached, so paths are neither drawn nor enumerated.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Edge, PluginError, Subspace


def connected_shares(edges: Sequence[Edge], subspace: Subspace) -> Float[Tensor, "players"]:
    """Returns P(connected | operation) / P(connected) for each alive operation, rho in `paths.py`.

    A path is connected as in `Architecture.connected`: it reaches the last node of every cell type.

    Raises:
        PluginError: no path of the subspace is connected.
    """
    names = [
        [edge.operations[column] for column in subspace.operations(row)]
        for row, edge in enumerate(edges)
    ]
    # The probability that each edge is cut; an empty edge always is.
    cut = [alive.count("none") / len(alive) if alive else 1.0 for alive in names]
    chance = connection(edges, cut)
    if chance == 0:
        raise PluginError(
            "No path of this subspace joins input and output, so none counts. "
            "Use `-u connected=false`, or a subspace with fewer `none`."
        )
    shares = [
        connection(edges, [*cut[:edge], float(name == "none"), *cut[edge + 1 :]]) / chance
        for edge, alive in enumerate(names)
        for name in alive
    ]
    return torch.tensor(shares, dtype=torch.float64)


def connection(edges: Sequence[Edge], cut: Sequence[float]) -> float:
    """Returns the probability that every cell type's last node is reached.

    `cut` holds the probability for each edge that it is cut.
    """
    probability = 1.0
    for group in {edge.group: None for edge in edges}:
        rows = [(edge, q) for edge, q in zip(edges, cut, strict=True) if edge.group == group]
        probability *= _reached(rows)
    return probability


def _reached(rows: Sequence[tuple[Edge, float]]) -> float:
    """Returns the probability that the last node of a cell type is reached.

    `rows` are its edges, with the probability that each is cut.
    """
    nodes = sorted({edge.head for edge, _ in rows})
    start = frozenset(edge.tail for edge, _ in rows) - set(nodes)
    chances: dict[frozenset[int], float] = {start: 1.0}
    for node in nodes:
        after: dict[frozenset[int], float] = defaultdict(float)
        for reached, chance in chances.items():
            missed = 1.0
            for edge, q in rows:
                if edge.head == node and edge.tail in reached:
                    missed *= q
            after[reached] += chance * missed
            after[reached | {node}] += chance * (1 - missed)
        chances = after
    return sum(chance for reached, chance in chances.items() if nodes[-1] in reached)
