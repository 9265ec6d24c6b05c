"""What a stand-alone network has: its `parameters`, its `multiply_adds`, its auxiliary head.

An auxiliary head is the network's attribute `auxiliary`, a module or None. It helps in training and
belongs to no trained network, so nobody counts or stores it.
"""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def without_auxiliary(network: nn.Module) -> nn.Module:
    """Removes the auxiliary head of `network`, if it has one, and returns `network`."""
    if getattr(network, "auxiliary", None) is not None:
        network.register_module("auxiliary", None)
    return network


def parameters(network: nn.Module) -> int:
    """Returns the number of trainable parameters."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def multiply_adds(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Returns the multiply-adds of convolutions and matrix products for one image.

    Norms, pools, activations and additions are not counted. `network` is on the meta device, and is
    left in evaluation mode; `shape` is (channels, height, width) of the image.
    """
    image = torch.empty(1, *shape, device="meta")
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    # Torch counts a multiply-add as two operations.
    return int(counter.get_total_flops()) // 2
