"""Gumbel's trick: differentiable samples from a softmax, by adding noise to its logits.

The largest of logits plus Gumbel noise is an operation drawn with the probabilities of their
softmax. SNAS replaces the maximum by a softmax at temperature tau; GDAS takes the maximum, and the
gradient of that softmax. `proxyless.py` draws its paths with the same noise.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Mixture, Subspace


def gumbel(shape: Sequence[int], rng: torch.Generator) -> Float[Tensor, "edges ops"]:
    """Returns standard Gumbel noise, -log(E) with E exponential, on the CPU."""
    exponential = torch.empty(tuple(shape)).exponential_(generator=rng)
    return -exponential.clamp(min=torch.finfo(torch.float32).tiny).log()


def annealed(start: float, end: float, epoch: int, last: int) -> float:
    """Returns the temperature on the straight line from `start` (epoch 0) to `end` (epoch `last`).

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
    """Returns softmax((alpha + noise) / temperature) over alive operations, with its gradient."""
    return Mixture.softmax((alpha + noise.to(alpha.device)) / temperature, subspace)


def straight_through(soft: Mixture) -> Mixture:
    """Returns weight one on each edge's largest operation of `soft`, with the gradient of `soft`.

    No other operation is active, so an edge's gradient is that of its drawn operation's weight
    alone.
    """
    largest = soft.weights.detach().argmax(-1, keepdim=True)  # edges x 1
    drawn = torch.zeros_like(soft.weights).scatter(-1, largest, 1.0)
    drawn = drawn * soft.active.to(drawn.device)
    # The bracket is exactly zero, so the drawn weights are exactly one; its gradient is soft's.
    return Mixture(drawn + (soft.weights - soft.weights.detach()), drawn.bool().cpu())
