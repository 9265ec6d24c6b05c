"""All 1x1 convolutions with norms that enter one node, as small matrices: `Projections`.

Each term costs two products with its map, forward (its covariance, its part of the sum) and three
on the way back; everything else is done for all of them at once, on matrices of channels by
channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.nn import BatchNorm, Matrix, Moments, Statistics, maps, moments, positions

State = Float[Tensor, "batch _channels height width"]


@dataclass(frozen=True, eq=False)
class Projections:
    """The terms of a node that end with a 1x1 convolution and a norm.

    `moments` are mean and covariance of each map; None where all statistics were frozen.
    `output_means` and `variances` are those of the convolutions' outputs.

    Example: `Projections.of(maps, kernels, norms).add_to(None, weights)`
    """

    matrices: Sequence[Matrix]
    kernels: Float[Tensor, "terms out in"]
    epsilon: float
    output_means: Float[Tensor, "terms out"]
    variances: Float[Tensor, "terms out"]
    moments: Moments | None
    shape: torch.Size

    @classmethod
    def of(
        cls,
        states: Sequence[State],
        kernels: Sequence[Tensor],
        norms: Sequence[BatchNorm],
        known: Moments | None = None,
    ) -> "Projections":
        """Called before the sum: finds the statistics, or takes those that are frozen or known."""
        matrices = [positions(each) for each in states]
        stacked = torch.stack([each.flatten(1) for each in kernels])
        frozen = [norm.frozen for norm in norms]
        kept = [each for each in frozen if each is not None]
        if len(kept) == len(norms):
            output_means = torch.stack([each.mean for each in kept])
            variances = torch.stack([each.variance for each in kept])
        else:
            known = known or _moments(matrices)
            output_means = (stacked @ known[0][:, :, None])[:, :, 0]
            variances = ((stacked @ known[1]) * stacked).sum(2).clamp_(min=0)
            for place, norm in enumerate(norms):
                norm.keep(Statistics(output_means[place], variances[place]))
        return cls(matrices, stacked, norms[0].eps, output_means, variances, known, states[0].shape)

    @property
    def roots(self) -> Float[Tensor, "terms out"]:
        """One over the standard deviation of each output."""
        return torch.rsqrt(self.variances + self.epsilon)

    def add_to(self, total: State | None, weights: Float[Tensor, "terms"]) -> State:
        """Called once: `total` with the weighted terms added, into `total` itself."""
        scales = weights[:, None] * self.roots
        scaled = self.kernels * scales[:, :, None]
        shift = -(scales * self.output_means).sum(0)
        running = None if total is None else positions(total)
        for matrix, kernel in zip(self.matrices, scaled.mT.unbind(), strict=True):
            running = matrix @ kernel if running is None else running.addmm_(matrix, kernel)
        assert running is not None
        return maps(running.add_(shift), self.shape)


def _moments(matrices: Sequence[Matrix]) -> Moments:
    found = [moments(each) for each in matrices]
    return torch.stack([mean for mean, _ in found]), torch.stack([spread for _, spread in found])
