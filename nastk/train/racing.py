"""Choosing the best of several by accuracy, without measuring all of them on all images: `race`.

All are measured on a first portion of the images, and those that may still be the best on further
ones, each as large as all before, until one is left or the images are spent. After each portion
whoever is told apart from the leader is out, by an exact test of paired differences.

Let a and the leader b have been measured on the same images. Only those count that one of them gets
right and the other wrong, n in all, w of them b's. If a is at least as accurate as b, such an image
is b's with probability 1/2 at most, so w or more happens with probability at most

    tail(n, w) = 2^-n sum_{k >= w} (n choose k).

a is out where tail(n, w) <= error / ((K - 1) R), K contestants and R portions: however the leader
came to lead, the best of all is among the (K - 1) R tests that it might fail, so that it is ever
put out has probability `error` at most (images drawn independently; norms that see a batch make
those of one batch depend on each other a little). Where the images are spent, the answer is the
best of those left on all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb

import torch
from jaxtyping import Bool
from torch import Tensor

Hits = Callable[[Sequence[int], int], Bool[Tensor, "contestants images"]]
"""`hits(numbers, portion)`: which images of a portion each of these contestants gets right."""


@dataclass(frozen=True)
class Standing:
    """How contestant `number` did: its accuracy (0..1) on the `images` that it was measured on."""

    number: int
    accuracy: float
    images: int


def race(contestants: int, portions: int, hits: Hits, error: float) -> list[Standing]:
    """The contestants, best first: those that were put out later stand before earlier ones.

    Among those that saw the same images the more accurate stands first; ties keep their order.
    `hits` is asked for one portion after the other, of those who are still in. `error` is the
    probability that the best is put out, at most.

    Example: `race(3, 2, lambda numbers, portion: right[numbers][:, portion], 0.05)[0].number`
    """
    alive = list(range(contestants))
    seen = torch.zeros(contestants, 0, dtype=torch.bool)
    finished: list[Standing] = []
    level = error / max((contestants - 1) * portions, 1)
    for portion in range(portions):
        seen = torch.cat([seen, hits(alive, portion)], 1)
        scores = seen.sum(1)
        leader = int(scores.argmax())  # the first of equals
        out = [
            place != leader and told_apart(seen[leader], seen[place], level)
            for place in range(len(alive))
        ]
        finished = [*_standings(alive, seen, out), *finished]
        kept = [place for place, gone in enumerate(out) if not gone]
        alive, seen = [alive[place] for place in kept], seen[kept]
        if len(alive) == 1:
            break
    return [*_standings(alive, seen, [True] * len(alive)), *finished]


def told_apart(better: Bool[Tensor, "images"], other: Bool[Tensor, "images"], level: float) -> bool:
    """True if `better` is more accurate than `other`, at this level of error."""
    wins, losses = int((better & ~other).sum()), int((other & ~better).sum())
    return tail(wins + losses, wins) <= level


def tail(tosses: int, heads: int) -> float:
    """The probability of `heads` or more in so many tosses of a fair coin.

    >>> tail(3, 0), tail(3, 2), tail(10, 10)
    (1.0, 0.5, 0.0009765625)
    """
    if heads <= 0:
        return 1.0
    if 2 * heads <= tosses:  # from the short side, where terms fall
        return 1.0 - tail(tosses, tosses - heads + 1)
    term = comb(tosses, heads) / 2**tosses  # whole numbers of any size, so exact
    total = 0.0
    for k in range(heads, tosses + 1):
        total += term
        term *= (tosses - k) / (k + 1)
        if term < 1e-17 * total:
            break
    return min(total, 1.0)


def doubling(batches: int, first: int) -> list[int]:
    """How many batches each portion has: `first`, then each time as many as all before, to the end.

    >>> doubling(40, 4), doubling(3, 4)
    ([4, 4, 8, 16, 8], [3])
    """
    sizes: list[int] = []
    while (done := sum(sizes)) < batches:
        sizes.append(min(done or first, batches - done))
    return sizes


def _standings(
    alive: Sequence[int], seen: Bool[Tensor, "contestants images"], leaving: Sequence[bool]
) -> Iterator[Standing]:
    """Those that leave now, the most accurate first."""
    scores, images = seen.sum(1).tolist(), seen.shape[1]
    order = sorted(range(len(alive)), key=lambda place: -scores[place])
    for place in order:
        if leaving[place]:
            yield Standing(alive[place], scores[place] / max(images, 1), images)
