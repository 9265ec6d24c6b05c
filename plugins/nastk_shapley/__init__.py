"""Shapley-NAS: operations judged by their Shapley value in the supernet (Xiao et al., CVPR 2022).

This package offers the updaters `shapley` and `shapley-select`. Read `estimate.py` (Shapley values
of any game), then `coalitions.py` (the supernet as a game), `measuring.py` (an estimate of it),
`update.py` (how values move alpha) and `updater.py`; `selecting.py` is for the end of any search.
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """What this plugin offers."""
    return [
        Offer(
            "shapley",
            "moves alpha along the operations' Shapley values",
            "nastk_shapley.updater:Shapley",
        ),
        Offer(
            "shapley-select",
            "lets another updater search, then keeps the operations of largest Shapley value",
            "nastk_shapley.selecting:ShapleySelect",
        ),
    ]
