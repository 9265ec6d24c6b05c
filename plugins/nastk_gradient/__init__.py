"""Updaters that learn alpha, a logit for each operation, by gradient descent on validation loss.

`relaxed.py` is alpha with its Adam, which every such method shares; `hypergradient.py` is the
gradient of the validation loss; `darts.py` is the updater `darts`, first and second order.
"""

from nastk.hookspecs import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """What this plugin offers."""
    return [
        Offer(
            "darts",
            "learns a softmax over operations by gradient descent on validation loss",
            "nastk_gradient.darts:Darts",
        )
    ]
