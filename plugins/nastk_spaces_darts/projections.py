"""`Projections`: all 1x1 convolutions with norms that enter one node, as small matrices.

Each term costs two matrix products with its map in the forward pass (its covariance and its part of
the sum) and three in the backward pass. Everything else is done for all terms together, on matrices
of channels x channels.
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

    `matrices` are the terms' maps as matrices of positions x channels, `shape` the shape of a map.
    `moments` are the mean and the covariance of each map, or None if all norms have frozen
    statistics. `output_means` and `variances` are the statistics of the convolutions' outputs.

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
        """Called before the sum: computes the statistics, unless they are frozen or `known`."""
        matrices = [positions(state) for state in states]
        stacked = torch.stack([kernel.flatten(1) for kernel in kernels])  # terms x out x in
        frozen = [norm.frozen for norm in norms]
        kept = [statistics for statistics in frozen if statistics is not None]
        if len(kept) == len(norms):
            output_means = torch.stack([statistics.mean for statistics in kept])
            variances = torch.stack([statistics.variance for statistics in kept])
        else:
            known = known or _moments(matrices)
            # W d has mean W m and variance diag(W C W'): terms x out. Rounding may leave a
            # variance of zero slightly negative.
            output_means = (stacked @ known[0][:, :, None])[:, :, 0]
            variances = ((stacked @ known[1]) * stacked).sum(2).clamp_(min=0)
            for index, norm in enumerate(norms):
                norm.keep(Statistics(output_means[index], variances[index]))
        return cls(matrices, stacked, norms[0].eps, output_means, variances, known, states[0].shape)

    @property
    def roots(self) -> Float[Tensor, "terms out"]:
        """One over the standard deviation of each output channel."""
        return torch.rsqrt(self.variances + self.epsilon)

    def add_to(self, total: State | None, weights: Float[Tensor, "terms"]) -> State:
        """Called once: returns `total` with the weighted terms added, in the memory of `total`."""
        # a r (W d - W m) = (a r W) d - a r W m: a matrix per term, and one shift for all terms.
        scales = weights[:, None] * self.roots  # terms x out
        scaled = self.kernels * scales[:, :, None]  # terms x out x in
        shift = -(scales * self.output_means).sum(0)  # out
        running = None if total is None else positions(total)  # positions x out
        for matrix, kernel in zip(self.matrices, scaled.mT.unbind(), strict=True):
            running = matrix @ kernel if running is None else running.addmm_(matrix, kernel)
        assert running is not None
        return maps(running.add_(shift), self.shape)


def _moments(matrices: Sequence[Matrix]) -> Moments:
    """Returns the means (terms x in) and covariances (terms x in x in) of the matrices' rows."""
    pairs = [moments(matrix) for matrix in matrices]
    return torch.stack([mean for mean, _ in pairs]), torch.stack([spread for _, spread in pairs])
