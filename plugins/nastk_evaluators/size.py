"""How large a network is: `Size` counts what the stand-alone network holds and computes."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nastk import Architecture, Evaluation, Evaluator, Probe, Task


class Size(Evaluator):
    """Parameters, and multiply-adds for one image, of the network that would be trained.

    An auxiliary head, which helps training and is dropped afterwards, does not count: it is the
    network's attribute `auxiliary`, or None.

    Example: `Size(context).evaluate(architecture, None).metrics["parameters"]`
    """

    name = "size"
    summary = "parameters and multiply-adds of the stand-alone network"
    needs_images = False

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search, and by `nastk evaluate`: counts, training nothing."""
        space, task = self.context.space, self.context.task
        with torch.device(
            "meta"
        ):  # shapes without storage: no weights are drawn, nothing is computed
            network = space.network(space.check(architecture), task)
        without_auxiliary(network)
        metrics = {
            "parameters": parameters(network),
            "multiply_adds": multiply_adds(network, task),
        }
        note = f"Counted for one image of {task.form}, without an auxiliary head."
        return Evaluation(self.name, metrics, (note,))


def without_auxiliary(network: nn.Module) -> nn.Module:
    """`network` after its auxiliary head, if it has one, was taken off."""
    if getattr(network, "auxiliary", None) is not None:
        network.register_module("auxiliary", None)
    return network


def parameters(network: nn.Module) -> int:
    """How many numbers training would change."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def multiply_adds(network: nn.Module, task: Task) -> int:
    """Multiply-adds of convolutions and matrix products for one image.

    Norms, pools, activations and additions are not counted. `network` is on the meta device; it is
    left in evaluation mode.
    """
    image = torch.empty(1, *task.shape, device="meta")
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    # Torch counts a multiply-add as two operations, one of each kind.
    return int(counter.get_total_flops()) // 2
