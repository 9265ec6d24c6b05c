"""`Synflow`, the evaluator `synflow`: the flow through the absolute weights, without images."""

import math
import sys
from collections.abc import Sequence

import torch
from torch import nn

from nastk import Batch, PhaseCost
from nastk_zero_cost.evaluator import NORMS, Score, SeedOptions, ZeroCost, layer_weights

LEAST = math.log(sys.float_info.min)
"""The score where nothing flows, -708.4: the logarithm of the smallest normal number."""


class Synflow(ZeroCost):
    """The logarithm of the network's synaptic flow (Tanaka et al. 2020, the loss R_SF).

    With every weight w replaced by |w|, norms left out and an image of ones, R is the sum of the
    logits, and the flow is the sum over all weights of |w| dR/d|w|. Abdelfattah et al. (2021)
    use this sum as the score of an architecture; the logarithm orders alike.

    Example: `Synflow(context).evaluate(architecture, None).metrics["synflow"]`
    """

    name = "synflow"
    summary = "flow through the absolute weights of the untrained network"
    needs_images = False
    metric = "synflow"

    class Options(SeedOptions):
        """The seed of the weights."""

    @property
    def batches(self) -> int:
        """See `ZeroCost.batches`: none."""
        return 0

    @property
    def images(self) -> int:
        """See `ZeroCost.images`: none."""
        return 0

    def max_cost(self) -> PhaseCost:
        """See `Evaluator.max_cost`: the image of ones, forward and backward."""
        return PhaseCost(1, 1)

    def score(self, network: nn.Module, batches: Sequence[Batch]) -> Score:
        """See `ZeroCost.score`; charges the image of ones."""
        self.context.run.charge(1, 1)
        flow = synaptic_flow(network, self.context.task.shape)
        if flow > 0:
            return Score(math.log(flow))
        return Score(LEAST, ("Nothing flows from the image to the logits.",))

    def _notes(self) -> tuple[str, ...]:
        return (f"Of the network before training, weights of seed {self.seed}; no image is used.",)


def synaptic_flow(network: nn.Module, shape: tuple[int, int, int]) -> float:
    """Returns the sum over all weights of |w| dR/d|w|, for an image of ones of `shape`.

    `network` is changed: it becomes double precision, its numbers absolute, and it loses its norms.
    """
    network = _without_norms(network).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    weights = layer_weights(network)
    device = weights[0].device if weights else None
    output = network(torch.ones(1, *shape, dtype=torch.float64, device=device)).sum()
    if not weights or not output.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(output, weights, allow_unused=True)
    return sum(
        float((weight.detach() * gradient).abs().sum())
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None
    )


def _without_norms(network: nn.Module) -> nn.Module:
    """Replaces the norms in `network` by identities, and returns it."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, NORMS):
                module.add_module(name, nn.Identity())
    return network
