"""`Zico`, the evaluator `zico`: how steady the gradients are from batch to batch."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64
from pydantic import Field
from torch import Tensor, nn

from nastk import Batch, DataError
from nastk_zero_cost.evaluator import BatchOptions, Score, ZeroCost
from nastk_zero_cost.gradients import NO_GRADIENT, loss_gradients


class Zico(ZeroCost):
    """The inverse coefficient of variation of the gradients (Li et al. 2023).

    For the gradients g of a weight on several batches, sum over layers of the logarithm of the sum
    over the layer's weights of mean(|g|) / standard deviation(|g|).

    Example: `Zico(context).evaluate(architecture, None).metrics["zico"]`
    """

    name = "zico"
    summary = "how steady the untrained network's gradients are from batch to batch"
    metric = "zico"
    uses_labels = True

    class Options(BatchOptions):
        """The batches and the seed."""

        batches: int = Field(2, ge=2, description="batches whose gradients are compared")

    @property
    def batches(self) -> int:
        """See `ZeroCost.batches`."""
        return int(self.options.batches)

    def score(self, network: nn.Module, batches: Sequence[Batch]) -> Score:
        """See `ZeroCost.score`.

        Raises:
            DataError: no gradient differs between the batches.
        """
        layers: dict[nn.Parameter, list[Float64[Tensor, "weights"]]] = {}
        for batch in batches:
            for weight, gradient in loss_gradients(network, batch, self.context.task.objective):
                layers.setdefault(weight, []).append(gradient.double().flatten().abs())
        sizes = [torch.stack(gradients) for gradients in layers.values()]
        terms = [term for layer in sizes if (term := layer_term(layer)) is not None]
        if terms:
            return Score(sum(terms))
        if any(bool(layer.any()) for layer in sizes):
            raise DataError(
                f"Evaluator 'zico' divides by how much gradients differ from batch to batch, and "
                f"none differs between these {len(batches)} batches of {self.options.batch_size} "
                "images. Use images that are not all alike, or another evaluator, such as snip."
            )
        return Score(0.0, (NO_GRADIENT,))


def layer_term(sizes: Float64[Tensor, "batches weights"]) -> float | None:
    """Returns a layer's log of the sum of mean / standard deviation of its gradients' sizes.

    A weight whose gradient has one size on all batches is left out, as there is nothing to divide
    by; None if that leaves no weight.
    """
    deviation, mean = torch.std_mean(sizes, dim=0, correction=0)
    varied = deviation > 0
    return math.log(float((mean[varied] / deviation[varied]).sum())) if varied.any() else None
