"""The gradient of alpha in the published runs of GDAS on NAS-Bench-201.

The authors' cell adds to each edge, beside the drawn operation's weighted output, the bare weights
of the undrawn operations. These weights are zero, so no output changes; but each of them has a
gradient, as if its operation's output were one everywhere. For an undrawn weight w on an edge into
a node with value y it is

    dL/dw = sum over cells, images, channels and positions of dL/dy

which does not depend on the operation. This module reads dL/dy from the gradient of the drawn
operation's output: its weight is exactly one, so that dL/d(output) = dL/dy.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nastk import Batch, Edge, Mixture, PluginError, Probe

Outputs = list[tuple[int, Tensor]]
"""(edge, output) for the drawn operation of every edge of every cell."""


def published_slope(
    probe: Probe,
    edges: Sequence[Edge],
    drawn: Mixture,
    alpha: Float[Tensor, "edges ops"],
    batch: Batch,
) -> Float[Tensor, "edges ops"]:
    """Returns the gradient of the loss on `batch` for `alpha`, undrawn operations being constants.

    `drawn` has one active operation of weight one on each edge; all its weights depend on `alpha`.
    It costs one forward and one backward pass of the batch.

    Raises:
        PluginError: the supernet computes a drawn operation without calling its module.
    """
    with listening(probe, drawn.active) as outputs:
        loss = probe.loss(drawn, batch)
        # Copied now: a checkpointed cell runs again in the backward pass and calls its hooks again.
        forward_outputs = list(outputs)
        _check_outputs(probe, edges, drawn.active, forward_outputs)
        tensors = [drawn.weights, *(output for _, output in forward_outputs)]
        weight_gradient, *output_gradients = torch.autograd.grad(
            loss, tensors, materialize_grads=True
        )
    # edges x 1: the gradient that every undrawn operation of an edge shares.
    constant = torch.zeros(
        len(edges), 1, device=weight_gradient.device, dtype=weight_gradient.dtype
    )
    for (edge, _), gradient in zip(forward_outputs, output_gradients, strict=True):
        constant[edge] += gradient.sum()
    undrawn = (probe.subspace.mask & ~drawn.active).to(weight_gradient.device)
    slope = weight_gradient + constant * undrawn  # dL/d(weights), edges x operations
    (alpha_gradient,) = torch.autograd.grad(drawn.weights, alpha, slope)
    return alpha_gradient


@contextmanager
def listening(probe: Probe, active: Bool[Tensor, "edges ops"]) -> Iterator[Outputs]:
    """A context that collects the outputs of active operations; it removes its hooks at the end."""
    outputs: Outputs = []

    def collect(edge: int, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        # A new view, because the output of an identity is the state itself, which other edges read
        # too. The zeros of `none` have no graph: a new leaf still receives dL/d(output).
        view = output.view_as(output) if output.requires_grad else output.detach().requires_grad_()
        outputs.append((edge, view))
        return view

    handles = [
        module.register_forward_hook(partial(collect, edge))
        for edge, column, module in probe.operations()
        if active[edge, column]
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _check_outputs(
    probe: Probe, edges: Sequence[Edge], active: Bool[Tensor, "edges ops"], outputs: Outputs
) -> None:
    """Raises if some cell did not call the module of an edge's drawn operation."""
    expected = Counter(edge for edge, column, _ in probe.operations() if active[edge, column])
    called = Counter(edge for edge, _ in outputs)
    for edge, number in expected.items():
        if called[edge] < number:
            raise PluginError(
                f"gdas: undrawn=constant reads the output of the drawn operation on every edge; on "
                f"{edges[edge].name} {number - called[edge]} of {number} cells did not call its "
                "module. Use -u undrawn=absent with this space."
            )
