"""What the supernet trains under: every living operation at the same constant weight."""

from typing import Literal

import torch

from nastk import Edge, Mixture, Subspace

Mix = Literal["original", "remaining"]


def constant_mixture(edges: tuple[Edge, ...], subspace: Subspace, mix: Mix = "original") -> Mixture:
    """1 / (operations of the edge) for each living operation, also counting those that are gone.

    The authors divide by this `original` number to the end, so the mixture grows quieter as it
    shrinks; `remaining` divides by those alive. The dead are not computed at all.
    """
    if mix == "remaining":
        return Mixture.uniform(subspace)
    mask = subspace.mask
    numbers = torch.tensor([[float(len(edge.operations))] for edge in edges])
    return Mixture(mask / numbers, mask)
