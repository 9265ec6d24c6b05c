"""The validation accuracy lost without an operation or an edge: `RemovalScorer`, for `darts_pt.py`.

When an operation or an edge is removed, the others keep their mixing weights. `selection.py` turns
the measured values into decisions.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Batch, Mixture, Probe, SearchSpace, Subspace
from nastk_gradient.selection import admitted, most_missed, thinned


class RemovalScorer:
    """Measures the supernet of one epoch without single operations or edges, and decides by that.

    Args:
        space, probe: the search space, and the probe that measures.
        batches: the images, the same for every measurement.
        weights: mixing weights of the operations in `probe.subspace` (edges x operations, CPU).
        criterion: the value measured, accuracy or minus the loss.

    Example: `RemovalScorer(space, probe, batches, scores).decide(3, probe.subspace)`
    """

    def __init__(
        self,
        space: SearchSpace,
        probe: Probe,
        batches: Sequence[Batch],
        weights: Float[Tensor, "edges ops"],
        criterion: Literal["accuracy", "loss"] = "accuracy",
    ) -> None:
        self.space = space
        self.probe = probe
        self.batches = batches
        self.weights = weights
        self.criterion: Literal["accuracy", "loss"] = criterion

    def decide(self, edge: int, subspace: Subspace) -> Subspace:
        """Called in a round of edges: keeps on `edge` the operation whose removal costs most."""
        mixture = self.mixture(subspace)
        operations = admitted(subspace, edge, self.space.why_empty)
        values = self.measured(mixture.without(edge, column) for column in operations)
        names = [self.space.edges[edge].operations[column] for column in operations]
        kept = most_missed(names, values)
        self.probe.report(
            "selection",
            edge=self.space.edges[edge].name,
            without=dict(zip(names, values, strict=True)),
            kept=names[kept],
        )
        return subspace.only(edge, [operations[kept]])

    def thin(self, rows: Sequence[int], subspace: Subspace) -> Subspace:
        """Called in a round of nodes: of the edges `rows` into a node, keeps those missed most."""
        mixture = self.mixture(subspace)
        values = self.measured(
            mixture.without_all((row, column) for column in subspace.operations(row))
            for row in rows
        )
        smaller = thinned(subspace, rows, values, self.space.why_empty)
        names = [self.space.edges[row].name for row in rows]
        self.probe.report(
            "selection",
            node=self.space.edges[rows[0]].head,
            without=dict(zip(names, values, strict=True)),
            kept=[name for name, row in zip(names, rows, strict=True) if smaller.operations(row)],
        )
        return smaller

    def mixture(self, subspace: Subspace) -> Mixture:
        """Called before every measurement: returns the mixture in `subspace`, on the CPU.

        An edge that this round has decided gives its whole weight to the operation it kept.
        """
        alive = subspace.mask
        decided = (alive != self.probe.subspace.mask).any(-1, keepdim=True)
        whole = self.weights.sum(-1, keepdim=True) * alive  # edges x operations
        return Mixture(torch.where(decided, whole, self.weights * alive), alive)

    def measured(self, mixtures: Iterable[Mixture]) -> list[float]:
        """Called with one mixture for each removal: returns accuracies, or negated losses."""
        sign = 1.0 if self.criterion == "accuracy" else -1.0
        return [
            sign * value for value in self.probe.scores(mixtures, self.batches, of=self.criterion)
        ]
