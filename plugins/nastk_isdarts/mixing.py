"""The training mixture of IS-DARTS: every alive operation of an edge has the same weight."""

from typing import Literal

import torch

from nastk import Edge, Mixture, Subspace

Mix = Literal["original", "remaining"]


def constant_mixture(edges: tuple[Edge, ...], subspace: Subspace, mix: Mix = "original") -> Mixture:
    """Returns the mixture in which each alive operation weighs 1 / (operations of its edge).

    `original` also counts the operations that were removed, as the authors' code does, so the sum
    of an edge's weights falls as it shrinks. `remaining` counts the alive ones. Dead operations are
    not computed.
    """
    if mix == "remaining":
        return Mixture.uniform(subspace)
    mask = subspace.mask
    numbers = torch.tensor([[float(len(edge.operations))] for edge in edges])
    return Mixture(mask / numbers, mask)
