"""A pass of images through a network by several processes, each with its share: `Sharing`.

A batch is the same in all processes, and so are its logits: `enter` takes the share of this process
and `leave` gathers the logits of all. What is computed of them (losses, counts, gradients of the
logits) is then the same everywhere, without anything to be added up. Only in the backward pass a
process has the part of a gradient that its own images give; `enter` adds these up for the inputs
that are no parameters of the network. `Processes.summed` does so for the parameters.

The four functions below are two pairs; each is the backward pass of the other in its pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.base.processes import ALONE, Processes

Images = Float[Tensor, "batch channels height width"]

SMALLEST = 2
"""The fewest images of a share: norms need two."""


@dataclass(frozen=True)
class Sharing:
    """How the processes share a batch of `images` images.

    A batch too small to be divided is computed as a whole by each of them.

    Example:
        sharing = Sharing(processes, len(images))
        part, weights = sharing.images(images), sharing.inputs(weights)
        logits = sharing.leave(network(part, weights))  # of all images
    """

    processes: Processes
    count: int

    @property
    def divided(self) -> bool:
        """True if each process takes only a share of the images."""
        return self.count >= SMALLEST * self.processes.size > SMALLEST

    def images(self, images: Images) -> Float[Tensor, "share channels height width"]:
        """Returns the share of this process."""
        return images[self.processes.rows(self.count)] if self.divided else images

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns `inputs` so that their gradients are summed over the processes."""
        if self.processes.size == 1:
            return dict(inputs)
        learning = {name: value for name, value in inputs.items() if value.requires_grad}
        if not learning:
            return dict(inputs)
        entered = _Enter.apply(self.processes, *learning.values())
        return {**inputs, **dict(zip(learning, entered, strict=True))}

    def leave(self, logits: Float[Tensor, "share classes"]) -> Float[Tensor, "batch classes"]:
        """Returns the logits of all images, given those of this process's share."""
        if self.divided:
            return _Gather.apply(logits, self.processes, self.count)  # type: ignore[no-any-return]
        # Each process has the whole gradient, and these are added up like shares.
        size = self.processes.size
        return logits if size == 1 else _Divide.apply(logits, size)


NOT_SHARED = Sharing(ALONE, 0)
"""The whole batch in this process, without an exchange."""


class _Enter(torch.autograd.Function):
    """The same tensors; their gradients are summed over the processes."""

    @staticmethod
    def forward(ctx: Any, processes: Processes, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.processes = processes
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        reached = [gradient for gradient in gradients if gradient is not None]
        summed = iter(_Sum.apply(ctx.processes, *reached) if reached else ())
        return (None, *(None if gradient is None else next(summed) for gradient in gradients))


class _Sum(torch.autograd.Function):
    """The sums of tensors over the processes; their gradients pass unchanged."""

    @staticmethod
    def forward(ctx: Any, processes: Processes, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.processes = processes
        ctx.set_materialize_grads(False)
        return tuple(processes.summed(tensors))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        reached = [gradient for gradient in gradients if gradient is not None]
        entered = iter(_Enter.apply(ctx.processes, *reached) if reached else ())
        return (None, *(None if gradient is None else next(entered) for gradient in gradients))


class _Gather(torch.autograd.Function):
    """The rows of all processes, given this one's; the gradient is this one's share again."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, processes: Processes, total: int) -> Tensor:
        ctx.shared = (processes, total)
        return processes.gathered(rows, total)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _Share.apply(gradients[0], *ctx.shared), None, None


class _Share(torch.autograd.Function):
    """This process's share of rows; the gradient is gathered from all."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, processes: Processes, total: int) -> Tensor:
        ctx.shared = (processes, total)
        return rows[processes.rows(total)].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return _Gather.apply(gradients[0], *ctx.shared), None, None


class _Divide(torch.autograd.Function):
    """The same tensor; its gradient is divided by `size`."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, size: int) -> Tensor:
        ctx.size = size
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0] / ctx.size, None
