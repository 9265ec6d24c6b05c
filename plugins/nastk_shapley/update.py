"""The update of alpha by Shapley values: equations (6) and (7) of Xiao et al., by cell type.

    s <- momentum * s + (1 - momentum) * normalised(phi)          (7)
    alpha <- alpha + step_size * s / ||s||_2                      (6)

The paper normalises phi by its L2 norm. The authors' code uses z-scores, and does not normalise s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nastk import Edge

Normalisation = Literal["l2", "zscore", "none"]

# A standard deviation below this fraction of the largest entry is rounding, which a z-score would
# blow up.
SPREAD = 1e-12


@dataclass(frozen=True)
class UpdateRule:
    """One step of alpha along a momentum average of normalised Shapley values.

    Example: `alpha, s = UpdateRule().step(alpha, s, phi, subspace.mask, cell_types(space.edges))`
    """

    momentum: float = 0.8
    step_size: float = 0.1
    normalise: Normalisation = "l2"
    normalise_momentum: bool = True

    def step(
        self,
        alpha: Float[Tensor, "edges ops"],
        average: Float[Tensor, "edges ops"],
        values: Float[Tensor, "edges ops"],
        players: Bool[Tensor, "edges ops"],
        types: Sequence[Sequence[int]],
    ) -> tuple[Float[Tensor, "edges ops"], Float[Tensor, "edges ops"]]:
        """Returns the next alpha and momentum average; `types` lists the edges of each cell type.

        Entries that are no players (padding, removed operations) do not change, and are in no norm.
        """
        alpha, average = alpha.clone(), average.clone()
        for rows in types:
            member = torch.zeros_like(players)
            member[list(rows)] = players[list(rows)]  # the players of this cell type
            fresh = normalised(values[member], self.normalise)
            average[member] = self.momentum * average[member] + (1 - self.momentum) * fresh
            direction = normalised(average[member], "l2" if self.normalise_momentum else "none")
            alpha[member] += self.step_size * direction
        return alpha, average


def charged(
    values: Float[Tensor, "edges ops"],
    costs: Float[Tensor, "edges ops"] | None,
    penalty: float,
) -> Float[Tensor, "edges ops"]:
    """Returns phi - penalty * costs, the values by which alpha moves once they are normalised.

    It is not in the paper. Without a penalty or a limit the values do not change.
    """
    return values if costs is None or penalty == 0 else values - penalty * costs.to(values)


def normalised(entries: Float[Tensor, "players"], how: Normalisation) -> Float[Tensor, "players"]:
    """Returns `entries` at L2 norm 1, or as z-scores (sample standard deviation), or unchanged.

    With "l2" zeros stay zeros; with "zscore" equal entries become zeros.
    """
    if how == "none" or entries.numel() == 0:
        return entries
    if how == "l2":
        # Divided by the largest entry first, so that no square under- or overflows.
        scaled = entries / entries.abs().max().clamp(min=torch.finfo(entries.dtype).tiny)
        length: Tensor = torch.linalg.vector_norm(scaled)
        return scaled / length.clamp(min=1.0)
    spread = entries.std(correction=1) if entries.numel() > 1 else entries.new_zeros(())
    if spread <= SPREAD * entries.abs().max():
        return torch.zeros_like(entries)
    return (entries - entries.mean()) / spread


def cell_types(edges: Sequence[Edge]) -> list[list[int]]:
    """Returns the edges of each cell type (`Edge.group`), in the order in which types appear."""
    groups: dict[str, list[int]] = {}
    for number, edge in enumerate(edges):
        groups.setdefault(edge.group, []).append(number)
    return list(groups.values())
