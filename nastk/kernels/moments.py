"""Sums over the positions of a map, in single precision without its error: `column_sums` and more.

A map has tens of thousands of positions, and a sum that takes one after the other in single
precision loses digits with each: five of seven are left, and gradients of norms lose more. Here
pieces of about a thousand positions are summed, and the pieces in double precision.
"""

from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.norms import Statistics

State = Float[Tensor, "batch _channels height width"]
Matrix = Float[Tensor, "positions _channels"]
Moments = tuple[Float[Tensor, "*terms in"], Float[Tensor, "*terms in in"]]
"""Mean and covariance of the rows of a matrix, or of several."""

Groups = tuple[int, ...]
"""How many groups the rows or images are of, of equal length one after the other; none: one."""

PIECE = 1024
"""Positions that are summed in single precision."""


def positions(x: State) -> Matrix:
    """`x` as a matrix with one row for each image and position; a view where channels are last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def maps(matrix: Matrix, like: torch.Size) -> State:
    """The inverse of `positions`, for maps of the batch, height and width of `like`."""
    batch, _, height, width = like
    return matrix.view(batch, height, width, -1).permute(0, 3, 1, 2)


def pieces(x: Matrix, groups: int = 1) -> Float[Tensor, "pieces _positions _channels"]:
    """The rows of `x` in pieces of some `PIECE` rows each, where they can be divided so.

    No piece has rows of two groups, where `x` has `groups` of equal length one after the other.
    """
    number, length = 1, len(x) // groups
    while length // number > PIECE and length % (2 * number) == 0:
        number *= 2
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
    length = len(x) // count
    images = min(max(4 * PIECE // (x.shape[2] * x.shape[3]), 1), length)
    if length == images and not groups:
        return Statistics(*torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0))
    sizes = [min(images, length - first) for first in range(0, length, images)]
    found = [
        torch.ops.aten.batch_norm_update_stats(part, None, None, 0.0)
        for part in torch.split(x, sizes * count)
    ]
    shape = (*groups, len(sizes), x.shape[1])
    means, spreads = (torch.stack(each).double().view(shape) for each in zip(*found, strict=True))
    shares = means.new_tensor(sizes)[:, None] / length
    mean = (means * shares).sum(-2)
    variance = ((spreads + (means - mean[..., None, :]).square()) * shares).sum(-2)
    return Statistics(mean.to(x.dtype), variance.to(x.dtype))
