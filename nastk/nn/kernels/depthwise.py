"""A depthwise convolution whose gradients are fast on CPUs: `depthwise`.

The forward pass is torch's own. For the backward pass CPU libraries have fast kernels in a few
cases only. The other cases are rewritten into these, without approximation:

- At stride 1 the gradient of the input is the convolution of the output's gradient with the flipped
  kernel. This is 6 to 10 times as fast if there is dilation.
- The gradient of the kernel is fast for up to 3 columns without dilation. Wider kernels are done 3
  columns at a time. For dilation 2 an image is divided into four images, each with every second
  pixel of every second row; on these the same convolution has dilation 1.
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
"""The largest number of kernel columns for which libraries compute the kernel's gradient fast."""


def depthwise(x: State, kernel: Kernel, stride: int, padding: int, dilation: int) -> State:
    """Called for every depthwise convolution: returns `F.conv2d` with one group for each channel.

    Example: `depthwise(x, kernel, stride=1, padding=2, dilation=1)` for a kernel of 5x5
    """
    # `torch.jit.trace` records a custom gradient differently at each call, and warns about that.
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if takes_plain_form(x) or tracing or not torch.is_grad_enabled():
        return plain(x, kernel, stride, padding, dilation)
    return _Depthwise.apply(x, kernel, stride, padding, dilation)  # type: ignore[no-any-return]


def plain(x: State, kernel: Kernel, stride: int, padding: int, dilation: int) -> State:
    """Returns the convolution by torch's own function."""
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
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        (gradient,) = output_gradients
        wanted = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():  # the gradient itself may be differentiated again
            gradients = _convolution_backward(gradient, x, kernel, *ctx.geometry, *wanted)
        else:
            gradients = (
                input_gradient(gradient, x, kernel, *ctx.geometry) if wanted[0] else None,
                kernel_gradient(gradient, x, kernel, *ctx.geometry) if wanted[1] else None,
            )
        return *gradients, None, None, None


def input_gradient(
    gradient: State, x: State, kernel: Kernel, stride: int, padding: int, dilation: int
) -> State:
    """Returns the gradient of the input, given that of the output."""
    if stride == 1 and kernel.shape[2] == kernel.shape[3]:
        # dL/dx[i] = sum_k dL/dy[i + padding - k dilation] kernel[k]: a convolution with the flipped
        # kernel. Its padding makes up for the rows and columns that the forward pass lost.
        opposite = dilation * (kernel.shape[-1] - 1) - padding
        return plain(gradient, kernel.flip(2, 3), 1, opposite, dilation)
    result, _ = _convolution_backward(gradient, x, kernel, stride, padding, dilation, True, False)
    assert result is not None
    return result


def kernel_gradient(
    gradient: State, x: State, kernel: Kernel, stride: int, padding: int, dilation: int
) -> Kernel:
    """Returns the gradient of the kernel, given that of the output."""
    if dilation == 2 and stride == 1 and padding % 2 == 0:
        # With dilation 2 an output pixel depends only on inputs whose row and column have the same
        # parity as its own, so the four parities are four independent images of dilation 1.
        return kernel_gradient(
            split_by_parity(gradient), split_by_parity(x), kernel, 1, padding // 2, 1
        )
    columns = kernel.shape[-1]
    if columns <= WIDEST or dilation > 1:
        return _by_library(gradient, x, kernel, stride, padding, dilation)
    parts = []
    for first in range(0, columns, WIDEST):
        part = kernel[..., first : first + WIDEST]
        # Kernel column c meets input column c - padding + stride * j at output column j. Shifting
        # the input by `first` makes these columns a kernel of their own; `F.pad` crops where the
        # padding is negative.
        left = padding - first
        reach = stride * (gradient.shape[-1] - 1) + part.shape[-1]
        shifted = F.pad(x, (left, reach - x.shape[-1] - left))
        parts.append(_by_library(gradient, shifted, part, stride, (padding, 0), 1))
    return torch.cat(parts, -1)


def split_by_parity(x: State) -> Float[Tensor, "four_batch channels _half_height _half_width"]:
    """Returns four images for each image: every second pixel of every second row.

    Odd heights and widths are padded with zeros.
    """
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
    _, result = _convolution_backward(gradient, x, kernel, stride, padding, dilation, False, True)
    assert result is not None
    return result


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
    """Returns torch's gradients of input and kernel, which can be differentiated again.

    A gradient that is not wanted is None. `padding` may be a pair for (rows, columns).
    """
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    gradients = torch.ops.aten.convolution_backward(
        gradient, x, kernel, None, [stride] * 2, [rows, columns], [dilation] * 2,
        False, [0, 0], len(kernel), [input_wanted, kernel_wanted, False],
    )  # fmt: skip
    return gradients[0], gradients[1]
