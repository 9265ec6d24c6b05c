"""Shapley-NAS: operations judged by their Shapley value in the supernet (Xiao et al., CVPR 2022).

This package offers the updater `shapley`. Read `estimate.py` (Shapley values of any game), then
`coalitions.py` (the supernet as a game), `update.py` (how values move alpha) and `updater.py`.
"""

from nastk.hookspecs import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """The updater `shapley`."""
    return [
        Offer(
            "shapley",
            "moves alpha along the operations' Shapley values",
            "nastk_shapley.updater:Shapley",
        ),
    ]
