"""Where the kernels of this package leave the work to the plain form."""

import torch
from torch import Tensor


def takes_plain_form(x: Tensor) -> bool:
    """Whether `x` is not on a CPU in full precision: elsewhere torch's own form is the fast one."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        return True
    return torch.is_autocast_enabled("cpu")
