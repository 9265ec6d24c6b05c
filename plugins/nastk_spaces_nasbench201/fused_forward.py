"""`fused_forward` computes all operations that leave a state and adds them to the later nodes.

On a CPU this space spends as much time on passes over memory as on convolutions. Therefore the
kernels of a state's 3x3 convolutions are concatenated and applied as one convolution. Of its output
only means and variances are taken; norm and mixing weight become one factor per channel when the
output is added to the sum. A 1x1 convolution needs no output at all: `node_state.py` derives the
statistics of its output from the moments of its input. In the backward pass (`fused_backward.py`)
the gradients of all these operations are likewise combined in a few passes over memory.

Under bf16 autocast only the convolutions run in bf16; statistics and sums keep single precision.
`reference.py` is the same function written out; other devices run that one.
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
    """Called by `SearchCell` once per state: returns the nodes' sums with `outgoing` added.

    A sum is None where nothing has reached a node. Without gradients the memory of `totals` is
    overwritten.
    """
    if not _is_supported(state):
        return plain(state, totals, outgoing)
    # `none` adds zeros, so it matters only for a node that nothing has reached.
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
            function: Any = _FusedForward
            kernels = [operation.kernel for operation in outgoing]
            reached = function.apply(outgoing, nodes, low, weights, single, *before, *kernels)
        else:
            source = NodeState.of(single, outgoing, low, weights.shape[:-1])
            # In a pass without gradients nothing else refers to the sums.
            sums = source.sums(
                outgoing, dict(zip(nodes, before, strict=True)), weights, overwrite=True
            )
            reached = [sums[node] for node in nodes]
    after = list(totals)
    for node, total in zip(nodes, reached, strict=True):
        after[node] = total
    return after


def _is_supported(state: State) -> bool:
    """True if the fused code applies: on a CPU, and in reduced precision only under autocast."""
    if state.device.type != "cpu":
        return False
    return state.dtype in (torch.float32, torch.float64) or torch.is_autocast_enabled("cpu")


class _FusedForward(torch.autograd.Function):
    """`NodeState.sums` with its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        outgoing: Sequence[OutgoingOperation],
        nodes: Sequence[int],
        low: torch.dtype | None,
        weights: Float[Tensor, "operations"],
        state: State,
        *tensors: Tensor | None,
    ) -> tuple[State, ...]:
        # `tensors` are the totals of `nodes`, then one kernel (or None) per outgoing operation.
        source = NodeState.of(state, outgoing, low)
        totals = dict(zip(nodes, tensors, strict=False))
        sums = source.sums(outgoing, totals, weights)
        dense = [part for part in (source.wide, source.narrow) if part is not None]
        ctx.given = outgoing, nodes, low
        ctx.indices = [part and part.indices for part in (source.wide, source.narrow)]
        # Every tensor goes through `save_for_backward`, never onto `ctx` itself: only so can
        # gradient checkpointing free it and recompute it in the backward pass.
        parts = [tensor for part in dense for tensor in part.tensors]
        maps = [source.state, source.pool]
        ctx.save_for_backward(weights, state, *tensors[len(nodes) :], *maps, *parts)
        return tuple(sums[node] for node in nodes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        outgoing, nodes, low = ctx.given
        weights, state, *saved = ctx.saved_tensors
        kernels, rest = saved[: len(outgoing)], iter(saved[len(outgoing) :])
        single, pool = islice(rest, 2)
        wide, narrow = (
            indices and Dense(indices, *islice(rest, Dense.TENSORS)) for indices in ctx.indices
        )
        # Recomputing the ReLU is cheaper than the memory that would keep it.
        source = NodeState(
            single, torch.relu(single) if wide or narrow else None, pool, wide, narrow
        )
        by_node = dict(zip(nodes, gradients, strict=True))
        if torch.is_grad_enabled():  # a second derivative was requested (create_graph=True)
            computed = fused_backward.differentiable(by_node, outgoing, weights, state, kernels)
        else:
            computed = fused_backward.fast(
                by_node, outgoing, weights, source, low, ctx.needs_input_grad[3:]
            )
        of_weights, of_state, *of_kernels = computed
        wanted = ctx.needs_input_grad[5:]
        # A total enters its sum with factor one, so its gradient is that of the sum.
        of_totals = [
            gradient if needed else None
            for gradient, needed in zip(gradients, wanted, strict=False)
        ]
        return None, None, None, of_weights, of_state, *of_totals, *of_kernels
