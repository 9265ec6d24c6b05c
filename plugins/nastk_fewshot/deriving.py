"""Reading an architecture from one part of a split space, where edges compete for a node's inputs.

A softmax over 3 of 7 operations has larger weights than one over all 7, so an edge that was split
would always win. Here its weights count as if all 7 were there, the lost ones of average standing.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Architecture, ArchitectureUpdater, Probe, SearchSpace, Subspace


def derived(space: SearchSpace, inner: ArchitectureUpdater, probe: Probe) -> Architecture:
    """The inner updater's decision, its edges on an equal footing where it decides by shares.

    That is where its `scores` are shares of one (rows sum to one) and the space decides on them as
    it does; what others decide is left as it is.
    """
    own, scores = inner.architecture(probe), inner.scores(probe)
    if scores is None or not _shares(scores, probe.subspace):
        return own
    if space.decide(scores, probe.subspace) != own:
        return own
    return space.decide(rescale_split_edges(scores, space.full(), probe.subspace), probe.subspace)


def rescale_split_edges(
    scores: Float[Tensor, "edges ops"], full: Subspace, subspace: Subspace
) -> Float[Tensor, "edges ops"]:
    """`scores`, each row a softmax over what is alive, as a softmax over all of its operations.

    The lost ones count with the mean logit of the living, so p becomes p / (1 + lost * g) with g
    the geometric mean of the living p. Rows that lost nothing stay as they are.
    """
    alive = subspace.mask
    lost = (full.mask.sum(1, keepdim=True) - alive.sum(1, keepdim=True)).to(scores)
    logits = scores.clamp(min=1e-12).log().masked_fill(~alive, 0.0)
    mean = (logits.sum(1, keepdim=True) / alive.sum(1, keepdim=True).clamp(min=1)).exp()
    return torch.where(lost > 0, scores / (1 + lost * mean), scores)


def _shares(scores: Float[Tensor, "edges ops"], subspace: Subspace) -> bool:
    """Whether the living scores of every edge are not negative and sum to one."""
    living = scores[subspace.mask]
    if not bool(torch.isfinite(living).all()) or bool((living < 0).any()):
        return False
    sums = scores.masked_fill(~subspace.mask, 0.0).sum(1)
    return bool(torch.allclose(sums, subspace.mask.any(1).to(sums), atol=1e-4))
