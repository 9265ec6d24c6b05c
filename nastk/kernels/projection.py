"""All 1x1 convolutions with norms that enter one node, as small matrices: `Projections`.

Each term costs two products with its map, forward (its covariance, its part of the sum) and three
on the way back; everything else is done for all of them at once, on matrices of channels by
channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.norms import BatchNorm, Statistics

State = Float[Tensor, "batch _channels height width"]
Matrix = Float[Tensor, "positions _channels"]


def positions(x: State) -> Matrix:
    """`x` as a matrix with one row for each image and position; a view where channels are last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def maps(matrix: Matrix, like: torch.Size) -> State:
    """The inverse of `positions`, for maps of the batch, height and width of `like`."""
    batch, _, height, width = like
    return matrix.view(batch, height, width, -1).permute(0, 3, 1, 2)


def column_sums(x: Matrix) -> Float[Tensor, "_channels"]:
    """The sum over all positions; as a product it is up to three times as fast as by `sum`."""
    return torch.mv(x.t(), _ones(len(x), x.dtype))


@lru_cache(maxsize=16)
def _ones(length: int, dtype: torch.dtype) -> Tensor:
    return torch.ones(length, dtype=dtype)


@dataclass(frozen=True, eq=False)
class Projections:
    """The terms of a node that end with a 1x1 convolution and a norm.

    `means` and `covariances` are those of the maps; None where all statistics were frozen.
    `variances` are those of the convolutions' outputs.

    Example: `Projections.of(maps, kernels, norms).add_to(None, weights)`
    """

    matrices: Sequence[Matrix]
    kernels: Float[Tensor, "terms out in"]
    epsilon: float
    output_means: Float[Tensor, "terms out"]
    variances: Float[Tensor, "terms out"]
    means: Float[Tensor, "terms in"] | None
    covariances: Float[Tensor, "terms in in"] | None
    shape: torch.Size

    @classmethod
    def of(
        cls, states: Sequence[State], kernels: Sequence[Tensor], norms: Sequence[BatchNorm]
    ) -> "Projections":
        """Called before the sum: finds the statistics, or takes those that are frozen."""
        matrices = [positions(each) for each in states]
        stacked = torch.stack([each.flatten(1) for each in kernels])
        frozen = [norm.frozen for norm in norms]
        kept = [each for each in frozen if each is not None]
        means = covariances = None
        if len(kept) == len(norms):
            output_means = torch.stack([each.mean for each in kept])
            variances = torch.stack([each.variance for each in kept])
        else:
            means, covariances = _moments(matrices)
            output_means = (stacked @ means[:, :, None])[:, :, 0]
            variances = ((stacked @ covariances) * stacked).sum(2).clamp_(min=0)
            for place, norm in enumerate(norms):
                norm.keep(Statistics(output_means[place], variances[place]))
        return cls(
            matrices, stacked, norms[0].eps, output_means, variances, means, covariances,
            states[0].shape,
        )  # fmt: skip

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


def _moments(
    matrices: Sequence[Matrix],
) -> tuple[Float[Tensor, "terms in"], Float[Tensor, "terms in in"]]:
    """Mean and covariance of the rows of each matrix."""
    share = 1 / len(matrices[0])
    means = torch.stack([column_sums(each) for each in matrices]) * share
    products = torch.stack([each.t() @ each for each in matrices])
    covariances = torch.baddbmm(products, means[:, :, None], means[:, None], beta=share, alpha=-1)
    return means, covariances
