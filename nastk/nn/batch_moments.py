"""Sums over the positions of a map, in single precision without its error: `statistics` and more.

A map has tens of thousands of positions, and a sum that takes one after the other in single
precision loses digits with each: five of seven are left, and gradients of norms lose more. Here
pieces of about a thousand positions are summed, and the pieces in double precision.
"""

from math import prod
from typing import NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor

State = Float[Tensor, "batch _channels height width"]
Matrix = Float[Tensor, "positions _channels"]
Moments = tuple[Float[Tensor, "*terms in"], Float[Tensor, "*terms in in"]]
"""Mean and covariance of the rows of a matrix, or of several."""

Groups = tuple[int, ...]
"""How many groups the rows or images are of, of equal length one after the other; none: one."""

PIECE = 1024
"""Positions that are summed in single precision."""


class Statistics(NamedTuple):
    """Mean and (biased) variance of each channel over all else, perhaps for groups of images."""

    mean: Float[Tensor, "*groups channels"]
    variance: Float[Tensor, "*groups channels"]

    @classmethod
    def of(cls, x: Float[Tensor, "batch channels *_positions"]) -> Self:
        """Those of `x`."""
        around = [axis for axis in range(x.ndim) if axis != 1]
        mean = x.mean(around, keepdim=True)
        return cls(mean.flatten(), (x - mean).square().mean(around))


def positions(x: State) -> Matrix:
    """`x` as a matrix with one row for each image and position; a view where channels are last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def maps(matrix: Float[Tensor, "*groups positions _channels"], like: torch.Size) -> State:
    """The inverse of `positions`, for maps of the batch, height and width of `like`."""
    batch, _, height, width = like
    return matrix.view(batch, height, width, -1).permute(0, 3, 1, 2)


def pieces(x: Matrix, groups: int = 1) -> Float[Tensor, "pieces _positions _channels"]:
    """The rows of `x` in pieces of some `PIECE` rows each, where they can be divided so.

    No piece has rows of two groups, where `x` has `groups` of equal length one after the other.
    """
    number = _divided(len(x) // groups, PIECE)
    return x.view(groups * number, -1, x.shape[1])


def column_sums(x: Matrix) -> Float[Tensor, "_channels"]:
    """The sum over all positions."""
    return pieces(x).sum(1).double().sum(0).to(x.dtype)


def moments(x: Matrix, groups: Groups = ()) -> Moments:
    """Mean and covariance of the rows; of those of each group, where `groups` says how many."""
    count = prod(groups)
    parts = pieces(x, count)
    number = len(parts) // count
    share = count / len(x)
    mean = parts.sum(1).double().view(*groups, number, -1).sum(-2) * share
    products = torch.bmm(parts.mT, parts).double().view(*groups, number, *[x.shape[1]] * 2).sum(-3)
    covariance = products * share - mean[..., None] * mean[..., None, :]
    return mean.to(x.dtype), covariance.to(x.dtype)


def statistics(x: State, groups: Groups = ()) -> Statistics:
    """Mean and variance of each channel; in each group of images, where there are `groups`."""
    count = prod(groups)
    found = [_series(part) for part in positions(x).view(count, -1, x.shape[1])]
    shape = (*groups, -1, x.shape[1])
    means, spreads = (torch.cat(each).double().view(shape) for each in zip(*found, strict=True))
    between, mean = torch.var_mean(means, -2, correction=0)
    return Statistics(mean.to(x.dtype), (spreads.mean(-2) + between).to(x.dtype))


def _series(x: Matrix) -> tuple[Tensor, Tensor]:
    """Means and variances of the rows dealt out in turn to series of some 4,096 rows each.

    Torch takes them of all columns of a map at once; here columns of its rows put side by side.
    """
    number = _divided(len(x), 4 * PIECE)
    rows = len(x) // number
    # A map of one position would count as one whose channels come first.
    height = 2 if rows % 2 == 0 else 1
    side_by_side = x.view(rows // height, height, 1, -1).permute(0, 3, 1, 2)
    mean, variance, *_ = torch.ops.aten.batch_norm_update_stats(side_by_side, None, None, 0.0)
    return mean, variance


def _divided(length: int, most: int) -> int:
    """The power of two that divides `length` into parts of `most`, or as near as it can be."""
    number = 1
    while length // number > most and length % (2 * number) == 0:
        number *= 2
    return number
