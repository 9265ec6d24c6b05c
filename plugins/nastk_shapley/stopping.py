"""The test that ends sampling early: `ConfidentRanking` compares leads with standard errors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nastk_shapley.estimate import Estimate


class ConfidentRanking:
    """True if the best operation of every edge leads the second by `gap` standard errors.

    The standard error of a lead is the root of the sum of the two squared standard errors. `edges`
    gives the edge of each player. An edge whose best operations are equal is never settled.

    Example: `monte_carlo(game, orders, rules, enough=ConfidentRanking([0, 0, 1, 1], gap=2.0))`
    """

    def __init__(self, edges: Sequence[int], gap: float) -> None:
        self.edges = torch.tensor(edges)
        self.gap = gap

    def __call__(self, estimate: Estimate) -> bool:
        """Called by `monte_carlo` after each order: True if all edges are settled."""
        return all(self._leads(estimate, self.edges == edge) for edge in set(self.edges.tolist()))

    def _leads(self, estimate: Estimate, on_edge: Tensor) -> bool:
        """True if the best of the players `on_edge` leads clearly, or is the only one."""
        values, errors = estimate.values[on_edge], estimate.standard_errors[on_edge]
        if len(values) < 2:
            return True
        first, second = values.topk(2).indices
        lead, error = values[first] - values[second], torch.hypot(errors[first], errors[second])
        return bool(lead > self.gap * error)
