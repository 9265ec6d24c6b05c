"""Evaluators without training: `supernet` (accuracy, shared weights), `size` (parameters, work)."""

from nastk.hookspecs import Offer, hookimpl


@hookimpl
def evaluators() -> list[Offer]:
    """What this plugin offers."""
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
