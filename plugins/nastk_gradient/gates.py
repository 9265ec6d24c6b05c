"""The binary gates of ProxylessNAS: which paths are open, and what their slopes say to alpha.

Source: Cai, Zhu and Han, ICLR 2019, section 3.2, and the two-path mode of the authors' `mix_op.py`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nastk import Mixture, Subspace
from nastk_gradient.gumbel import gumbel

Table = Float[Tensor, "edges ops"]
Players = Bool[Tensor, "edges ops"]


def path(alpha: Table, subspace: Subspace, rng: torch.Generator) -> Mixture:
    """One operation an edge, drawn with the probabilities of softmax(alpha)."""
    drawn = _largest(_noisy(alpha, subspace.mask, rng), subspace.mask, 1)
    return Mixture(drawn.to(alpha.device, alpha.dtype), drawn)


def two_paths(alpha: Table, subspace: Subspace, rng: torch.Generator) -> tuple[Players, Players]:
    """(two operations an edge, the one of them whose gate is open), both on the CPU.

    The two are drawn one after the other without putting back; which is open is drawn with their
    probabilities rescaled to the two. One where an edge has no more alive.
    """
    both = _largest(_noisy(alpha, subspace.mask, rng), subspace.mask, 2)
    return both, _largest(_noisy(alpha, both, rng), both, 1)


def slope_of_alpha(gates: Table, alpha: Table, both: Players) -> Table:
    """dL/dalpha_i = sum_j dL/dg_j * p_j * ((i = j) - p_i), p the softmax over the two.

    `gates` holds dL/dg. Zero outside of `both`, and where an edge has one operation only.
    """
    shares = _share(alpha, both)
    inside = gates.masked_fill(~both.to(gates.device), 0.0)
    return shares * (inside - (inside * shares).sum(-1, keepdim=True))


def rescaled(new: Table, old: Table, both: Players) -> Table:
    """`new` shifted on `both` so that the two together are as probable as with `old`.

    So the probabilities of the operations that were not drawn stay as they were.
    """
    inside = both.to(new.device)
    before, after = (
        torch.logsumexp(table.masked_fill(~inside, -torch.inf), -1, keepdim=True)
        for table in (old, new)
    )
    return torch.where(inside, new - (after - before), new)


def _noisy(alpha: Table, alive: Players, rng: torch.Generator) -> Table:
    """Logits with Gumbel noise, whose largest are a draw without putting back; on the CPU."""
    logits = alpha.detach().cpu() + gumbel(alpha.shape, rng)
    return logits.masked_fill(~alive, -torch.inf)


def _largest(noisy: Table, alive: Players, count: int) -> Players:
    """The `count` largest of each row that are alive."""
    columns = noisy.topk(min(count, noisy.shape[1]), -1).indices
    return torch.zeros_like(alive).scatter(-1, columns, True) & alive


def _share(alpha: Table, both: Players) -> Table:
    """Softmax of alpha over the operations of `both`, zero elsewhere."""
    return Mixture.softmax(alpha.detach(), Subspace.of(both)).weights
