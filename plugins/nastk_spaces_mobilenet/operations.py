"""The candidates of a layer: inverted residual blocks (MBConv) of several sizes, and `skip`.

`mb6_5x5` is the block of expansion 6 with a 5x5 depthwise convolution. In a layer that keeps size
and width a block adds its input to its output; `skip` returns the input alone.
`skeleton.py` plans the layers, `supernet.py` and `network.py` put candidates into them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn import DepthwiseConv2d, PointwiseConv2d

State = Float[Tensor, "batch _channels _height _width"]
"""A feature map; only the number of images is the same throughout a network."""

Norm = Callable[[int], nn.Module]
"""A function that makes the norm after a convolution, from its number of channels."""

SKIP = "skip"
BLOCK = re.compile(r"mb(?P<expansion>\d+)_(?P<kernel>\d+)x(?P=kernel)")
"""Matches the names of blocks."""

Activation = Literal["relu", "relu6", "hard_swish"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hard_swish": nn.Hardswish,
}


@dataclass(frozen=True)
class LayerPlan:
    """The properties of a layer that all its candidates share.

    A `residual` layer keeps size and width: its blocks have a shortcut, and it may be skipped. In a
    layer with `squeeze` the blocks have squeeze-and-excitation.

    Example: `operation("mb6_3x3", LayerPlan(16, 24, 2, False, False, "relu6"), nn.BatchNorm2d)`
    """

    channels_in: int
    channels: int
    stride: int
    residual: bool
    squeeze: bool
    activation: Activation


def names(kernels: Sequence[int], expansions: Sequence[int], skip: bool) -> tuple[str, ...]:
    """Returns the candidates in column order: by kernel, then by expansion, `skip` last."""
    blocks = [f"mb{expansion}_{size}x{size}" for size in kernels for expansion in expansions]
    return (*blocks, SKIP) if skip else tuple(blocks)


def operation(name: str, plan: LayerPlan, norm: Norm) -> nn.Module:
    """Returns the operation called `name`, for a layer of this plan."""
    if name == SKIP:
        return nn.Identity()
    match = BLOCK.fullmatch(name)
    assert match is not None, name
    return InvertedResidual(plan, int(match["kernel"]), int(match["expansion"]), norm)


class InvertedResidual(nn.Module):
    """A block that widens, convolves depthwise and narrows again (Sandler et al. 2018).

    With expansion 1 there is no widening 1x1 convolution. The narrowing 1x1 convolution has a norm
    but no activation.

    Example: `InvertedResidual(plan, kernel=5, expansion=6, norm=nn.BatchNorm2d)(state)`
    """

    def __init__(self, plan: LayerPlan, kernel: int, expansion: int, norm: Norm) -> None:
        super().__init__()
        inside = plan.channels_in * expansion
        self.residual = plan.residual
        self.widen = nn.Identity() if expansion == 1 else _widen(plan, inside, norm)
        self.depthwise = nn.Sequential(
            DepthwiseConv2d(inside, kernel, plan.stride),
            norm(inside),
            ACTIVATIONS[plan.activation](),
        )
        self.squeeze = SqueezeExcitation(inside) if plan.squeeze else nn.Identity()
        self.narrow = nn.Sequential(PointwiseConv2d(inside, plan.channels), norm(plan.channels))

    def forward(self, x: State) -> State:
        """Called like any operation; a residual block adds its input to its output."""
        y: State = self.narrow(self.squeeze(self.depthwise(self.widen(x))))
        return x + y if self.residual else y


def _widen(plan: LayerPlan, inside: int, norm: Norm) -> nn.Module:
    convolution = PointwiseConv2d(plan.channels_in, inside)
    return nn.Sequential(convolution, norm(inside), ACTIVATIONS[plan.activation]())


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018), with the activations of MobileNetV3.

    It scales each channel by a factor that is computed from the means of all channels.

    Example: `SqueezeExcitation(72)(state)`
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = divisible(float(channels // 4))
        self.scale = nn.Sequential(
            nn.Conv2d(channels, middle, 1),
            nn.ReLU(),
            nn.Conv2d(middle, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: State) -> State:
        """Called inside a block, after its depthwise convolution: returns the scaled map."""
        return x * self.scale(x.mean((2, 3), keepdim=True))  # type: ignore[no-any-return]


def divisible(channels: float) -> int:
    """Returns the multiple of 8 nearest to `channels`, at least 8, never more than 10 % below it.

    It is the rule of all MobileNets; halves are rounded up.

    Example: `divisible(16 * 1.35) == 24`
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest
