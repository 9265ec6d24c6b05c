"""Several mixtures are measured in one pass: how many fit, and what the cells compute for them.

A pass over few images spends as much time on calls as on arithmetic. Therefore the images of
several mixtures go through together, those of one mixture after those of another, if the mixtures
compute nearly the same operations. An operation that one of them leaves out is computed for it all
the same, with weight zero.

Several such passes run in parallel, each on one thread: threads that share the small sums of one
pass wait for each other longer than they save.
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
"""The most image positions in one stacked pass; in larger passes the cost of calls is small."""
SHARE = 0.75
"""The smallest share of computed (mixture, operation) pairs that must be active."""
SIDES = 8
"""The most passes in parallel: a tenth of each is Python, which runs on one thread at a time."""


def alike(mixtures: Sequence[Mixture]) -> int:
    """Returns how many mixtures, from the first on, compute nearly the same operations."""
    union, wanted = mixtures[0].active, 0
    for number, mixture in enumerate(mixtures):
        union = union | mixture.active
        wanted += int(mixture.active.sum())
        if wanted < SHARE * (number + 1) * int(union.sum()):
            return max(number, 1)
    return len(mixtures)


def stacked(mixtures: Sequence[Mixture]) -> Terms:
    """Returns the terms of all mixtures; every weight is a vector with one entry per mixture."""
    # edges x operations x mixtures
    active = torch.stack([mixture.active for mixture in mixtures], -1)
    weights = torch.stack([mixture.weights for mixture in mixtures], -1)
    return terms_of(weights.masked_fill(~active, 0.0), active.any(-1))


def sides() -> int:
    """Returns how many passes to run in parallel: one per torch thread, at most `SIDES`."""
    return min(torch.get_num_threads(), SIDES)


def evenly(length: int, most: int) -> int:
    """Returns the size of a part if `length` is cut into few parts of at most `most`, evenly.

    Example: `evenly(10, 8)` is 5
    """
    return -(-length // -(-length // most))


def side_by_side(work: Measure, parts: Sequence[Sequence[Mixture]]) -> list[Logits]:
    """Runs `work` on every part in a thread of its own, without gradients; returns all logits.

    The logits are in the order of the parts. Torch uses one thread inside each of these threads;
    its number of threads is restored afterwards.
    """
    threads = torch.get_num_threads()
    kind, reduced = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

    def alone(part: Sequence[Mixture]) -> Sequence[Logits]:
        torch.set_num_threads(1)
        # Torch's gradient and autocast modes are per thread, so a new thread has to set them.
        with torch.no_grad(), torch.autocast("cpu", dtype=kind, enabled=reduced):
            return work(part)

    try:
        with ThreadPoolExecutor(len(parts)) as pool:
            return [logits for part in pool.map(alone, parts) for logits in part]
    finally:
        torch.set_num_threads(threads)


def shares(mixtures: Sequence[Mixture], number: int) -> list[Sequence[Mixture]]:
    """Returns the mixtures in their order, cut into at most `number` parts of similar length."""
    length = -(-len(mixtures) // number)
    return [mixtures[start : start + length] for start in range(0, len(mixtures), length)]
