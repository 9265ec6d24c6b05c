"""The evaluator `size`: parameters and multiply-adds of the stand-alone network."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nastk import Architecture, Evaluation, Evaluator, Probe, Task


class Size(Evaluator):
    """Parameters of the stand-alone network, and its multiply-adds for one image.

    An auxiliary head (the network's attribute `auxiliary`, or None) does not count, because it is
    used in training only.

    Example: `Size(context).evaluate(architecture, None).metrics["parameters"]`
    """

    name = "size"
    summary = "parameters and multiply-adds of the stand-alone network"
    needs_images = False

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search, and by `nastk evaluate`: counts without training."""
        space, task = self.context.space, self.context.task
        # On the meta device tensors have no storage: nothing is drawn and nothing computed.
        with torch.device("meta"):
            network = space.network(space.check(architecture), task)
        without_auxiliary(network)
        metrics = {
            "parameters": parameters(network),
            "multiply_adds": multiply_adds(network, task),
        }
        note = f"Counted for one image of {task.form}, without an auxiliary head."
        return Evaluation(self.name, metrics, (note,))


def without_auxiliary(network: nn.Module) -> nn.Module:
    """Removes the auxiliary head of `network`, if it has one, and returns `network`."""
    if getattr(network, "auxiliary", None) is not None:
        network.register_module("auxiliary", None)
    return network


def parameters(network: nn.Module) -> int:
    """Returns the number of trainable parameters."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def multiply_adds(network: nn.Module, task: Task) -> int:
    """Returns the multiply-adds of convolutions and matrix products for one image.

    Norms, pools, activations and additions are not counted. `network` is on the meta device, and is
    left in evaluation mode.
    """
    image = torch.empty(1, *task.shape, device="meta")
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    # Torch counts a multiply-add as two operations.
    return int(counter.get_total_flops()) // 2
