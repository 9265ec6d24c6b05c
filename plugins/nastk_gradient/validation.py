"""The gradient of the validation loss and its cost, shared by bi-level methods."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from nastk import Mixture, PhaseCost, Plan, Probe


def slopes(
    probe: Probe, mixture: Mixture, of: Sequence[Float[Tensor, "..."]]
) -> Sequence[Float[Tensor, "..."]]:
    """Returns the gradient of the loss on the next validation batch, for every tensor in `of`.

    `mixture` depends on these tensors; the weights are constants (DARTS's first order). It costs
    one forward and one backward pass of a batch.
    """
    loss = probe.loss(mixture, probe.valid.at(probe.step))
    return torch.autograd.grad(loss, list(of), materialize_grads=True)


def one_batch_a_step(plan: Plan, warmup: int, every: int = 1) -> PhaseCost:
    """Returns the most images that `slopes` measures, called at every `every`-th weight step."""
    start, end = (
        min(epochs, plan.epochs) * plan.steps_per_epoch // every for epochs in (warmup, plan.epochs)
    )
    images = (end - start) * min(plan.batch_size, plan.valid_images)
    return PhaseCost(images_forward=images, images_backward=images)
