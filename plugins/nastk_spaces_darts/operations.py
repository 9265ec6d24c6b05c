"""The operations of DARTS, split where work can be shared: what they read, what they do with it.

All convolutions of one state begin with the same ReLU, and all its poolings of one kind are the
same. `Views` computes each of these once a state; an `Operation` says which view it reads and holds
the rest, weights and all. Next: `supernet.py` and `network.py` put them into cells.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

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

Norm = Callable[[int], nn.Module]
"""Makes the norm that follows a convolution, from its number of channels."""


class BatchNorm(nn.BatchNorm2d):
    """Normalises by the batch's statistics and keeps none, in training and evaluation alike."""

    def __init__(self, channels: int, affine: bool = False) -> None:
        super().__init__(channels, affine=affine, track_running_stats=False)

    def forward(self, input: State) -> State:
        """Called on every forward pass: `normalise` with this norm's scale and shift, if any."""
        return normalise(input, self.weight, self.bias)


def normalise(x: State, weight: Tensor | None = None, bias: Tensor | None = None) -> State:
    """`x` with mean 0 and variance 1 over batch and positions, then scaled and shifted.

    A single value for each channel (one image, one position) is its own mean, so the answer is zero
    plus `bias`, where torch refuses.
    """
    if x.shape[0] * x.shape[2] * x.shape[3] == 1:
        centred = x - x
        return centred if bias is None else centred + bias.view(1, -1, 1, 1)
    return F.batch_norm(x, None, None, weight, bias, training=True)


class Views:
    """One state of a cell as the operations that leave it read it; each way computed at most once.

    `stride` is that of the edges leaving the state. `pool_norm` normalises what a pooling gives.

    Example: `Views(state, stride=1, pool_norm=True).read("relu")`
    """

    def __init__(self, state: State, stride: int, pool_norm: bool) -> None:
        self.state = state
        self.stride = stride
        self.pool_norm = pool_norm
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
        return normalise(pooled) if self.pool_norm else pooled


class Operation(nn.Module):
    """An operation of one edge of one cell: which view of the state it `reads`, its own work on it.

    Example: `operation("sep_conv_3x3", 16, 1, BatchNorm)(views.read("relu"))`
    """

    def __init__(self, reads: str, body: nn.Module) -> None:
        super().__init__()
        self.reads = reads
        self.body = body

    @property
    def is_identity(self) -> bool:
        """Whether it hands the state on untouched (which drop path never drops)."""
        return self.reads == "state" and isinstance(self.body, nn.Identity)

    def forward(self, view: State) -> State:
        """Called with `views.read(operation.reads)`: the operation's output, not yet weighted."""
        return self.body(view)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """What `print` shows beside the body."""
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
        return F.conv2d(input, weight, None, stride, padding, dilation, self.groups)


class Halve(nn.Module):
    """Half the side, any number of channels: two 1x1 convolutions of stride 2, one a pixel on.

    What DARTS calls a factorised reduction, without its ReLU. An odd side is padded with one zero.
    """

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out // 2, 1, stride=2, bias=False)
        self.second = nn.Conv2d(
            channels_in, channels_out - channels_out // 2, 1, stride=2, bias=False
        )
        self.norm = norm(channels_out)

    def forward(self, x: State) -> State:
        """Called with a state after its ReLU."""
        height, width = x.shape[2:]
        even = F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
        halved = torch.cat([self.first(x), self.second(even[:, :, 1:, 1:])], 1)
        return self.norm(halved)  # type: ignore[no-any-return]


def operation(name: str, channels: int, stride: int, norm: Norm) -> Operation:
    """The operation called `name`, between states of `channels` channels."""
    if name == "none":
        return Operation("state", Zero(stride))
    if name == "noise":
        return Operation("state", Noise(stride))
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        return Operation(name.removesuffix("_3x3"), nn.Identity())
    if name == "skip_connect" and stride == 1:
        return Operation("state", nn.Identity())
    if name == "skip_connect":
        return Operation("relu", Halve(channels, channels, norm))
    size = int(name[-1])
    if name.startswith("dil_conv"):
        return Operation("relu", nn.Sequential(*_separable(channels, size, stride, 2, norm)))
    again = _separable(channels, size, 1, 1, norm)
    return Operation(
        "relu", nn.Sequential(*_separable(channels, size, stride, 1, norm), nn.ReLU(), *again)
    )


def _separable(channels: int, size: int, stride: int, dilation: int, norm: Norm) -> list[nn.Module]:
    """A depthwise and a pointwise convolution, and a norm."""
    depthwise = Depthwise(channels, size, stride, dilation)
    return [depthwise, nn.Conv2d(channels, channels, 1, bias=False), norm(channels)]
