"""IS-DARTS: removes the operations with the flattest outputs step by step (He et al., AAAI 2024).

This package offers the updater `isdarts`. Read `measure.py` (how flat a feature map is),
`output_hooks.py` (measures the operations of a supernet), `shrinking.py` (when the supernet shrinks
and which operations are removed) and then `updater.py`.
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """Returns the offer of the updater `isdarts`."""
    return [
        Offer(
            "isdarts",
            "removes the operations whose outputs vary least over the channels, step by step",
            "nastk_isdarts.updater:IsDarts",
        )
    ]
