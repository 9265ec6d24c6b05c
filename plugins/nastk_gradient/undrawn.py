"""The slope of alpha in the published runs of GDAS on NAS-Bench-201.

Their cell adds to each edge, beside the drawn operation's weighted output, the bare weights of the
others. These are zero, so no output changes; but each has a slope, that of an operation whose
output is one everywhere. For an undrawn weight w on an edge into a node with value y it is

    dL/dw = sum over cells, images, channels and positions of dL/dy

which has nothing to do with the operation. Here it is read from the drawn operation's output, whose
weight is exactly one, so that dL/d(output) = dL/dy.
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
"""(edge, output) of each drawn operation of each cell."""


def published_slope(
    probe: Probe,
    edges: Sequence[Edge],
    drawn: Mixture,
    alpha: Float[Tensor, "edges ops"],
    batch: Batch,
) -> Float[Tensor, "edges ops"]:
    """The gradient of the loss on `batch` for `alpha`, undrawn operations counted as constants.

    `drawn` has one active operation of weight one on each edge, with a slope for the others. One
    forward and one backward pass of a batch.

    Raises:
        PluginError: the supernet computes a drawn operation without calling its module.
    """
    with listening(probe, drawn.active) as outputs:
        loss = probe.loss(drawn, batch)
        heard = list(outputs)  # a cell that is computed again on the way back is heard again
        _check_heard(probe, edges, drawn.active, heard)
        behind = [drawn.weights, *(output for _, output in heard)]
        of_weights, *of_outputs = torch.autograd.grad(loss, behind, materialize_grads=True)
    constant = torch.zeros(len(edges), 1, device=of_weights.device, dtype=of_weights.dtype)
    for (edge, _), gradient in zip(heard, of_outputs, strict=True):
        constant[edge] += gradient.sum()
    others = (probe.subspace.mask & ~drawn.active).to(of_weights.device)
    slope = of_weights + constant * others
    (found,) = torch.autograd.grad(drawn.weights, alpha, slope)
    return found


@contextmanager
def listening(probe: Probe, active: Bool[Tensor, "edges ops"]) -> Iterator[Outputs]:
    """Inside, the outputs of active operations come together; no hook is left behind."""
    outputs: Outputs = []

    def told(edge: int, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        # A view of its own: an identity's output is the state, which others read too. The zeros of
        # `none` have no graph, but a gradient arrives there as well.
        own = output.view_as(output) if output.requires_grad else output.detach().requires_grad_()
        outputs.append((edge, own))
        return own

    handles = [
        module.register_forward_hook(partial(told, edge))
        for edge, column, module in probe.operations()
        if active[edge, column]
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def _check_heard(
    probe: Probe, edges: Sequence[Edge], active: Bool[Tensor, "edges ops"], heard: Outputs
) -> None:
    """Raise where some cell did not call the drawn operation of an edge."""
    expected = Counter(edge for edge, column, _ in probe.operations() if active[edge, column])
    called = Counter(edge for edge, _ in heard)
    for edge, number in expected.items():
        if called[edge] < number:
            raise PluginError(
                f"gdas: undrawn=constant reads the output of the drawn operation on every edge; on "
                f"{edges[edge].name} {number - called[edge]} of {number} cells did not call its "
                "module. Use -u undrawn=absent with this space."
            )
