"""The Dirichlet distributions of DrNAS: each edge has one, over its alive operations."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Dirichlet

from nastk import Mixture, Subspace
from nastk.base import seeded


def concentration(beta: Float[Tensor, "edges ops"]) -> Float[Tensor, "edges ops"]:
    """Returns elu(beta) + 1 in float64: positive, and 1 where beta is 0 (Chen et al. 2021)."""
    # In float32 it rounds to 0 for beta below -17, and a Dirichlet needs positive parameters.
    return F.elu(beta.double()) + 1


def mean(beta: Float[Tensor, "edges ops"], subspace: Subspace) -> Mixture:
    """Returns the expected mixture: each concentration divided by the sum of its edge."""
    alive = subspace.mask
    shares = concentration(beta) * alive.to(beta.device)  # edges x operations
    shares = shares / shares.sum(-1, keepdim=True).clamp(min=1e-12)
    return Mixture(shares.to(beta.dtype), alive)


def sample(beta: Float[Tensor, "edges ops"], subspace: Subspace, rng: torch.Generator) -> Mixture:
    """Returns a mixture drawn from the distributions; its gradient reaches `beta` along the draw.

    A Dirichlet sample restricted to some operations and scaled to sum to one is a Dirichlet sample
    over these operations alone. So all edges are drawn in one call and dead operations are dropped.
    """
    alive = subspace.mask
    parameters = torch.where(alive, concentration(beta).cpu(), 1.0)  # edges x operations
    seed = int(torch.randint(2**62, (), generator=rng))
    # torch samples Dirichlet from its global stream only: seed it from `rng`, then restore it.
    with seeded(seed, torch.device("cpu")):
        drawn = Dirichlet(parameters).rsample() * alive
    shares = drawn / drawn.sum(-1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    return Mixture(shares.to(beta.device, beta.dtype), alive)


def divergence(beta: Float[Tensor, "edges ops"], subspace: Subspace) -> Float[Tensor, ""]:
    """Returns KL(Dirichlet(elu(beta) + 1) || Dirichlet(1)), summed over edges not yet empty.

    With k alive operations of concentration c_o and c their sum, an edge contributes

        log G(c) - log G(k) - sum_o log G(c_o) + sum_o (c_o - 1) * (digamma(c_o) - digamma(c))

    where G is the gamma function.
    """
    alive = subspace.mask.to(beta.device)
    # Dead operations get concentration 1, so that log G(1) and (1 - 1) * digamma add zeros; the
    # sums `count` and `total` leave them out.
    parameters = torch.where(alive, concentration(beta), 1.0)
    nonempty = alive.any(-1)  # edges
    count = alive.sum(-1).clamp(min=1).double()
    total = torch.where(nonempty, (parameters * alive).sum(-1), 1.0)
    spread = (parameters - 1) * (torch.digamma(parameters) - torch.digamma(total)[:, None])
    divergences = (  # edges
        torch.lgamma(total)
        - torch.lgamma(count)
        - torch.lgamma(parameters).sum(-1)
        + (spread * alive).sum(-1)
    )
    return (divergences * nonempty).sum()
