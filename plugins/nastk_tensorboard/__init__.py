"""TensorBoard as a tracker: a run's curves as event files in its folder.

tracker.py   the tracker
"""

from nastk import Offer, hookimpl


@hookimpl
def trackers() -> list[Offer]:
    """Returns the offer of this plugin's tracker."""
    return [
        Offer(
            "tensorboard",
            "curves of a run in TensorBoard's event files",
            "nastk_tensorboard.tracker:TensorBoard",
        )
    ]
