"""What bi-level methods share: the slope of the validation loss, and what measuring it costs."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Mixture, PhaseCost, Plan, Probe


def slopes(
    probe: Probe, mixture: Mixture, of: Sequence[Float[Tensor, "..."]]
) -> Sequence[Float[Tensor, "..."]]:
    """The gradient of the loss on the next validation batch, for each tensor behind `mixture`.

    The weights are constants (DARTS's first order). One forward and one backward pass of a batch.
    """
    loss = probe.loss(mixture, probe.valid.at(probe.step))
    return torch.autograd.grad(loss, list(of), materialize_grads=True)


def one_batch_a_step(plan: Plan, warmup: int, every: int = 1) -> PhaseCost:
    """The most images that `slopes` measures in a run that asks for them at every so many steps."""
    start, end = (
        min(epochs, plan.epochs) * plan.steps_per_epoch // every for epochs in (warmup, plan.epochs)
    )
    images = (end - start) * min(plan.batch_size, plan.valid_images)
    return PhaseCost(images_forward=images, images_backward=images)
