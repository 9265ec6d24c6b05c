"""Several mixtures measured in one pass: how many, and what the cells are told of them.

A pass of few images costs as much in calls as in arithmetic. So the images of several mixtures go
through together, one mixture's after the other's, where the operations that they compute are nearly
the same: what one of them leaves out has the weight zero there and is computed all the same.

Such passes run side by side, each on one thread: threads that share every small sum of one pass
wait for each other more than they gain.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Mixture
from nastk.spaces import Measure, Terms, terms_of

Logits = Float[Tensor, "batch classes"]

POSITIONS = 98_304
"""Positions of all maps of a pass at most; beyond that calls are no cost any more."""
SHARE = 0.75
"""The part of what is computed that must be wanted."""
SIDES = 8
"""Passes side by side at most: a tenth of each is Python, where only one goes on at a time."""


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


def sides() -> int:
    """How many passes to run side by side: one on each of torch's threads, up to `SIDES`."""
    return min(torch.get_num_threads(), SIDES)


def evenly(length: int, most: int) -> int:
    """How many of `length` to take first: parts as few as can be, and of nearly one length.

    Example: `evenly(10, 8)` is 5
    """
    return -(-length // -(-length // most))


def side_by_side(work: Measure, parts: Sequence[Sequence[Mixture]]) -> list[Logits]:
    """The answers for each part in turn, without gradients; each part has a thread of its own.

    Torch uses one thread inside each, and afterwards as many as before.
    """
    threads = torch.get_num_threads()
    kind, reduced = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

    def alone(part: Sequence[Mixture]) -> Sequence[Logits]:
        torch.set_num_threads(1)
        # A new thread knows nothing of these.
        with torch.no_grad(), torch.autocast("cpu", dtype=kind, enabled=reduced):
            return work(part)

    try:
        with ThreadPoolExecutor(len(parts)) as pool:
            return [logits for some in pool.map(alone, parts) for logits in some]
    finally:
        torch.set_num_threads(threads)


def shares(mixtures: Sequence[Mixture], number: int) -> list[Sequence[Mixture]]:
    """The mixtures in their order, in at most `number` parts of nearly one length."""
    length = -(-len(mixtures) // number)
    return [mixtures[place : place + length] for place in range(0, len(mixtures), length)]
