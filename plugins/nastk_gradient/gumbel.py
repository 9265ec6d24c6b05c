"""Gumbel's trick: sampling from a softmax by adding noise to its logits, so that slopes pass.

The largest of logits plus Gumbel noise is an operation drawn with the probabilities of their
softmax; a softmax at temperature tau in place of the maximum is SNAS's sample, the maximum with the
softmax's slope GDAS's. `proxyless.py` draws its paths by the same noise.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Mixture, Subspace


def gumbel(shape: Sequence[int], rng: torch.Generator) -> Float[Tensor, "edges ops"]:
    """Standard Gumbel noise, -log(E) with E exponential, on the CPU."""
    waiting = torch.empty(tuple(shape)).exponential_(generator=rng)
    return -waiting.clamp(min=torch.finfo(torch.float32).tiny).log()


def annealed(start: float, end: float, epoch: int, last: int) -> float:
    """A temperature on the straight line from `start` (epoch 0) to `end` (epoch `last`).

    >>> annealed(10.0, 0.1, 0, 249), round(annealed(1.0, 0.1, 15, 60), 3), annealed(1.0, 0.1, 9, 9)
    (10.0, 0.775, 0.1)
    """
    done = min(epoch / last, 1.0) if last > 0 else 0.0
    return end if done == 1.0 else start + (end - start) * done


def relaxed(
    alpha: Float[Tensor, "edges ops"],
    subspace: Subspace,
    temperature: float,
    noise: Float[Tensor, "edges ops"],
) -> Mixture:
    """softmax((alpha + noise) / temperature) over what is alive; differentiable in `alpha`."""
    return Mixture.softmax((alpha + noise.to(alpha.device)) / temperature, subspace)


def straight_through(soft: Mixture) -> Mixture:
    """One operation of weight one on each edge, the largest of `soft`, with the slope of `soft`.

    Nothing else is active, so an edge's slope is that of its drawn operation's weight alone.
    """
    largest = soft.weights.detach().argmax(-1, keepdim=True)
    drawn = torch.zeros_like(soft.weights).scatter(-1, largest, 1.0)
    drawn = drawn * soft.active.to(drawn.device)
    # The difference is zero to the bit, so that the drawn weights are exactly one.
    return Mixture(drawn + (soft.weights - soft.weights.detach()), drawn.bool().cpu())
