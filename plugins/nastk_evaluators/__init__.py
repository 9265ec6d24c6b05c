"""Evaluators: `supernet` (shared weights) and `size` (parameters, multiply-adds)."""

from nastk import Offer, hookimpl


@hookimpl
def evaluators() -> list[Offer]:
    """Returns the offers of this plugin's evaluators."""
    return [
        Offer(
            "supernet",
            "accuracy of the architecture with the supernet's weights",
            "nastk_evaluators.supernet:SupernetAccuracy",
        ),
        Offer(
            "size",
            "parameters and multiply-adds of the stand-alone network",
            "nastk_evaluators.size:Size",
        ),
    ]
