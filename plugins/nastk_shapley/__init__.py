"""Shapley-NAS: Shapley values of a supernet's operations guide the search (Xiao et al., CVPR 2022).

This package offers the updaters `shapley` and `shapley-select`. Read `estimate.py` (Shapley values
of any game), `coalitions.py` (the supernet as a game), `measuring.py` (estimates its values),
`update.py` (moves alpha by the values) and `updater.py`. `selecting.py` decides by them at the end
of any search.
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """Returns the offers of this plugin's updaters."""
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
