"""A depthwise convolution whose gradients are fast on CPUs: `depthwise`, `DepthwiseConv2d`.

The forward pass is torch's own. For the backward pass CPU libraries have fast kernels in a few
cases only. The other cases are rewritten into these, without approximation:

- At stride 1 the gradient of the input is the convolution of the output's gradient with the flipped
  kernel. This is 6 to 10 times as fast if there is dilation.
- The gradient of the kernel is fast for up to 3 columns without dilation. Wider kernels are done 3
  columns at a time. For dilation 2 an image is divided into four images, each with every second
  pixel of every second row; on these the same convolution has dilation 1.
- On maps of a few pixels libraries take up to 100 times as long as a matrix product that has the
  product of every output pixel with every input pixel, of which a tap needs the sum over its pairs.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn.batch_moments import positions
from nastk.nn.kernels.reference import takes_plain_form

State = Float[Tensor, "batch channels _height _width"]
Kernel = Float[Tensor, "channels 1 _rows _columns"]

WIDEST = 3
"""The largest number of kernel columns for which libraries compute the kernel's gradient fast."""

NARROWEST_MAP = 4
"""The smallest number of image columns for which they do."""

MOST_PAIRS, MOST_DILATED_PAIRS = 1024, 4096
"""The most pairs of an output and an input pixel for which the matrix product is faster."""


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of odd size that keeps the image size (divided by the stride).

    Two equivalent forms save work. With stride 2 and dilation 2 only every second pixel is read, so
    the convolution runs on these pixels with stride 1 and dilation 1. For small images the outer
    taps of the kernel always fall on padding, so they are left out.

    Example: `DepthwiseConv2d(16, size=5, stride=2)(state)`
    """

    def __init__(self, channels: int, size: int, stride: int = 1, dilation: int = 1) -> None:
        padding = dilation * (size - 1) // 2
        super().__init__(
            channels, channels, size, stride, padding, dilation, groups=channels, bias=False
        )

    def forward(self, input: State) -> State:
        """Called in every forward pass, like any convolution."""
        stride, dilation, weight = self.stride[0], self.dilation[0], self.weight
        if stride == dilation == 2:
            input = input[:, :, ::stride, ::stride]
            stride = dilation = 1
        # A tap further than `reach` from the middle is outside of the image at every position.
        reach = (max(input.shape[2:]) - 1) // dilation
        outside = max(self.kernel_size[0] // 2 - reach, 0)
        if outside:
            weight = weight[:, :, outside:-outside, outside:-outside]
        if weight.shape[-1] == 1:
            return input[:, :, ::stride, ::stride] * weight.view(-1, 1, 1)
        padding = dilation * (weight.shape[-1] // 2)
        return depthwise(input, weight, stride, padding, dilation)


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
    if _is_small(gradient, x, kernel, dilation):
        return _by_pairs(gradient, x, kernel, stride, padding, dilation)
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


def _is_small(gradient: State, x: State, kernel: Kernel, dilation: int) -> bool:
    """True if the maps are so small that `_by_pairs` is the fastest way."""
    if kernel.shape[-1] <= WIDEST and dilation == 1 and x.shape[-1] >= NARROWEST_MAP:
        return False
    pairs = gradient[0, 0].numel() * x[0, 0].numel()
    return pairs <= (MOST_DILATED_PAIRS if dilation > 1 else MOST_PAIRS)


def _by_pairs(
    gradient: State, x: State, kernel: Kernel, stride: int, padding: int, dilation: int
) -> Kernel:
    """Returns the gradient of the kernel from the products of all output and all input pixels."""
    products = _of_channels(gradient).mT @ _of_channels(x)  # channels x outputs x inputs
    geometry = (stride, padding, dilation)
    chosen = _pairs_of_taps(gradient.shape[2:], x.shape[2:], kernel.shape[2:], *geometry)
    return (products.flatten(1) @ chosen.to(products)).view_as(kernel)


def _of_channels(x: State) -> Float[Tensor, "channels batch positions"]:
    """Returns the pixels of each channel, however `x` lies in memory."""
    if x.is_contiguous():
        return x.flatten(2).transpose(0, 1)
    # The transposition of a matrix is a fast copy, and that of three dimensions is a slow one.
    channels = positions(x).t().contiguous()
    return channels.view(x.shape[1], x.shape[0], -1)


@lru_cache(maxsize=256)
def _pairs_of_taps(
    outputs: tuple[int, int],
    inputs: tuple[int, int],
    taps: tuple[int, int],
    stride: int,
    padding: int,
    dilation: int,
) -> Float[Tensor, "outputs_inputs taps"]:
    """Returns 1 where a kernel's tap joins an output pixel with an input pixel, 0 elsewhere.

    Output i and tap k read input `stride * i - padding + dilation * k`, in rows and in columns.
    """
    sides = []
    for output, size, tap in zip(outputs, inputs, taps, strict=True):
        read = stride * torch.arange(output)[:, None] - padding + dilation * torch.arange(tap)
        sides.append((read[:, None] == torch.arange(size)[:, None]).to(torch.float32))
    rows, columns = sides  # outputs x inputs x taps
    joined = torch.einsum("ack, bdl -> abcdkl", rows, columns)
    return joined.reshape(joined[..., 0, 0].numel(), -1)


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
