"""The five operations, split into the view of a state that they read and their own work on it.

Both convolutions begin with the same ReLU and the pooling has no weights, so `Views` computes ReLU
and pooling once for all edges that leave a state. An `Operation` names the view that it reads and
holds the other layers. `fused_forward.py` computes several operations together; `supernet.py` and
`network.py` put them into cells.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn import parameter_free
from nastk.spaces import has_hooks

State = Float[Tensor, "batch _channels _height _width"]
"""A feature map; only the number of images is the same throughout a network."""

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The candidates in the benchmark's order, which is the order of the columns."""

Norm = Callable[[int], nn.Module]
"""A function that makes the norm after a convolution, from its number of channels."""


class Views:
    """The views of one state of a cell that its operations read; each is computed at most once.

    Example: `Views(state).read("relu")`
    """

    def __init__(self, state: State) -> None:
        self._made: dict[str, State] = {"state": state}

    def read(self, view: str) -> State:
        """Called for every active operation: returns the view that its `reads` names."""
        if view not in self._made:
            self._made[view] = self._make(view)
        return self._made[view]

    def _make(self, view: str) -> State:
        state = self._made["state"]
        if view == "relu":
            return torch.relu(state)
        return F.avg_pool2d(state, 3, stride=1, padding=1, count_include_pad=False)


class Operation(nn.Module):
    """One operation of one edge of one cell: it `reads` a view of a state; `body` has its layers.

    Example: `operation("nor_conv_3x3", 16, nn.BatchNorm2d)(views.read("relu"))`
    """

    def __init__(self, reads: str, body: nn.Module) -> None:
        super().__init__()
        self.reads = reads
        self.body = body

    def forward(self, view: State) -> State:
        """Called with `views.read(operation.reads)`: returns the output, not yet weighted."""
        return self.body(view)  # type: ignore[no-any-return]

    @property
    def joins(self) -> bool:
        """True if the operation may be computed together with others (`fused_forward.py`).

        It may not if its norm has a scale and a shift, or if a hook is registered on one of its
        modules.
        """
        if has_hooks(self) or has_hooks(self.body):
            return False
        if not isinstance(self.body, nn.Sequential):
            return True
        convolution, norm = self.body
        return parameter_free(norm) and not has_hooks(convolution) and not has_hooks(norm)

    @property
    def is_none(self) -> bool:
        """True if the operation gives zeros, which need not be computed or added."""
        return isinstance(self.body, Zero)

    def extra_repr(self) -> str:
        """Called by `print`: returns the text shown beside the body."""
        return f"reads={self.reads!r}"


class Zero(nn.Module):
    """The operation `none`: it gives zeros of the state's shape."""

    def forward(self, x: State) -> State:
        """Called like any operation: returns zeros."""
        return torch.zeros_like(x)


def operation(name: str, channels: int, norm: Norm) -> Operation:
    """Returns the operation called `name`, between states of `channels` channels."""
    if name == "none":
        return Operation("state", Zero())
    if name == "skip_connect":
        return Operation("state", nn.Identity())
    if name == "avg_pool_3x3":
        return Operation("avg_pool", nn.Identity())
    size = int(name[-1])
    # The norm subtracts the mean, so a bias would have no effect; it is left out.
    convolution = nn.Conv2d(channels, channels, size, padding=size // 2, bias=False)
    return Operation("relu", nn.Sequential(convolution, norm(channels)))
