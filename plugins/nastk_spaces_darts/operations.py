"""The operations of DARTS, split into the view of a state that they read and their own layers.

All convolutions of one state begin with the same ReLU, and all its poolings of one kind are the
same. `Views` computes them once per state; an `Operation` names the view that it reads and holds
the other layers. An operation's output is added to a sum: `Operation.term` leaves the last layers
to `mixing.mix`, where they cost less. `supernet.py` and `network.py` put operations into cells.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn import (
    BatchNorm,
    DepthwiseConv2d,
    PointwiseConv2d,
    chosen_pixels,
    parameter_free,
)
from nastk.spaces import has_hooks
from nastk_spaces_darts.terms import Term

State = Float[Tensor, "batch _channels _height _width"]
"""A feature map; only the number of images is the same throughout a network."""

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The candidates in the order of the columns; if a space has `none`, it comes first."""

POOLS = ("max_pool", "avg_pool")
"""The views that are poolings of a state."""

Norm = Callable[[int], nn.Module]
"""A function that makes the norm after a convolution, from its number of channels."""


class Views:
    """The views of one state of a cell that its operations read; each is computed at most once.

    `stride` is the stride of the edges leaving the state. `norms` has the norm after each pooling,
    by the name of the view; without an entry the pooling is not normalised.

    Example: `Views(state, stride=1, norms={}).read("relu")`
    """

    def __init__(self, state: State, stride: int, norms: Mapping[str, nn.Module]) -> None:
        self.state = state
        self.stride = stride
        self.norms = norms
        self._made: dict[str, State] = {"state": state}

    def read(self, view: str) -> State:
        """Called for every active operation: returns the view that its `reads` names."""
        if view not in self._made:
            self._made[view] = torch.relu(self.state) if view == "relu" else self._pooled(view)
        return self._made[view]

    def _pooled(self, view: str) -> State:
        if view == "max_pool":
            pooled = F.max_pool2d(self.state, 3, self.stride, padding=1)
        else:
            pooled = F.avg_pool2d(self.state, 3, self.stride, padding=1, count_include_pad=False)
        return self.norms[view](pooled) if view in self.norms else pooled


class Operation(nn.Module):
    """One operation of one edge of one cell: the view that it `reads`, and its `stages` of layers.

    Example: `operation("sep_conv_3x3", 16, 1, BatchNorm)(views.read("relu"))`
    """

    def __init__(self, reads: str, *stages: nn.Module) -> None:
        super().__init__()
        self.reads = reads
        self.stages = nn.ModuleList(stages)
        last = stages[-1] if stages else None
        self._has_norm = isinstance(last, Separable | Halve)

    @property
    def is_identity(self) -> bool:
        """True if the operation returns the state unchanged; drop path never drops such a path."""
        return self.reads == "state" and not self.stages

    @property
    def noise(self) -> "Noise | None":
        """The operation's `Noise` stage, or None if it has none."""
        return next((stage for stage in self.stages if isinstance(stage, Noise)), None)

    def forward(self, view: State) -> State:
        """Called with `views.read(operation.reads)`: returns the output, not yet weighted."""
        return self.stages[-1](self._before_last(view)) if self.stages else view

    def term(self, view: State) -> Term:
        """Called instead of `forward` if the output is added to a sum, which does the last layers.

        If a hook is registered on the operation, its output is computed in full for the hook.
        """
        if not self._has_norm or has_hooks(self):
            return Term(self(view))
        last = cast(Separable | Halve, self.stages[-1])
        if not last.foldable:
            return Term(self(view))
        return last.term(self._before_last(view))

    def _before_last(self, x: State) -> State:
        """Returns the input of the last stage: all earlier stages, with a ReLU after each."""
        for index in range(len(self.stages) - 1):
            x = torch.relu(self.stages[index](x))
        return x

    def extra_repr(self) -> str:
        """Called by `print`: returns the text shown beside the stages."""
        return f"reads={self.reads!r}"


class Zero(nn.Module):
    """The operation `none`: it gives zeros in the output size of the edge's other operations."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: State) -> State:
        """Called like any operation: returns zeros."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class Noise(nn.Module):
    """The operation `noise`: it gives standard normal numbers (S4 of Zela et al. 2020).

    The numbers are new in every call and come from torch's default generator, which the trainer and
    the probe seed for every step. In a supernet they come from `seed` instead: the cell draws it
    from the default generator and sets it before each call.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.seed: int | None = None

    def forward(self, x: State) -> State:
        """Called like any operation; only the size and device of `x` matter."""
        like = x[:, :, :: self.stride, :: self.stride]
        if self.seed is None:
            return torch.randn_like(like)
        return torch.empty_like(like).normal_(generator=generator_of(self.seed, x.device))


def generator_of(seed: int, device: torch.device) -> torch.Generator | None:
    """Returns a generator seeded with `seed` on `device`, or None on the meta device."""
    return None if device.type == "meta" else torch.Generator(device).manual_seed(seed)


class Separable(nn.Module):
    """A depthwise convolution, a pointwise convolution and a norm.

    Example: `Separable(16, size=5, stride=1, dilation=2, norm=BatchNorm)(state)`
    """

    def __init__(self, channels: int, size: int, stride: int, dilation: int, norm: Norm) -> None:
        super().__init__()
        self.depthwise = DepthwiseConv2d(channels, size, stride, dilation)
        self.pointwise = PointwiseConv2d(channels, channels)
        self.norm = norm(channels)

    @property
    def foldable(self) -> bool:
        """True if the norm may be folded into a sum."""
        return parameter_free(self.norm)

    def forward(self, x: State) -> State:
        """Called with a state after its ReLU: returns the normalised output."""
        return self.norm(self.pointwise(self.depthwise(x)))  # type: ignore[no-any-return]

    def term(self, x: State) -> Term:
        """Called for a sum: returns the depthwise output, with pointwise and norm still to do."""
        return Term(self.depthwise(x), self.pointwise.weight, cast(BatchNorm, self.norm))


class Halve(nn.Module):
    """DARTS's factorised reduction without its ReLU: half the size, any number of channels.

    Two 1x1 convolutions of stride 2, the second shifted by one pixel in both directions, give half
    of the output channels each. An odd size is padded with one row or column of zeros. The pixels
    are picked before they are convolved (`nastk.nn.strided` says why).
    """

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.first = PointwiseConv2d(channels_in, channels_out // 2)
        self.second = PointwiseConv2d(channels_in, channels_out - channels_out // 2)
        self.norm = norm(channels_out)

    @property
    def foldable(self) -> bool:
        """True if the norm may be folded into a sum."""
        return parameter_free(self.norm)

    def forward(self, x: State) -> State:
        """Called with a state after its ReLU: returns the normalised output."""
        return self.norm(self._halved(x))  # type: ignore[no-any-return]

    def term(self, x: State) -> Term:
        """Called for a sum: returns the convolutions' output, with the norm still to do."""
        return Term(self._halved(x), None, cast(BatchNorm, self.norm))

    def _halved(self, x: State) -> State:
        height, width = x.shape[2:]
        even = F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
        corners, centres = chosen_pixels(even, (2, 2), [(0, 0), (1, 1)])
        return torch.cat([self.first(corners), self.second(centres)], 1)


def operation(name: str, channels: int, stride: int, norm: Norm) -> Operation:
    """Returns the operation called `name`, between states of `channels` channels."""
    if name == "none":
        return Operation("state", Zero(stride))
    if name == "noise":
        return Operation("state", Noise(stride))
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        return Operation(name.removesuffix("_3x3"))
    if name == "skip_connect" and stride == 1:
        return Operation("state")
    if name == "skip_connect":
        return Operation("relu", Halve(channels, channels, norm))
    size = int(name[-1])
    if name.startswith("dil_conv"):
        return Operation("relu", Separable(channels, size, stride, 2, norm))
    first = Separable(channels, size, stride, 1, norm)
    return Operation("relu", first, Separable(channels, size, 1, 1, norm))
