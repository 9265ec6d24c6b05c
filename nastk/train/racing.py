"""`race`: the most accurate of several contestants, without measuring all of them on all images.

All contestants are measured on a first portion of the images. Those that may still be the best are
measured on further portions, each as large as all before together, until one is left or no images
are left. After each portion an exact test of paired differences (the sign test) eliminates
contestants that are worse than the leader.

Let contestant a and leader b be measured on the same images. The test uses the n images on which
exactly one of them is correct, and the number w of these on which b is. If a is at least as
accurate as b, b is the correct one with probability at most 1/2, so w or more has a probability of
at most

    tail(n, w) = 2^-n sum_{k >= w} (n choose k).

a is eliminated if tail(n, w) <= error / ((K - 1) R), for K contestants and R portions. By a union
bound over the (K - 1) R tests that the best contestant can fail, whoever leads, it is eliminated
with probability at most `error`. (This assumes independent images; batch statistics of norms make
the images of a batch slightly dependent.) If no images are left, the most accurate of the remaining
contestants on all images wins.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb

import torch
from jaxtyping import Bool
from torch import Tensor

Hits = Callable[[Sequence[int], int], Bool[Tensor, "contestants images"]]
"""`hits(numbers, portion)`: True where a contestant is right on an image of the portion."""


@dataclass(frozen=True)
class Standing:
    """Result of contestant `number`: its accuracy (0..1) on the `images` it was measured on."""

    number: int
    accuracy: float
    images: int


def race(contestants: int, portions: int, hits: Hits, error: float) -> list[Standing]:
    """Returns all contestants, best first: those eliminated later precede those eliminated earlier.

    Contestants eliminated together are sorted by accuracy; ties keep their order. `hits` is called
    once for each portion, with the remaining contestants. `error` bounds the probability that the
    best contestant is eliminated.

    Example: `race(3, 2, lambda numbers, portion: right[numbers][:, portion], 0.05)[0].number`
    """
    alive = list(range(contestants))
    correct = torch.zeros(contestants, 0, dtype=torch.bool)  # alive contestants x images so far
    finished: list[Standing] = []
    level = error / max((contestants - 1) * portions, 1)
    for portion in range(portions):
        correct = torch.cat([correct, hits(alive, portion)], 1)
        scores = correct.sum(1)
        leader = int(scores.argmax())  # the first of equals
        eliminated = [
            row != leader and told_apart(correct[leader], correct[row], level)
            for row in range(len(alive))
        ]
        finished = [*_standings(alive, correct, eliminated), *finished]
        kept = [row for row, is_eliminated in enumerate(eliminated) if not is_eliminated]
        alive, correct = [alive[row] for row in kept], correct[kept]
        if len(alive) == 1:
            break
    return [*_standings(alive, correct, [True] * len(alive)), *finished]


def told_apart(better: Bool[Tensor, "images"], other: Bool[Tensor, "images"], level: float) -> bool:
    """True if `better` is significantly more accurate than `other` at this level."""
    wins, losses = int((better & ~other).sum()), int((other & ~better).sum())
    return tail(wins + losses, wins) <= level


def tail(tosses: int, heads: int) -> float:
    """Returns the probability of at least `heads` heads in so many tosses of a fair coin.

    >>> tail(3, 0), tail(3, 2), tail(10, 10)
    (1.0, 0.5, 0.0009765625)
    """
    if heads <= 0:
        return 1.0
    if 2 * heads <= tosses:  # sum the shorter side, whose terms decrease
        return 1.0 - tail(tosses, tosses - heads + 1)
    term = comb(tosses, heads) / 2**tosses  # Python integers, so the quotient is exact to rounding
    total = 0.0
    for k in range(heads, tosses + 1):
        total += term
        term *= (tosses - k) / (k + 1)
        if term < 1e-17 * total:
            break
    return min(total, 1.0)


def doubling(batches: int, first: int) -> list[int]:
    """Returns the batches in each portion: `first`, then as many as all before together.

    >>> doubling(40, 4), doubling(3, 4)
    ([4, 4, 8, 16, 8], [3])
    """
    sizes: list[int] = []
    while (done := sum(sizes)) < batches:
        sizes.append(min(done or first, batches - done))
    return sizes


def _standings(
    alive: Sequence[int], correct: Bool[Tensor, "contestants images"], leaving: Sequence[bool]
) -> Iterator[Standing]:
    """Yields the results of the contestants that are leaving, the most accurate first."""
    scores, images = correct.sum(1).tolist(), correct.shape[1]
    order = sorted(range(len(alive)), key=lambda row: -scores[row])
    for row in order:
        if leaving[row]:
            yield Standing(alive[row], scores[row] / max(images, 1), images)
