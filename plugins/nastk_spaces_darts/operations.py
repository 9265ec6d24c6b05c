"""The operations of DARTS, split where work can be shared: what they read, what they do with it.

All convolutions of one state begin with the same ReLU, and all its poolings of one kind are the
same. `Views` computes each of these once a state; an `Operation` says which view it reads and holds
the rest, weights and all. It ends in a sum, and `term` leaves to the sum (`nastk.nn.mix`) what is
faster done there. Next: `supernet.py` and `network.py` put them into cells.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn import BatchNorm, chosen_pixels, depthwise, parameter_free, pointwise
from nastk.spaces import is_heard
from nastk_spaces_darts.terms import Term

State = Float[Tensor, "batch _channels _height _width"]
"""Any feature map: only the number of images is the same throughout a network."""

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The candidates in the order of the columns; `none` comes before them where a space has it."""

POOLS = ("max_pool", "avg_pool")
"""The views that a pooling gives."""

Norm = Callable[[int], nn.Module]
"""Makes the norm that follows a convolution, from its number of channels."""


class Views:
    """One state of a cell as the operations that leave it read it; each way computed at most once.

    `stride` is that of the edges leaving the state. `norms` normalise what a pooling gives.

    Example: `Views(state, stride=1, norms={}).read("relu")`
    """

    def __init__(self, state: State, stride: int, norms: Mapping[str, nn.Module]) -> None:
        self.state = state
        self.stride = stride
        self.norms = norms
        self._made: dict[str, State] = {"state": state}

    def read(self, view: str) -> State:
        """Called for every operation that is computed: the view named in its `reads`."""
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
    """An operation of one edge of one cell: which view of the state it `reads`, its own work on it.

    Example: `operation("sep_conv_3x3", 16, 1, BatchNorm)(views.read("relu"))`
    """

    def __init__(self, reads: str, *stages: nn.Module) -> None:
        super().__init__()
        self.reads = reads
        self.stages = nn.ModuleList(stages)
        last = stages[-1] if stages else None
        self._folds = isinstance(last, Separable | Halve) and last.foldable

    @property
    def is_identity(self) -> bool:
        """Whether it hands the state on untouched (which drop path never drops)."""
        return self.reads == "state" and not self.stages

    @property
    def noise(self) -> "Noise | None":
        """What draws in it, if anything does."""
        return next((stage for stage in self.stages if isinstance(stage, Noise)), None)

    def forward(self, view: State) -> State:
        """Called with `views.read(operation.reads)`: the operation's output, not yet weighted."""
        return self.stages[-1](self._before_last(view)) if self.stages else view

    def term(self, view: State) -> Term:
        """Called instead of `forward` where the output goes into a sum, which ends it faster.

        Somebody who listens to the operation hears its output: then it is computed as it is.
        """
        if not self._folds or is_heard(self):
            return Term(self(view))
        last = cast(Separable | Halve, self.stages[-1])
        return last.term(self._before_last(view))

    def _before_last(self, x: State) -> State:
        """What the last stage gets: the earlier ones, with a ReLU after each."""
        for place in range(len(self.stages) - 1):
            x = torch.relu(self.stages[place](x))
        return x

    def extra_repr(self) -> str:
        """What `print` shows beside the stages."""
        return f"reads={self.reads!r}"


class Zero(nn.Module):
    """The operation `none`: zeros of the size that the edge's other operations give."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: State) -> State:
        """Called like any operation."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class Noise(nn.Module):
    """The operation `noise`: standard normal numbers, whatever the state (S4 of Zela et al. 2020).

    They are new at every call and come from torch's default generator, which the trainer and the
    probe seed for every step. In a supernet they come from `seed`, which the cell draws from it and
    sets before each call.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.seed: int | None = None

    def forward(self, x: State) -> State:
        """Called like any operation; it reads nothing of the state but its size."""
        like = x[:, :, :: self.stride, :: self.stride]
        if self.seed is None:
            return torch.randn_like(like)
        return torch.empty_like(like).normal_(generator=generator_of(self.seed, x.device))


def generator_of(seed: int, device: torch.device) -> torch.Generator | None:
    """Random numbers from `seed` on a device; None on one that only has shapes."""
    return None if device.type == "meta" else torch.Generator(device).manual_seed(seed)


class Depthwise(nn.Conv2d):
    """A depthwise convolution of odd size that keeps the side (over its stride), no tap wasted.

    With stride 2 and dilation 2 it reads every second pixel only, so it takes those and has
    neither. Taps that lie outside of small images wherever they are put see nothing but padding, so
    they are left out.
    """

    def __init__(self, channels: int, size: int, stride: int, dilation: int) -> None:
        padding = dilation * (size - 1) // 2
        super().__init__(
            channels, channels, size, stride, padding, dilation, groups=channels, bias=False
        )

    def forward(self, input: State) -> State:
        """Called with a state after its ReLU, or with what an earlier convolution made of it."""
        stride, dilation, weight = self.stride[0], self.dilation[0], self.weight
        if stride == dilation == 2:
            input = input[:, :, ::stride, ::stride]
            stride = dilation = 1
        reach = (max(input.shape[2:]) - 1) // dilation
        outside = max(self.kernel_size[0] // 2 - reach, 0)
        if outside:
            weight = weight[:, :, outside:-outside, outside:-outside]
        padding = dilation * (weight.shape[-1] // 2)
        return depthwise(input, weight, stride, padding, dilation)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution of stride 1 without bias."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, 1, bias=False)

    def forward(self, input: State) -> State:
        """Called with what a depthwise convolution made of a state, or with a cell's input."""
        return pointwise(input, self.weight)


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, and a norm.

    Example: `Separable(16, size=5, stride=1, dilation=2, norm=BatchNorm)(state)`
    """

    def __init__(self, channels: int, size: int, stride: int, dilation: int, norm: Norm) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, size, stride, dilation)
        self.pointwise = Pointwise(channels, channels)
        self.norm = norm(channels)

    @property
    def foldable(self) -> bool:
        """Whether its norm may be folded into a sum."""
        return parameter_free(self.norm)

    def forward(self, x: State) -> State:
        """Called with a state after its ReLU."""
        return self.norm(self.pointwise(self.depthwise(x)))  # type: ignore[no-any-return]

    def term(self, x: State) -> Term:
        """Called in a sum: the depthwise convolution's output, and what is still to be done."""
        return Term(self.depthwise(x), self.pointwise.weight, cast(BatchNorm, self.norm))


class Halve(nn.Module):
    """Half the side, any number of channels: two 1x1 convolutions of stride 2, one a pixel on.

    What DARTS calls a factorised reduction, without its ReLU. An odd side is padded with one zero.
    The pixels are chosen before they are convolved (`nastk.nn.strided` says why).
    """

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.first = Pointwise(channels_in, channels_out // 2)
        self.second = Pointwise(channels_in, channels_out - channels_out // 2)
        self.norm = norm(channels_out)

    @property
    def foldable(self) -> bool:
        """Whether its norm may be folded into a sum."""
        return parameter_free(self.norm)

    def forward(self, x: State) -> State:
        """Called with a state after its ReLU."""
        return self.norm(self._halved(x))  # type: ignore[no-any-return]

    def term(self, x: State) -> Term:
        """Called in a sum: the convolutions' output, and the norm that is still to be applied."""
        return Term(self._halved(x), None, cast(BatchNorm, self.norm))

    def _halved(self, x: State) -> State:
        height, width = x.shape[2:]
        even = F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
        corners, centres = chosen_pixels(even, (2, 2), [(0, 0), (1, 1)])
        return torch.cat([self.first(corners), self.second(centres)], 1)


def operation(name: str, channels: int, stride: int, norm: Norm) -> Operation:
    """The operation called `name`, between states of `channels` channels."""
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
