"""IS-DARTS: a supernet that is narrowed step by step, the flattest first (He et al., AAAI 2024).

This package offers the updater `isdarts`. Read `measure.py` (how flat an operation's output is),
`output_hooks.py` (that, measured on a supernet), `shrinking.py` (when and what goes), `updater.py`.
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """The updater `isdarts`."""
    return [
        Offer(
            "isdarts",
            "removes the operations whose outputs vary least over the channels, step by step",
            "nastk_isdarts.updater:IsDarts",
        )
    ]
