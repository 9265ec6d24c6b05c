"""Several mixtures measured in one pass: how many, and what the cells are told of them.

A pass of few images costs as much in calls as in arithmetic. So the images of several mixtures go
through together, one mixture's after the other's, where the operations that they compute are nearly
the same: what one of them leaves out has the weight zero there and is computed all the same.
"""

from collections.abc import Sequence

import torch

from nastk.mixture import Mixture, Terms, terms_of

POSITIONS = 65_536
"""Positions of all maps of a pass at most; beyond that calls are no cost any more."""
SHARE = 0.75
"""The part of what is computed that must be wanted."""


def alike(mixtures: Sequence[Mixture]) -> int:
    """How many of the mixtures, from the first on, compute nearly the same operations."""
    union, wanted = mixtures[0].active, 0
    for number, mixture in enumerate(mixtures):
        union = union | mixture.active
        wanted += int(mixture.active.sum())
        if wanted < SHARE * (number + 1) * int(union.sum()):
            return max(number, 1)
    return len(mixtures)


def stacked(mixtures: Sequence[Mixture]) -> Terms:
    """What the edges compute for all; every weight is a vector with an entry for each mixture."""
    active = torch.stack([each.active for each in mixtures], -1)
    weights = torch.stack([each.weights for each in mixtures], -1)
    return terms_of(weights.masked_fill(~active, 0.0), active.any(-1))
