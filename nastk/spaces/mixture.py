"""`Mixture`: the weights of all operations, an argument of every forward pass of a supernet.

Alpha, one-hot paths, coalitions and masks all become a mixture: one weight for each (edge,
operation), and which of them are computed at all. Masking an operation makes a new mixture, so
nothing has to be restored afterwards. Next: `supernet.py` computes mixtures, `probe.py` measures
them.
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
"""For each edge the (column, weight) of every operation that is computed."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """One weight for each operation of each edge, and which operations are computed.

    `weights` (edges x operations) may carry gradient and may live on any device. `active` is
    boolean, of the same shape, always on the CPU: an operation that is not active is skipped, which
    equals a weight of zero. An edge without an active operation contributes zero (its weights are
    ignored).

    Example: `supernet(images, Mixture.softmax(alpha, subspace))`
    """

    weights: Float[Tensor, "edges ops"]
    active: Bool[Tensor, "edges ops"]

    @classmethod
    def softmax(cls, logits: Float[Tensor, "edges ops"], subspace: Subspace) -> Self:
        """Returns the softmax of `logits` over the alive operations of each edge (DARTS, eq. 2)."""
        mask = subspace.mask
        alive = mask.to(logits.device)
        # The softmax of a row of -inf is NaN, and so is its gradient. A row without an alive
        # operation therefore gets finite logits (zeros), and its weights become zero at the end.
        filled = logits.masked_fill(~alive, -torch.inf).masked_fill(
            ~alive.any(-1, keepdim=True), 0.0
        )
        return cls(torch.softmax(filled, -1) * alive, mask)

    @classmethod
    def uniform(cls, subspace: Subspace) -> Self:
        """Returns equal weights for the alive operations of each edge; rows sum to one."""
        mask = subspace.mask
        return cls(mask / mask.sum(-1, keepdim=True).clamp(min=1), mask)

    @classmethod
    def of(cls, architecture: Architecture) -> Self:
        """Returns the path of `architecture`: weight one where chosen, all others skipped."""
        mask = torch.tensor(architecture.table(), dtype=torch.bool)
        return cls(mask.float(), mask)

    @property
    def terms(self) -> Terms:
        """(column, weight) of the active operations of each edge; weights are scalar tensors.

        The table is unbound once for all cells that read it, without a copy to the host.
        """
        return terms_of(self.weights, self.active)

    def detach(self) -> Self:
        """Returns the mixture with the same weights, without gradient."""
        return type(self)(self.weights.detach(), self.active)

    def to(self, place: torch.device | str | torch.dtype) -> Self:
        """Returns the mixture with its weights on another device or in another precision.

        `active` stays on the CPU, where Python loops read it.
        """
        return type(self)(self.weights.to(place, non_blocking=True), self.active)

    def without(self, edge: int, operation: int) -> Self:
        """Returns the mixture without one operation; the others keep their weights."""
        return self.without_all([(edge, operation)])

    def without_all(self, players: Iterable[tuple[int, int]]) -> Self:
        """Returns the mixture without several (edge, operation); the others keep their weights."""
        keep = torch.ones_like(self.active)
        for edge, operation in players:
            keep[edge, operation] = False
        return self.masked(keep)

    def only(self, edge: int, operation: int) -> Self:
        """Returns the mixture with only `operation` on `edge`, at weight one; other edges stay."""
        active = self.active.clone()
        active[edge] = False
        active[edge, operation] = True
        forced = torch.zeros_like(self.weights)
        forced[edge, operation] = 1.0
        unchanged = torch.ones_like(self.weights)
        unchanged[edge] = 0.0
        return type(self)(self.weights * unchanged + forced, active)

    def masked(self, keep: Bool[Tensor, "edges ops"]) -> Self:
        """Returns the mixture of the operations in `keep` (on the CPU), without renormalisation."""
        return type(self)(self.weights * keep.to(self.weights.device), self.active & keep)


def terms_of(
    weights: Float[Tensor, "edges ops *mixtures"], active: Bool[Tensor, "edges ops"]
) -> Terms:
    """Returns `Mixture.terms` of one mixture, or of several with the same active operations.

    For several mixtures each weight is a vector with an entry for each of them.

    Example: `terms_of(torch.stack([first.weights, second.weights], -1), first.active)`
    """
    rows = [row.unbind() for row in weights.unbind()]
    return [
        [(column, row[column]) for column, is_active in enumerate(flags) if is_active]
        for row, flags in zip(rows, active.tolist(), strict=True)
    ]
