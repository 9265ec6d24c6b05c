"""All operations that leave one state of a cell at once: `fused_forward` adds them to later nodes.

On a CPU the time of this space goes into passes over memory as much as into convolutions. So the
convolutions of a state are one, with their kernels put together; of their outputs only means and
variances are taken, and norm and mixing weight become one factor a channel on the way into the sum.
A 1x1 convolution needs no output at all (see `nastk.nn.kernels.mixing`). On the way back
(`fused_backward.py`) the gradients of all that left come together in a few passes as well.

Under bf16 autocast the convolutions alone are in bf16; statistics and sums keep single precision.
`reference.py` is the same function written out; it is what other devices compute.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nastk_spaces_nasbench201 import fused_backward
from nastk_spaces_nasbench201.node_state import Dense, NodeState, OutgoingOperation
from nastk_spaces_nasbench201.operations import State
from nastk_spaces_nasbench201.reference import Totals, plain


def fused_forward(
    state: State, totals: Totals, outgoing: Sequence[OutgoingOperation]
) -> list[State | None]:
    """Called for every state: the sums at the nodes (None: nothing yet) with all `outgoing` added.

    Without gradients the memory of `totals` is written over.
    """
    if not _is_fast(state):
        return plain(state, totals, outgoing)
    # `none` alone changes a node only if nothing reached it before.
    nodes = sorted(
        {
            operation.node
            for operation in outgoing
            if operation.reads != "nothing" or totals[operation.node] is None
        }
    )
    if not nodes:
        return list(totals)
    low = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
    with torch.autocast("cpu", enabled=False):
        weights = torch.stack([operation.weight for operation in outgoing], -1)
        single = state.float() if state.dtype == low else state
        before = [totals[node] for node in nodes]
        if torch.is_grad_enabled():
            function: Any = _Leave
            kernels = [operation.kernel for operation in outgoing]
            found = function.apply(outgoing, nodes, low, weights, single, *before, *kernels)
        else:
            source = NodeState.of(single, outgoing, low, weights.shape[:-1])
            # Nobody else has the sums of a pass without gradients.
            sums = source.sums(outgoing, dict(zip(nodes, before, strict=True)), weights, own=True)
            found = [sums[node] for node in nodes]
    after = list(totals)
    for node, total in zip(nodes, found, strict=True):
        after[node] = total
    return after


def _is_fast(state: State) -> bool:
    """Whether there is a faster way than the plain one: on a CPU, but not in reduced precision."""
    if state.device.type != "cpu":
        return False
    return state.dtype in (torch.float32, torch.float64) or torch.is_autocast_enabled("cpu")


class _Leave(torch.autograd.Function):
    """`NodeState.sums` with its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        outgoing: Sequence[OutgoingOperation],
        nodes: Sequence[int],
        low: torch.dtype | None,
        weights: Float[Tensor, "ways"],
        state: State,
        *tensors: Tensor | None,
    ) -> tuple[State, ...]:
        source = NodeState.of(state, outgoing, low)
        totals = dict(zip(nodes, tensors, strict=False))
        sums = source.sums(outgoing, totals, weights)
        dense = [each for each in (source.wide, source.narrow) if each is not None]
        ctx.given = outgoing, nodes, low
        ctx.places = [each and each.places for each in (source.wide, source.narrow)]
        # All of it this way and not on `ctx` itself, so that a checkpoint can let it go.
        found = [tensor for each in dense for tensor in each.tensors]
        maps = [source.state, source.pool]
        ctx.save_for_backward(weights, state, *tensors[len(nodes) :], *maps, *found)
        return tuple(sums[node] for node in nodes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        outgoing, nodes, low = ctx.given
        weights, state, *saved = ctx.saved_tensors
        kernels, rest = saved[: len(outgoing)], iter(saved[len(outgoing) :])
        single, pool = islice(rest, 2)
        wide, narrow = (each and Dense(each, *islice(rest, Dense.TENSORS)) for each in ctx.places)
        # The ReLU takes less time than memory that keeps it.
        source = NodeState(
            single, torch.relu(single) if wide or narrow else None, pool, wide, narrow
        )
        by_node = dict(zip(nodes, gradients, strict=True))
        if torch.is_grad_enabled():  # someone will differentiate the gradient
            found = fused_backward.differentiable(by_node, outgoing, weights, state, kernels)
        else:
            found = fused_backward.fast(
                by_node, outgoing, weights, source, low, ctx.needs_input_grad[3:]
            )
        of_weights, of_state, *of_kernels = found
        wanted = ctx.needs_input_grad[5:]
        of_totals = [each if on else None for each, on in zip(gradients, wanted, strict=False)]
        return None, None, None, of_weights, of_state, *of_totals, *of_kernels
