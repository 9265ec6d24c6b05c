"""The operations of both spaces, each complete in itself, and `MixedEdge`, the sum over them."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


class Nothing(nn.Module):
    """The operation `none`: the state times zero, computed like any other.

    Example: `Nothing()(state)`
    """

    def forward(self, state: Tensor) -> Tensor:
        """Called on every forward pass."""
        return state * 0.0


class Halve(nn.Module):
    """Half the side: two 1x1 convolutions of stride 2, the second one pixel further, and a norm.

    Every second pixel is taken before the convolution: with a stride, torch's CPU library writes
    out of bounds going back from few channels (oneDNN's issue 6035).

    Example: `Halve(48, 32)(state)`
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.first = nn.Conv2d(channels_in, channels_out // 2, 1, bias=False)
        self.second = nn.Conv2d(channels_in, channels_out - channels_out // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out, affine=False)

    def forward(self, state: Tensor) -> Tensor:
        """Called on every forward pass; the side must be even."""
        active = self.relu(state)
        corners, centres = active[:, :, ::2, ::2], active[:, :, 1::2, 1::2]
        both = torch.cat([self.first(corners), self.second(centres)], 1)
        return self.norm(both)  # type: ignore[no-any-return]


def convolution(channels_in: int, channels_out: int, size: int) -> nn.Sequential:
    """ReLU, a dense convolution that keeps the side, a norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(channels_out, affine=False),
    )


def separable(channels: int, size: int, stride: int, dilation: int) -> list[nn.Module]:
    """ReLU, a depthwise convolution, a 1x1 convolution, a norm."""
    padding = dilation * (size // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, size, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=False),
    ]


def darts_operation(name: str, channels: int, stride: int, pool_norm: bool) -> nn.Module:
    """An operation of the DARTS space (Liu et al. 2019, section 3.1)."""
    if name.endswith("pool_3x3"):
        pool = (
            nn.MaxPool2d(3, stride, padding=1)
            if name.startswith("max")
            else nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        )
        norm = [nn.BatchNorm2d(channels, affine=False)] if pool_norm else []
        return nn.Sequential(pool, *norm)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halve(channels, channels)
    size = int(name[-1])
    if name.startswith("dil_conv"):
        return nn.Sequential(*separable(channels, size, stride, 2))
    again = separable(channels, size, 1, 1)
    return nn.Sequential(*separable(channels, size, stride, 1), *again)


def nasbench201_operation(name: str, channels: int) -> nn.Module:
    """An operation of NAS-Bench-201 (Dong and Yang 2020, section 2.1)."""
    if name == "none":
        return Nothing()
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return convolution(channels, channels, int(name[-1]))


class MixedEdge(nn.Module):
    """All operations of an edge, weighted and summed; with `parts` > 1 on some channels only.

    The first 1/parts of the channels go through the operations, the others around them, and both
    are shuffled (Xu et al. 2020, equation 3).

    Example: `MixedEdge(names, make, parts=1, stride=1)(state, weights)`
    """

    def __init__(
        self,
        names: Iterable[str],
        make: Callable[[str], nn.Module],
        parts: int = 1,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.parts = parts
        self.operations = nn.ModuleList(make(name) for name in names)
        self.around = nn.Identity() if stride == 1 else nn.MaxPool2d(2, 2)

    def forward(self, state: Tensor, weights: Tensor) -> Tensor:
        """Called on every forward pass with this edge's row of the mixing weights.

        A whole number instead of a row names the one operation that is computed: a path.
        """
        if weights.dim() == 0:
            found: Tensor = self.operations[int(weights)](state)
            return found
        seen = state.shape[1] // self.parts
        inside, outside = state[:, :seen], state[:, seen:]
        terms = [
            weight * operation(inside)
            for weight, operation in zip(weights, self.operations, strict=False)
        ]
        mixed: Tensor = sum(terms[1:], terms[0])
        if self.parts == 1:
            return mixed
        return shuffled(torch.cat([mixed, self.around(outside)], 1), self.parts)


def shuffled(state: Tensor, parts: int) -> Tensor:
    """The channels of `parts` equal groups, dealt in turn: one of each group, then the next."""
    batch, channels, height, width = state.shape
    grouped = state.reshape(batch, parts, channels // parts, height, width)
    return grouped.transpose(1, 2).reshape(batch, channels, height, width)
