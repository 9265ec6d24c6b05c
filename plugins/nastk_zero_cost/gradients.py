"""`GradientNorm` and `Snip`, the evaluators `gradient-norm` and `snip`: the gradient of one batch.

Both follow Abdelfattah et al. (2021): the loss is the cross-entropy of one batch, and
the values of all weights are added up.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from nastk import Batch, Objective
from nastk_zero_cost.evaluator import BatchOptions, Score, ZeroCost, layer_weights

NO_GRADIENT = "No gradient reaches a weight."


class GradientNorm(ZeroCost):
    """The sum over all layers of the Euclidean norm of the loss's gradient.

    It is `grad_norm` of Abdelfattah et al. (2021): sum over layers l of ||dL/dw_l||.

    Example: `GradientNorm(context).evaluate(architecture, None).metrics["gradient_norm"]`
    """

    name = "gradient-norm"
    summary = "length of the untrained network's gradient on one batch"
    metric = "gradient_norm"
    uses_labels = True

    class Options(BatchOptions):
        """The batch and the seed."""

    def score(self, network: nn.Module, batches: Sequence[Batch]) -> Score:
        """See `ZeroCost.score`."""
        gradients = loss_gradients(network, batches[0], self.context.task.objective)
        return total(float(gradient.double().norm()) for _, gradient in gradients)


class Snip(ZeroCost):
    """The sum over all weights of |w dL/dw|: how much the loss depends on having the weight.

    |w dL/dw| is the connection sensitivity of Lee et al. (2019), which is the
    gradient to a factor on the weight, without dividing by the sum over the network.

    Example: `Snip(context).evaluate(architecture, None).metrics["snip"]`
    """

    name = "snip"
    summary = "how much the loss of the untrained network depends on its weights"
    metric = "snip"
    uses_labels = True

    class Options(BatchOptions):
        """The batch and the seed."""

    def score(self, network: nn.Module, batches: Sequence[Batch]) -> Score:
        """See `ZeroCost.score`."""
        gradients = loss_gradients(network, batches[0], self.context.task.objective)
        parts = (weight.detach().double() * gradient.double() for weight, gradient in gradients)
        return total(float(part.abs().sum()) for part in parts)


def total(parts: Iterable[float]) -> Score:
    """Returns the sum of what the layers contribute, with a note where it is zero."""
    value = math.fsum(parts)
    return Score(value, () if value else (NO_GRADIENT,))


def loss_gradients(
    network: nn.Module, batch: Batch, objective: Objective
) -> list[tuple[nn.Parameter, Tensor]]:
    """Returns (weight, gradient of the mean cross-entropy) of every layer that it reaches."""
    weights = layer_weights(network)
    loss = objective.reported(network(batch.images), batch.labels)
    if not weights or not loss.requires_grad:
        return []
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return [
        (weight, gradient)
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None
    ]
