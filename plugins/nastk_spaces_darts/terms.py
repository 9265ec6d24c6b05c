"""What is summed at a node: `Term`, an operation's output as far as it is computed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from nastk.nn import BatchNorm, added, has_covariance, takes_plain_form

State = Float[Tensor, "batch _channels height width"]
Weighted = tuple[Float[Tensor, ""], "Term"]


@dataclass(frozen=True, eq=False)
class Term:
    """An operation's output as far as it is computed: `x`, then a 1x1 convolution, then a norm.

    `kernel` (out x in x 1 x 1) and `norm` are None where the operation ends before them. A norm has
    no scale and shift, and a kernel is followed by one.

    Example: `Term(depthwise_output, pointwise.weight, BatchNorm(16))`
    """

    x: State
    kernel: Float[Tensor, "out in 1 1"] | None = None
    norm: BatchNorm | None = None

    def finished(self) -> State:
        """The operation's output, in plain form."""
        x = self.x if self.kernel is None else F.conv2d(self.x, self.kernel)
        return x if self.norm is None else self.norm(x)

    def ready(self) -> "Term":
        """The same, finished in plain form where a sum cannot take over."""
        if self.norm is None or takes_plain_form(self.x):
            return Term(self.finished())
        if self.norm.frozen is not None:
            return Term(self.finished()) if torch.is_grad_enabled() else self
        positions = self.x.numel() // self.x.shape[1]
        return self if has_covariance(positions) else Term(self.finished())


def plain_sum(terms: Iterable[Weighted]) -> State | None:
    """The plain form of `mix`."""
    total: State | None = None
    for weight, term in terms:
        total = added(total, term.finished(), weight)
    return total


def paired(tensors: Sequence[Tensor | None], norms: Sequence[BatchNorm | None]) -> list[Term]:
    """The terms whose maps and kernels lie in turn in `tensors`."""
    pairs = zip(tensors[::2], tensors[1::2], norms, strict=True)
    return [Term(x, kernel, norm) for x, kernel, norm in pairs if x is not None]
