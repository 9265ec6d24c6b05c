"""Few-shot search: the space is split along an edge, and any updater searches in each part.

This package offers the updaters `gm` (groups operations whose gradients of the shared weights
agree; Hu et al., ICLR 2022) and `fewshot` (one part for each operation). Read `split_schedule.py`
(when a run splits), `matching.py` (how much operations disagree), `partition.py` (which operations
stay together), `cut.py` (which edge is split), then `updater.py`.
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """Returns the offers of the updaters `gm` and `fewshot`."""
    return [
        Offer(
            "gm",
            "splits the space where operations disagree; another updater searches in each part",
            "nastk_fewshot.updater:Gm",
        ),
        Offer(
            "fewshot",
            "splits an edge into its single operations; another updater searches in each part",
            "nastk_fewshot.fewshot:FewShot",
        ),
    ]
