"""Sums over the positions of a map, in single precision without its error: `column_sums` and more.

A map has tens of thousands of positions, and a sum that takes one after the other in single
precision loses digits with each: five of seven are left, and gradients of norms lose more. Here
pieces of about a thousand positions are summed, and the pieces in double precision.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.norms import Statistics

State = Float[Tensor, "batch _channels height width"]
Matrix = Float[Tensor, "positions _channels"]
Moments = tuple[Float[Tensor, "*terms in"], Float[Tensor, "*terms in in"]]
"""Mean and covariance of the rows of a matrix, or of several."""

PIECE = 1024
"""Positions that are summed in single precision."""


def positions(x: State) -> Matrix:
    """`x` as a matrix with one row for each image and position; a view where channels are last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def maps(matrix: Matrix, like: torch.Size) -> State:
    """The inverse of `positions`, for maps of the batch, height and width of `like`."""
    batch, _, height, width = like
    return matrix.view(batch, height, width, -1).permute(0, 3, 1, 2)


def pieces(x: Matrix) -> Float[Tensor, "pieces _positions _channels"]:
    """The rows of `x` in pieces of some `PIECE` rows each, where they can be divided so."""
    number = 1
    while len(x) // number > PIECE and len(x) % (2 * number) == 0:
        number *= 2
    return x.view(number, -1, x.shape[1])


def column_sums(x: Matrix) -> Float[Tensor, "_channels"]:
    """The sum over all positions."""
    return pieces(x).sum(1).double().sum(0).to(x.dtype)


def moments(x: Matrix) -> Moments:
    """Mean and covariance of the rows."""
    share, parts = 1 / len(x), pieces(x)
    mean = parts.sum(1).double().sum(0) * share
    products = torch.bmm(parts.mT, parts).double().sum(0)
    covariance = torch.addmm(products, mean[:, None], mean[None], beta=share, alpha=-1)
    return mean.to(x.dtype), covariance.to(x.dtype)


def statistics(x: State) -> Statistics:
    """Mean and variance of each channel."""
    images = max(4 * PIECE // (x.shape[2] * x.shape[3]), 1)
    if len(x) <= images:
        return Statistics(*torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0))
    parts = [
        (len(part) / len(x), *torch.ops.aten.batch_norm_update_stats(part, None, None, 0.0))
        for part in torch.split(x, images)
    ]
    mean = sum(share * part.double() for share, part, _ in parts)
    square = sum(
        share * (spread.double() + part.double().square()) for share, part, spread in parts
    )
    assert isinstance(mean, Tensor) and isinstance(square, Tensor)
    return Statistics(mean.to(x.dtype), (square - mean.square()).to(x.dtype))
