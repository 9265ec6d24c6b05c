"""1x1 convolutions with a stride, computed as a choice of pixels and a convolution of stride 1.

torch's CPU library (oneDNN 3.12, its open issue 6035) writes outside of its workspace when it
computes the gradient of such a kernel with few input channels in channels-last layout. Depending on
the processor and the size of the maps, the process then crashes, hangs, or silently gets wrong
gradients. Here the pixels are chosen first; the remaining convolution has stride 1, for which the
library is correct.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

State = Float[Tensor, "*images _channels _height _width"]
Steps = tuple[int, int]
"""A number for rows and one for columns: a stride, or the first row and column that are taken."""

FEWEST_CHANNELS = 16
"""With so many input channels in a group, or more, torch's own convolution is always correct."""


def chosen_pixels(x: State, stride: Steps, offsets: Sequence[Steps]) -> tuple[State, ...]:
    """Returns `x[..., row::stride[0], column::stride[1]]` for each (row, column) of `offsets`.

    The backward pass adds all gradients into one map; torch's own would allocate two maps for each
    slice.

    Example: `even, odd = chosen_pixels(state, (2, 2), [(0, 0), (1, 1)])`
    """
    if torch.is_grad_enabled() and x.requires_grad and not _traced():
        return _ChosenPixels.apply(x, stride, offsets)  # type: ignore[no-any-return]
    return slices(x, stride, offsets)


def _traced() -> bool:
    """True while `torch.jit.trace` records, which it cannot do for custom gradient functions."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]


def slices(x: State, stride: Steps, offsets: Sequence[Steps]) -> tuple[State, ...]:
    """Returns the same as `chosen_pixels`, by plain slicing."""
    return tuple(x[..., row :: stride[0], column :: stride[1]] for row, column in offsets)


class _ChosenPixels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: State, stride: Steps, offsets: Sequence[Steps]) -> tuple[State, ...]:
        ctx.shape, ctx.stride, ctx.offsets = x.shape, stride, offsets
        last = x.is_contiguous(memory_format=torch.channels_last)
        ctx.layout = torch.channels_last if last else torch.contiguous_format
        return tuple(
            pixels.contiguous(memory_format=ctx.layout) for pixels in slices(x, stride, offsets)
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        like = gradients[0]
        total = torch.empty(
            ctx.shape, dtype=like.dtype, device=like.device, memory_format=ctx.layout
        ).zero_()
        for (row, column), gradient in zip(ctx.offsets, gradients, strict=True):
            # Added and not written, since two offsets may choose the same pixels.
            total[..., row :: ctx.stride[0], column :: ctx.stride[1]] += gradient
        return total, None, None


class ChoosingConv2d(nn.Conv2d):
    """A 1x1 convolution with a stride: the pixels are chosen, then convolved at stride 1.

    Example: `ChoosingConv2d(8, 16, 1, stride=2)(state)`
    """

    def forward(self, input: State) -> State:
        """Called in every forward pass, like any convolution."""
        rows, columns = self.stride
        (pixels,) = chosen_pixels(input, (rows, columns), [(0, 0)])
        return F.conv2d(pixels, self.weight, self.bias, groups=self.groups)


def choose_first(module: nn.Module) -> None:
    """Called when a network gets channels-last layout on a CPU: replaces convolutions at risk.

    Those of torch's class `Conv2d` become `ChoosingConv2d` and keep their weights.

    Example: `choose_first(network)`
    """
    for layer in module.modules():
        if type(layer) is nn.Conv2d and _at_risk(layer):
            layer.__class__ = ChoosingConv2d


def _at_risk(convolution: nn.Conv2d) -> bool:
    """True if the library may compute wrong gradients for this convolution (see above)."""
    few = convolution.in_channels // convolution.groups < FEWEST_CHANNELS
    single = convolution.kernel_size == (1, 1) and convolution.padding in ((0, 0), "valid")
    return few and single and convolution.stride != (1, 1)
