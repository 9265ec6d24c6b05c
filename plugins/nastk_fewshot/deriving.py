"""The decision in one part of a split space, where edges compete for a node's inputs.

A softmax over 3 of 7 operations has larger weights than one over all 7, so an edge that was split
would always win. Its weights are rescaled as if all 7 operations were alive, the removed ones with
the mean logit of the others.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Architecture, ArchitectureUpdater, Probe, SearchSpace, Subspace


def derived(space: SearchSpace, inner: ArchitectureUpdater, probe: Probe) -> Architecture:
    """Returns the inner updater's decision, on rescaled scores if it decides by shares.

    It decides by shares if the rows of its `scores` sum to one and the space's decision on them is
    its own. Otherwise its decision is returned unchanged.
    """
    architecture, scores = inner.architecture(probe), inner.scores(probe)
    if scores is None or not _are_shares(scores, probe.subspace):
        return architecture
    if space.decide(scores, probe.subspace) != architecture:
        return architecture
    return space.decide(rescale_split_edges(scores, space.full(), probe.subspace), probe.subspace)


def rescale_split_edges(
    scores: Float[Tensor, "edges ops"], full: Subspace, subspace: Subspace
) -> Float[Tensor, "edges ops"]:
    """Returns `scores`, softmaxes over alive operations, as softmaxes over all those of `full`.

    Removed operations count with the mean logit of the alive ones, so p becomes p / (1 + lost * g)
    with g the geometric mean of the alive p. Rows that lost no operation do not change.
    """
    # With logits z and z' = mean(z), the softmax denominator S grows by lost * exp(z'), and
    # exp(z') / S is the geometric mean of exp(z) / S, which is g.
    alive = subspace.mask
    lost = (full.mask.sum(1, keepdim=True) - alive.sum(1, keepdim=True)).to(scores)  # edges x 1
    logits = scores.clamp(min=1e-12).log().masked_fill(~alive, 0.0)
    mean = (logits.sum(1, keepdim=True) / alive.sum(1, keepdim=True).clamp(min=1)).exp()
    return torch.where(lost > 0, scores / (1 + lost * mean), scores)


def _are_shares(scores: Float[Tensor, "edges ops"], subspace: Subspace) -> bool:
    """True if the alive scores of every edge are not negative and sum to one."""
    alive_scores = scores[subspace.mask]
    if not bool(torch.isfinite(alive_scores).all()) or bool((alive_scores < 0).any()):
        return False
    sums = scores.masked_fill(~subspace.mask, 0.0).sum(1)
    return bool(torch.allclose(sums, subspace.mask.any(1).to(sums), atol=1e-4))
