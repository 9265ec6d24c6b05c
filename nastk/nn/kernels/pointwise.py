"""A 1x1 convolution of stride 1 as a matrix product, on CPUs: `pointwise`, `PointwiseConv2d`."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn.batch_moments import maps, positions
from nastk.nn.kernels.reference import takes_plain_form

State = Float[Tensor, "batch _channels height width"]


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1 without bias.

    Example: `PointwiseConv2d(16, 32)(state)`
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 1, bias=False)

    def forward(self, input: State) -> State:
        """Called in every forward pass, like any convolution."""
        return pointwise(input, self.weight)


def pointwise(x: State, kernel: Float[Tensor, "out in 1 1"]) -> State:
    """Called for every 1x1 convolution of stride 1: returns its output, computed as a product.

    The product of all positions with the kernel is faster than the convolution of CPU libraries.

    Example: `pointwise(state, layer.weight)` equals `F.conv2d(state, layer.weight)`
    """
    if takes_plain_form(x):
        return F.conv2d(x, kernel)
    # (images * height * width) x in, times in x out
    return maps(positions(x) @ kernel.flatten(1).t(), x.shape)
