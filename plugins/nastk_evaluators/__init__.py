"""Evaluators: `supernet` (shared weights), `size` (parameters, multiply-adds) and `retrain`."""

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
        Offer(
            "retrain",
            "accuracy of the stand-alone network, trained from scratch",
            "nastk_evaluators.retrain:Retrain",
        ),
    ]
