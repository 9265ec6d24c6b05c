"""Accurate means, variances and covariances over the positions of a map, at single-precision speed.

A map has tens of thousands of positions (images x height x width). A sum that adds them one by one
in single precision loses a little with each addition: five of seven digits are left, and gradients
of norms lose more. Here pieces of about a thousand positions are summed in single precision, and
the sums of the pieces in double precision.
"""

from math import prod
from typing import NamedTuple, Self

import torch
from jaxtyping import Float
from torch import Tensor

State = Float[Tensor, "batch _channels height width"]
Matrix = Float[Tensor, "positions _channels"]
Moments = tuple[Float[Tensor, "*terms in"], Float[Tensor, "*terms in in"]]
"""Mean and covariance of the rows of a matrix, or of each of several matrices."""

Groups = tuple[int, ...]
"""The shape of the groups into which rows or images are divided; empty for a single group.

Groups have equal length and follow each other: `(2, 3)` are six groups, whose statistics get the
leading axes 2 x 3.
"""

PIECE = 1024
"""The number of positions, about, that are summed in single precision."""


class Statistics(NamedTuple):
    """Mean and biased variance of each channel over images and positions, perhaps by group.

    Example: `Statistics.of(state).mean.shape` is `(channels,)`.
    """

    mean: Float[Tensor, "*groups channels"]
    variance: Float[Tensor, "*groups channels"]

    @classmethod
    def of(cls, x: Float[Tensor, "batch channels *_positions"]) -> Self:
        """Returns the statistics of `x`, computed by torch's own sums, with gradients."""
        other_axes = [axis for axis in range(x.ndim) if axis != 1]
        mean = x.mean(other_axes, keepdim=True)
        return cls(mean.flatten(), (x - mean).square().mean(other_axes))


def positions(x: State) -> Matrix:
    """Returns `x` as a matrix with a row for each image and position.

    It is a view if `x` has channels-last layout.
    """
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def maps(matrix: Float[Tensor, "*groups positions _channels"], like: torch.Size) -> State:
    """Returns maps with the batch, height and width of `like`: the inverse of `positions`."""
    batch, _, height, width = like
    return matrix.view(batch, height, width, -1).permute(0, 3, 1, 2)


def pieces(x: Matrix, groups: int = 1) -> Float[Tensor, "pieces _positions _channels"]:
    """Returns the rows of `x` in pieces of about `PIECE` rows, if their number can be divided so.

    If `x` has several `groups`, of equal length and one after the other, a piece has rows of one
    group only.
    """
    number = _divided(len(x) // groups, PIECE)
    return x.view(groups * number, -1, x.shape[1])  # pieces x rows x channels


def column_sums(x: Matrix) -> Float[Tensor, "_channels"]:
    """Returns the sum over all positions of each channel."""
    return pieces(x).sum(1).double().sum(0).to(x.dtype)  # pieces x rows x channels -> channels


def moments(x: Matrix, groups: Groups = ()) -> Moments:
    """Returns mean and covariance of the rows of `x`, or of each group of its rows."""
    count = prod(groups)
    parts = pieces(x, count)  # (groups * number) x rows x channels
    number = len(parts) // count  # pieces of each group
    share = count / len(x)  # 1 / (rows of a group)
    # groups x number x channels -> groups x channels
    mean = parts.sum(1).double().view(*groups, number, -1).sum(-2) * share
    # sum of x x^T: groups x number x channels x channels -> groups x channels x channels
    products = torch.bmm(parts.mT, parts).double().view(*groups, number, *[x.shape[1]] * 2).sum(-3)
    # Cov = E[x x^T] - E[x] E[x]^T. The difference cancels digits, so it is taken in double.
    covariance = products * share - mean[..., None] * mean[..., None, :]
    return mean.to(x.dtype), covariance.to(x.dtype)


def statistics(x: State, groups: Groups = ()) -> Statistics:
    """Returns mean and variance of each channel of `x`, or of each group of its images."""
    count = prod(groups)
    by_group = [_series_statistics(rows) for rows in positions(x).view(count, -1, x.shape[1])]
    shape = (*groups, -1, x.shape[1])  # groups x series x channels
    means, variances = (
        torch.cat(parts).double().view(shape) for parts in zip(*by_group, strict=True)
    )
    # Series have equal length, so the variance of all rows is the mean of the variances within the
    # series plus the variance between their means (law of total variance).
    between, mean = torch.var_mean(means, -2, correction=0)
    return Statistics(mean.to(x.dtype), (variances.mean(-2) + between).to(x.dtype))


def _series_statistics(
    x: Matrix,
) -> tuple[Float[Tensor, "series_channels"], Float[Tensor, "series_channels"]]:
    """Returns means and variances of series of about 4,096 rows, for each series and channel."""
    series, _ = side_by_side(x, 4 * PIECE)
    mean, variance, *_ = torch.ops.aten.batch_norm_update_stats(series, None, None, 0.0)
    return mean, variance


def side_by_side(
    x: Matrix, most: int
) -> tuple[Float[Tensor, "_rows series_channels _height 1"], int]:
    """Returns series of at most about `most` rows as channels of one map, and their number.

    With n series, series s has the rows s, s + n, s + 2n, ... Putting n rows side by side gives a
    map with n times the channels, without a copy, so that one call of torch's norm computes all
    series at once.
    """
    number = _divided(len(x), most)
    rows = len(x) // number  # of a series
    # With a single position torch would take the layout for channels-first.
    height = 2 if rows % 2 == 0 else 1
    # rows/height x (series * channels) x height x 1, in channels-last layout
    return x.view(rows // height, height, 1, -1).permute(0, 3, 1, 2), number


def _divided(length: int, most: int) -> int:
    """Returns the number of parts, a power of two, so that `length` has parts of at most `most`.

    If `length` is not divisible so often, the parts are longer.
    """
    number = 1
    while length // number > most and length % (2 * number) == 0:
        number *= 2
    return number
