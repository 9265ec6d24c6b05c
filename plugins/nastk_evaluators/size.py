"""The evaluator `size`: parameters and multiply-adds of the stand-alone network."""

import torch

from nastk import Architecture, Evaluation, Evaluator, Probe
from nastk.nn import multiply_adds, parameters, without_auxiliary


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
            "multiply_adds": multiply_adds(network, task.shape),
        }
        note = f"Counted for one image of {task.form}, without an auxiliary head."
        return Evaluation(self.name, metrics, (note,))
