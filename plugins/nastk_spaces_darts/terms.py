"""`Term`: a summand of a node, which is an operation's output with its last layers still to do."""

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
    """An operation's output before its last layers: `x`, then a 1x1 convolution, then a norm.

    `kernel` (out x in x 1 x 1) and `norm` are None if the operation ends before them. The norm has
    no scale and shift; a kernel is always followed by a norm.

    Example: `Term(depthwise_output, pointwise.weight, BatchNorm(16))`
    """

    x: State
    kernel: Float[Tensor, "out in 1 1"] | None = None
    norm: BatchNorm | None = None

    def finished(self) -> State:
        """Returns the operation's output, with its last layers applied one after the other."""
        x = self.x if self.kernel is None else F.conv2d(self.x, self.kernel)
        return x if self.norm is None else self.norm(x)

    def ready(self) -> "Term":
        """Returns this term, or a finished one if `mix` cannot fold its last layers into the sum.

        That is so on other devices and in other precisions, for maps with few positions, and for
        frozen statistics while gradients are needed.
        """
        if self.norm is None or takes_plain_form(self.x):
            return Term(self.finished())
        if self.norm.frozen is not None:
            return Term(self.finished()) if torch.is_grad_enabled() else self
        positions = self.x.numel() // self.x.shape[1]
        return self if has_covariance(positions) else Term(self.finished())


def plain_sum(terms: Iterable[Weighted]) -> State | None:
    """Returns the sum of weight * term, one term after the other; None if there are no terms."""
    total: State | None = None
    for weight, term in terms:
        total = added(total, term.finished(), weight)
    return total


def paired(tensors: Sequence[Tensor | None], norms: Sequence[BatchNorm | None]) -> list[Term]:
    """Returns the terms whose maps and kernels alternate in `tensors`."""
    pairs = zip(tensors[::2], tensors[1::2], norms, strict=True)
    return [Term(x, kernel, norm) for x, kernel, norm in pairs if x is not None]
