"""A depthwise convolution whose gradients are fast on CPUs: `depthwise`.

Forward it is torch's own. Backward, CPU libraries have a fast kernel for few cases only; the others
are brought into that form, exactly:

- the gradient of the input, at stride 1, is a convolution of the answer's gradient with the flipped
  kernel: 6 to 10 times as fast with dilation;
- the gradient of the kernel is fast up to 3 columns and without dilation. Wider kernels are done
  some columns at a time; with dilation 2 the pixels are dealt into four images of every second
  pixel, where the dilation is gone.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nastk.nn.kernels.reference import takes_plain_form

State = Float[Tensor, "batch channels _height _width"]
Kernel = Float[Tensor, "channels 1 _rows _columns"]

WIDEST = 3
"""Columns of a kernel for which its gradient is fast."""


def depthwise(x: State, kernel: Kernel, stride: int, padding: int, dilation: int) -> State:
    """Called for every depthwise convolution: `F.conv2d` with a group for each channel, no bias.

    Example: `depthwise(x, kernel, stride=1, padding=2, dilation=1)` for a kernel of 5x5
    """
    # `torch.jit.trace` writes an own gradient down anew at each call, and complains of that.
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if takes_plain_form(x) or tracing or not torch.is_grad_enabled():
        return plain(x, kernel, stride, padding, dilation)
    return _Depthwise.apply(x, kernel, stride, padding, dilation)  # type: ignore[no-any-return]


def plain(x: State, kernel: Kernel, stride: int, padding: int, dilation: int) -> State:
    """The plain form."""
    return F.conv2d(x, kernel, None, stride, padding, dilation, len(kernel))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: State, kernel: Kernel, stride: int, padding: int, dilation: int
    ) -> State:
        ctx.save_for_backward(x, kernel)
        ctx.geometry = (stride, padding, dilation)
        return plain(x, kernel, stride, padding, dilation)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        (gradient,) = gradients
        wanted = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():  # someone will differentiate the gradient
            found = _convolution_backward(gradient, x, kernel, *ctx.geometry, *wanted)
        else:
            found = (
                input_gradient(gradient, x, kernel, *ctx.geometry) if wanted[0] else None,
                kernel_gradient(gradient, x, kernel, *ctx.geometry) if wanted[1] else None,
            )
        return *found, None, None, None


def input_gradient(
    gradient: State, x: State, kernel: Kernel, stride: int, padding: int, dilation: int
) -> State:
    """The gradient of the input, from that of the answer."""
    if stride == 1 and kernel.shape[2] == kernel.shape[3]:
        opposite = dilation * (kernel.shape[-1] - 1) - padding
        return plain(gradient, kernel.flip(2, 3), 1, opposite, dilation)
    found, _ = _convolution_backward(gradient, x, kernel, stride, padding, dilation, True, False)
    assert found is not None
    return found


def kernel_gradient(
    gradient: State, x: State, kernel: Kernel, stride: int, padding: int, dilation: int
) -> Kernel:
    """The gradient of the kernel, from that of the answer."""
    if dilation == 2 and stride == 1 and padding % 2 == 0:
        return kernel_gradient(dealt(gradient), dealt(x), kernel, 1, padding // 2, 1)
    columns = kernel.shape[-1]
    if columns <= WIDEST or dilation > 1:
        return _by_library(gradient, x, kernel, stride, padding, dilation)
    parts = []
    for first in range(0, columns, WIDEST):
        some = kernel[..., first : first + WIDEST]
        left = padding - first
        reach = stride * (gradient.shape[-1] - 1) + some.shape[-1]
        shifted = F.pad(x, (left, reach - x.shape[-1] - left))
        parts.append(_by_library(gradient, shifted, some, stride, (padding, 0), 1))
    return torch.cat(parts, -1)


def dealt(x: State) -> Float[Tensor, "four_batch channels _half_height _half_width"]:
    """Four images for each: every second pixel of every second row, zeros where it is odd."""
    height, width = x.shape[2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2))
    return torch.cat([x[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)])


def _by_library(
    gradient: State,
    x: State,
    kernel: Kernel,
    stride: int,
    padding: int | tuple[int, int],
    dilation: int,
) -> Kernel:
    _, found = _convolution_backward(gradient, x, kernel, stride, padding, dilation, False, True)
    assert found is not None
    return found


def _convolution_backward(
    gradient: State,
    x: State,
    kernel: Kernel,
    stride: int,
    padding: int | tuple[int, int],
    dilation: int,
    input_wanted: bool,
    kernel_wanted: bool,
) -> tuple[State | None, Kernel | None]:
    """Torch's own gradients, which can be differentiated again; padding may be (rows, columns)."""
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    found = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, [stride] * 2, [rows, columns], [dilation] * 2,
        False, [0, 0], len(kernel), [input_wanted, kernel_wanted, False],
    )  # fmt: skip
    return found[0], found[1]
