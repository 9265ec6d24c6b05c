"""MLflow as a tracker: a run's settings, curves and architecture as a run of MLflow.

tracker.py   the tracker
"""

from nastk import Offer, hookimpl


@hookimpl
def trackers() -> list[Offer]:
    """Returns the offer of this plugin's tracker."""
    return [
        Offer(
            "mlflow",
            "a run of MLflow: settings, curves, architecture",
            "nastk_mlflow.tracker:MLflow",
        )
    ]
