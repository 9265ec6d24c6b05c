"""How much validation accuracy misses an operation or an edge: `RemovalScorer`, for `darts_pt.py`.

What is taken out leaves the others at the weights they have. `selection.py` reads the answers.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Batch, Mixture, Probe, SearchSpace, Subspace
from nastk_gradient.selection import admitted, most_missed, thinned


class RemovalScorer:
    """Measures what is taken out of one epoch's supernet, and takes the rest over into a subspace.

    Args:
        space, probe: where, and with what.
        batches: the images, the same for everything measured.
        weights: what operations weigh in `probe.subspace` (edges x operations, on the CPU).
        criterion: accuracy, or minus the loss.

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
        """Called in a round of edges: `subspace` with the operation of `edge` missed most alone."""
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
        """Called in a round of nodes: `subspace` with the edges into a node missed most alone."""
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
        """Called before every measurement: an edge decided meanwhile gives its one all it had."""
        alive = subspace.mask
        decided = (alive != self.probe.subspace.mask).any(-1, keepdim=True)
        moved = self.weights.sum(-1, keepdim=True) * alive
        return Mixture(torch.where(decided, moved, self.weights * alive), alive)

    def measured(self, mixtures: Iterable[Mixture]) -> list[float]:
        """Called with what is left without each candidate: accuracies, or losses negated."""
        sign = 1.0 if self.criterion == "accuracy" else -1.0
        return [
            sign * value for value in self.probe.scores(mixtures, self.batches, of=self.criterion)
        ]
