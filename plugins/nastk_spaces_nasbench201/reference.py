"""The reference form of `fused_forward`, one operation after the other; tests compare both."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from nastk.nn import added
from nastk_spaces_nasbench201.node_state import OutgoingOperation
from nastk_spaces_nasbench201.operations import State, Views

Totals = Sequence[State | None]
"""The sums at the nodes so far; None where nothing has reached a node."""


def plain(
    state: State, totals: Totals, outgoing: Sequence[OutgoingOperation]
) -> list[State | None]:
    """Returns the nodes' sums with `outgoing` added, like `fused_forward`, step by step."""
    views, after = Views(state), list(totals)
    for operation in outgoing:
        x = torch.zeros_like(state) if operation.reads == "nothing" else views.read(operation.reads)
        if operation.kernel is not None and operation.norm is not None:
            x = operation.norm(
                F.conv2d(x, operation.kernel, padding=operation.kernel.shape[-1] // 2)
            )
        after[operation.node] = added(after[operation.node], x, operation.weight)
    return after
