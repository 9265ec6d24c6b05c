"""Weights & Biases as a tracker, offline unless asked otherwise.

tracker.py   the tracker
"""

from nastk import Offer, hookimpl


@hookimpl
def trackers() -> list[Offer]:
    """Returns the offer of this plugin's tracker."""
    return [
        Offer(
            "wandb",
            "a run of Weights & Biases, offline unless asked otherwise",
            "nastk_wandb.tracker:WeightsAndBiases",
        )
    ]
