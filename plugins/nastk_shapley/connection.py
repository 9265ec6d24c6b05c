"""How likely a random path joins input and output, and how much likelier with each operation.

A path takes an operation of each edge, all alive ones equally likely and edges independent; `none`
cuts its edge. Reaching is followed from node to node, one probability for each set of nodes that
may be reached, so nothing is drawn and nothing is enumerated but sets of nodes.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Edge, PluginError, Subspace


def connected_shares(edges: Sequence[Edge], subspace: Subspace) -> Float[Tensor, "players"]:
    """For each alive operation rho of `paths.py`: P(connected | operation) / P(connected).

    "Connected" is `Architecture.connected`: the last node of every cell type is reached.

    Raises:
        PluginError: no path of the subspace is connected.
    """
    names = [[edge.operations[at] for at in subspace.operations(n)] for n, edge in enumerate(edges)]
    cut = [some.count("none") / len(some) if some else 1.0 for some in names]
    chance = connection(edges, cut)
    if chance == 0:
        raise PluginError(
            "No path of this subspace joins input and output, so none counts. "
            "Use `-u connected=false`, or a subspace with fewer `none`."
        )
    shares = [
        connection(edges, [*cut[:edge], float(name == "none"), *cut[edge + 1 :]]) / chance
        for edge, some in enumerate(names)
        for name in some
    ]
    return torch.tensor(shares, dtype=torch.float64)


def connection(edges: Sequence[Edge], cut: Sequence[float]) -> float:
    """The probability that every cell type's last node is reached, each edge cut with its own."""
    found = 1.0
    for group in {edge.group: None for edge in edges}:
        rows = [(edge, q) for edge, q in zip(edges, cut, strict=True) if edge.group == group]
        found *= _reached(rows)
    return found


def _reached(rows: Sequence[tuple[Edge, float]]) -> float:
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
