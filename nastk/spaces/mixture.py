"""How a supernet is told to mix its operations: `Mixture`, an argument of every forward pass.

Alpha, one-hot paths, coalitions and masks all become a mixture: one weight for each (edge,
operation), and which of them are computed at all. Masking an operation is a new mixture, so there
is nothing to restore. Next: `supernet.py` takes it, `probe.py` measures with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nastk.spaces.architecture import Architecture
from nastk.spaces.subspace import Subspace

Terms = Sequence[Sequence[tuple[int, Float[Tensor, "*mixtures"]]]]
"""For each edge the operations that are computed: (column, weight)."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """One weight for each operation of each edge, and which operations are computed.

    `weights` (edges x operations) may carry gradient and may live on any device. `active` is
    boolean, of the same shape, always on the CPU: an operation that is not active is skipped, which
    equals a weight of zero. An edge with none active contributes zero (its weights are ignored).

    Example: `supernet(images, Mixture.softmax(alpha, subspace))`
    """

    weights: Float[Tensor, "edges ops"]
    active: Bool[Tensor, "edges ops"]

    @classmethod
    def softmax(cls, logits: Float[Tensor, "edges ops"], subspace: Subspace) -> Self:
        """Softmax of `logits` over the alive operations of each edge (DARTS, equation 2)."""
        mask = subspace.mask
        alive = mask.to(logits.device)
        # An edge with nothing alive would be 0/0: give it any finite row, then take it away.
        filled = logits.masked_fill(~alive, -torch.inf).masked_fill(
            ~alive.any(-1, keepdim=True), 0.0
        )
        return cls(torch.softmax(filled, -1) * alive, mask)

    @classmethod
    def uniform(cls, subspace: Subspace) -> Self:
        """The same weight for every alive operation of an edge; the rows sum to one."""
        mask = subspace.mask
        return cls(mask / mask.sum(-1, keepdim=True).clamp(min=1), mask)

    @classmethod
    def of(cls, architecture: Architecture) -> Self:
        """Weight one for each chosen operation, zero and skipped elsewhere: a supernet path."""
        mask = torch.tensor(architecture.table(), dtype=torch.bool)
        return cls(mask.float(), mask)

    @property
    def terms(self) -> Terms:
        """What each edge computes: (column, weight) of its active operations, weights as scalars.

        Unbound once for all cells that read them; no weight travels to the host.
        """
        return terms_of(self.weights, self.active)

    def detach(self) -> Self:
        """The same weights without gradient."""
        return type(self)(self.weights.detach(), self.active)

    def to(self, place: torch.device | str | torch.dtype) -> Self:
        """The weights on a device or in a precision.

        `active` stays on the CPU, where loops read it.
        """
        return type(self)(self.weights.to(place, non_blocking=True), self.active)

    def without(self, edge: int, operation: int) -> Self:
        """The mixture with one operation taken out and the others at the weights they have."""
        return self.without_all([(edge, operation)])

    def without_all(self, players: Iterable[tuple[int, int]]) -> Self:
        """The mixture with several (edge, operation) taken out, the others unchanged."""
        keep = self._ones()
        for edge, operation in players:
            keep[edge, operation] = False
        return self.masked(keep)

    def only(self, edge: int, operation: int) -> Self:
        """The mixture with `edge` forced to one operation at weight one, other edges unchanged."""
        keep = self._ones()
        keep[edge] = False
        keep[edge, operation] = True
        forced = torch.zeros_like(self.weights)
        forced[edge, operation] = 1.0
        other = torch.ones_like(self.weights)
        other[edge] = 0.0
        active = self.active & keep
        active[edge, operation] = True
        return type(self)(self.weights * other + forced, active)

    def masked(self, keep: Bool[Tensor, "edges ops"]) -> Self:
        """The mixture restricted to the players in `keep` (on the CPU), without renormalisation."""
        return type(self)(self.weights * keep.to(self.weights.device), self.active & keep)

    def _ones(self) -> Bool[Tensor, "edges ops"]:
        return torch.ones_like(self.active)


def terms_of(
    weights: Float[Tensor, "edges ops *mixtures"], active: Bool[Tensor, "edges ops"]
) -> Terms:
    """`Mixture.terms`, perhaps of several mixtures that compute the same: then each has a weight.

    Example: `terms_of(torch.stack([one.weights, other.weights], -1), one.active)`
    """
    rows = [row.unbind() for row in weights.unbind()]
    return [
        [(column, row[column]) for column, switch in enumerate(switches) if switch]
        for row, switches in zip(rows, active.tolist(), strict=True)
    ]
