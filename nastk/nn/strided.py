"""1x1 convolutions with a stride, as what they are: a choice of pixels, then a product with each.

torch's CPU library (oneDNN 3.12, its open issue 6035) writes outside of its workspace when it
computes the gradient of such a kernel from few input channels in channels-last layout: depending on
the processor and the size of the maps that ends the process, hangs, or gives wrong gradients
without a word. Here the pixels are chosen first, and what is left has stride 1, where the library
is right.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

State = Float[Tensor, "*images _channels _height _width"]
Steps = tuple[int, int]
"""Of rows and of columns: a stride, or the first of those that are taken."""

FEWEST_CHANNELS = 16
"""Input channels (of a group) from which on torch's own convolution is right everywhere."""


def chosen_pixels(x: State, stride: Steps, offsets: Sequence[Steps]) -> tuple[State, ...]:
    """`x[..., row::stride[0], column::stride[1]]` for each (row, column) of `offsets`.

    Their gradients are written into one map, where those of slices would make two for each.

    Example: `even, odd = chosen_pixels(state, (2, 2), [(0, 0), (1, 1)])`
    """
    if torch.is_grad_enabled() and x.requires_grad and not _traced():
        return _ChosenPixels.apply(x, stride, offsets)  # type: ignore[no-any-return]
    return slices(x, stride, offsets)


def _traced() -> bool:
    """Whether torch writes down what is computed, which it cannot do for own functions."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]


def slices(x: State, stride: Steps, offsets: Sequence[Steps]) -> tuple[State, ...]:
    """The plain form of `chosen_pixels`."""
    return tuple(x[..., row :: stride[0], column :: stride[1]] for row, column in offsets)


class _ChosenPixels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: State, stride: Steps, offsets: Sequence[Steps]) -> tuple[State, ...]:
        ctx.shape, ctx.stride, ctx.offsets = x.shape, stride, offsets
        last = x.is_contiguous(memory_format=torch.channels_last)
        ctx.layout = torch.channels_last if last else torch.contiguous_format
        return tuple(
            each.contiguous(memory_format=ctx.layout) for each in slices(x, stride, offsets)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        like = gradients[0]
        total = torch.empty(
            ctx.shape, dtype=like.dtype, device=like.device, memory_format=ctx.layout
        ).zero_()
        for (row, column), gradient in zip(ctx.offsets, gradients, strict=True):
            # Added, since the same pixels may be chosen twice.
            total[..., row :: ctx.stride[0], column :: ctx.stride[1]] += gradient
        return total, None, None


class ChoosingConv2d(nn.Conv2d):
    """A 1x1 convolution with a stride: the pixels are chosen, then convolved at stride 1.

    Example: `ChoosingConv2d(8, 16, 1, stride=2)(state)`
    """

    def forward(self, input: State) -> State:
        """Called like any convolution."""
        rows, columns = self.stride
        (pixels,) = chosen_pixels(input, (rows, columns), [(0, 0)])
        return F.conv2d(pixels, self.weight, self.bias, groups=self.groups)


def choose_first(module: nn.Module) -> None:
    """Called where a network is laid out channels-last on a CPU: no convolution is left at risk.

    Those of torch's own class become `ChoosingConv2d`, with the weights that they have.

    Example: `choose_first(network)`
    """
    for each in module.modules():
        if type(each) is nn.Conv2d and _at_risk(each):
            each.__class__ = ChoosingConv2d


def _at_risk(convolution: nn.Conv2d) -> bool:
    few = convolution.in_channels // convolution.groups < FEWEST_CHANNELS
    single = convolution.kernel_size == (1, 1) and convolution.padding in ((0, 0), "valid")
    return few and single and convolution.stride != (1, 1)
