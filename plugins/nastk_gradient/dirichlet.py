"""The Dirichlet distributions of DrNAS: one for each edge, over the operations that are alive."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Dirichlet

from nastk import Mixture, Subspace
from nastk.base import seeded


def concentration(beta: Float[Tensor, "edges ops"]) -> Float[Tensor, "edges ops"]:
    """elu(beta) + 1 in float64: positive, and one where beta is zero (Chen et al. 2021)."""
    # In float32 it would be zero from -17 on, and no distribution.
    return F.elu(beta.double()) + 1


def mean(beta: Float[Tensor, "edges ops"], subspace: Subspace) -> Mixture:
    """The expected mixture: each concentration over its edge's sum."""
    alive = subspace.mask
    shares = concentration(beta) * alive.to(beta.device)
    shares = shares / shares.sum(-1, keepdim=True).clamp(min=1e-12)
    return Mixture(shares.to(beta.dtype), alive)


def sample(beta: Float[Tensor, "edges ops"], subspace: Subspace, rng: torch.Generator) -> Mixture:
    """One mixture drawn from the distributions; its gradient reaches `beta` along the draw.

    A Dirichlet sample restricted to some operations and scaled to one is a sample of theirs alone,
    so all edges are drawn at once, whatever is alive on them.
    """
    alive = subspace.mask
    parameters = torch.where(alive, concentration(beta).cpu(), 1.0)
    seed = int(torch.randint(2**62, (), generator=rng))
    # torch draws Dirichlet samples from its global stream only: give it ours, and its own back.
    with seeded(seed, torch.device("cpu")):
        drawn = Dirichlet(parameters).rsample() * alive
    shares = drawn / drawn.sum(-1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    return Mixture(shares.to(beta.device, beta.dtype), alive)


def divergence(beta: Float[Tensor, "edges ops"], subspace: Subspace) -> Float[Tensor, ""]:
    """KL(Dirichlet(elu(beta) + 1) || Dirichlet(1)), summed over the edges with something alive."""
    alive = subspace.mask.to(beta.device)
    # A dead operation's 1 is taken out of each sum again; its own terms are zero.
    parameters = torch.where(alive, concentration(beta), 1.0)
    some = alive.any(-1)
    count = alive.sum(-1).clamp(min=1).double()
    total = torch.where(some, (parameters * alive).sum(-1), 1.0)
    spread = (parameters - 1) * (torch.digamma(parameters) - torch.digamma(total)[:, None])
    each = (
        torch.lgamma(total)
        - torch.lgamma(count)
        - torch.lgamma(parameters).sum(-1)
        + (spread * alive).sum(-1)
    )
    return (each * some).sum()
