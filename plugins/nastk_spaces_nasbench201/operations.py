"""The five operations, split where work can be shared: what each reads of a state, and the rest.

Both convolutions begin with the same ReLU and the pooling has no weights, so `Views` computes each
once for all edges that leave a state. An `Operation` says which view it reads and holds the rest.
Next: `fused_forward.py` computes many together, `supernet.py` and `network.py` put them into cells.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn import parameter_free
from nastk.spaces import is_heard

State = Float[Tensor, "batch _channels _height _width"]
"""Any feature map: only the number of images is the same throughout a network."""

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The candidates in the benchmark's order, which is that of the columns."""

Norm = Callable[[int], nn.Module]
"""Makes the norm that follows a convolution, from its number of channels."""


class Views:
    """One state of a cell as the operations leaving it read it; each way is computed at most once.

    Example: `Views(state).read("relu")`
    """

    def __init__(self, state: State) -> None:
        self._made: dict[str, State] = {"state": state}

    def read(self, view: str) -> State:
        """Called for every operation that is computed: the view named in its `reads`."""
        if view not in self._made:
            self._made[view] = self._make(view)
        return self._made[view]

    def _make(self, view: str) -> State:
        state = self._made["state"]
        if view == "relu":
            return torch.relu(state)
        return F.avg_pool2d(state, 3, stride=1, padding=1, count_include_pad=False)


class Operation(nn.Module):
    """One operation of one edge of one cell: the view of a state it `reads`, and its work on it.

    Example: `operation("nor_conv_3x3", 16, nn.BatchNorm2d)(views.read("relu"))`
    """

    def __init__(self, reads: str, body: nn.Module) -> None:
        super().__init__()
        self.reads = reads
        self.body = body

    def forward(self, view: State) -> State:
        """Called with `views.read(operation.reads)`: its output, before any mixing weight."""
        return self.body(view)  # type: ignore[no-any-return]

    @property
    def joins(self) -> bool:
        """Whether it may be computed together with others (`fused_forward.py`).

        Not where its norm has a scale and a shift, or where somebody listens to it alone.
        """
        if is_heard(self) or is_heard(self.body):
            return False
        if not isinstance(self.body, nn.Sequential):
            return True
        convolution, norm = self.body
        return parameter_free(norm) and not is_heard(convolution) and not is_heard(norm)

    @property
    def is_none(self) -> bool:
        """Whether it gives zeros, which need not be computed to be added."""
        return isinstance(self.body, Zero)

    def extra_repr(self) -> str:
        """What `print` shows beside the body."""
        return f"reads={self.reads!r}"


class Zero(nn.Module):
    """The operation `none`: zeros of the state's shape."""

    def forward(self, x: State) -> State:
        """Called like any operation."""
        return torch.zeros_like(x)


def operation(name: str, channels: int, norm: Norm) -> Operation:
    """The operation called `name`, between states of `channels` channels."""
    if name == "none":
        return Operation("state", Zero())
    if name == "skip_connect":
        return Operation("state", nn.Identity())
    if name == "avg_pool_3x3":
        return Operation("avg_pool", nn.Identity())
    size = int(name[-1])
    # The norm takes every constant away, so a bias would change nothing and is left out.
    convolution = nn.Conv2d(channels, channels, size, padding=size // 2, bias=False)
    return Operation("relu", nn.Sequential(convolution, norm(channels)))
