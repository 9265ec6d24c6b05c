"""The binary gates of ProxylessNAS: drawing the paths, and the gradient that gates give alpha.

Source: Cai, Zhu and Han, ICLR 2019, section 3.2, and the two-path mode of the authors' `mix_op.py`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nastk import Mixture, Subspace
from nastk_gradient.gumbel import gumbel

Table = Float[Tensor, "edges ops"]
Operations = Bool[Tensor, "edges ops"]
"""A set of operations: True for those in it."""


def path(alpha: Table, subspace: Subspace, rng: torch.Generator) -> Mixture:
    """Returns a path: on each edge an operation, drawn with the probabilities softmax(alpha)."""
    drawn = _largest(_noisy(alpha, subspace.mask, rng), subspace.mask, 1)
    return Mixture(drawn.to(alpha.device, alpha.dtype), drawn)


def two_paths(
    alpha: Table, subspace: Subspace, rng: torch.Generator
) -> tuple[Operations, Operations]:
    """Returns (two operations for each edge, the one of them whose gate is open), on the CPU.

    The two are drawn without replacement. The open one is drawn with their probabilities rescaled
    to sum to one. An edge with a single alive operation gets that one only.
    """
    both = _largest(_noisy(alpha, subspace.mask, rng), subspace.mask, 2)
    return both, _largest(_noisy(alpha, both, rng), both, 1)


def slope_of_alpha(gates: Table, alpha: Table, both: Operations) -> Table:
    """Returns dL/dalpha_i = sum_j dL/dg_j * p_j * ((i = j) - p_i), p the softmax over the two.

    `gates` holds dL/dg. The result is zero outside of `both`, and on edges with one operation.
    """
    # The sum over j, taken apart: p_i * (dL/dg_i - sum_j dL/dg_j * p_j).
    shares = _share(alpha, both)  # edges x operations
    inside = gates.masked_fill(~both.to(gates.device), 0.0)
    return shares * (inside - (inside * shares).sum(-1, keepdim=True))


def rescaled(new: Table, old: Table, both: Operations) -> Table:
    """Returns `new` shifted on `both` so that the two together are as probable as under `old`.

    So the probabilities of the operations that were not drawn do not change.
    """
    inside = both.to(new.device)
    before, after = (
        torch.logsumexp(table.masked_fill(~inside, -torch.inf), -1, keepdim=True)
        for table in (old, new)
    )
    return torch.where(inside, new - (after - before), new)


def _noisy(alpha: Table, alive: Operations, rng: torch.Generator) -> Table:
    """Returns logits plus Gumbel noise, on the CPU; its k largest are a draw of k operations."""
    logits = alpha.detach().cpu() + gumbel(alpha.shape, rng)
    return logits.masked_fill(~alive, -torch.inf)


def _largest(noisy: Table, alive: Operations, count: int) -> Operations:
    """Returns the `count` largest alive entries of each row."""
    columns = noisy.topk(min(count, noisy.shape[1]), -1).indices
    return torch.zeros_like(alive).scatter(-1, columns, True) & alive


def _share(alpha: Table, both: Operations) -> Table:
    """Returns the softmax of alpha over the operations of `both`, zero elsewhere."""
    return Mixture.softmax(alpha.detach(), Subspace.of(both)).weights
