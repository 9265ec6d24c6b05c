"""Decides when the kernels of this package call torch's own form instead."""

import torch
from torch import Tensor


def takes_plain_form(x: Tensor) -> bool:
    """True unless `x` is on a CPU in full precision: in other cases torch's own form is faster.

    It is also true while torch.export traces a network: exports are for other runtimes, which have
    fast forms of their own for torch's operations.
    """
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return True
    return torch.is_autocast_enabled("cpu") or torch.compiler.is_exporting()
