"""From the CPU to the device without waiting: `uploaded`."""

import torch
from torch import Tensor


def uploaded(tensor: Tensor, device: torch.device) -> Tensor:
    """Called for what changes with every batch: `tensor` on `device`, while the CPU goes on.

    The same tensor where it is there already.
    """
    if tensor.device.type == "cpu" and device.type == "cuda":
        # A copy from ordinary memory waits for the device; pinned memory is read when its turn is.
        tensor = tensor if tensor.is_pinned() else tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
