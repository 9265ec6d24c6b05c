"""`leave` written out, one operation after the other: what the fast form is held to."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from nastk.nn import added
from nastk_spaces_nasbench201.operations import State, Views
from nastk_spaces_nasbench201.source import Way

Totals = Sequence[State | None]
"""The sums at the nodes so far; None: nothing yet."""


def plain(state: State, totals: Totals, ways: Sequence[Way]) -> list[State | None]:
    """The plain form of `leave`: one operation after the other."""
    views, after = Views(state), list(totals)
    for way in ways:
        x = torch.zeros_like(state) if way.reads == "nothing" else views.read(way.reads)
        if way.kernel is not None and way.norm is not None:
            x = way.norm(F.conv2d(x, way.kernel, padding=way.kernel.shape[-1] // 2))
        after[way.node] = added(after[way.node], x, way.weight)
    return after
