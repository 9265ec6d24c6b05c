"""Updaters that train the supernet on sampled paths and learn nothing else: `random` and `fair`.

paths.py          draws paths: connected ones, and sets that are fair to every operation
candidates.py     samples distinct architectures, and ranks them by supernet accuracy
evolution.py      chooses an architecture by evolution, as SPOS does
choice.py         the base class of both updaters, which chooses after the last epoch
random_path.py    `random`: one uniform path for each step
fair.py           `fair`: every operation once in each step
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """Returns the offers of this plugin's updaters."""
    return [
        Offer(
            "random",
            "trains a random path a step, then takes the best of some sampled architectures",
            "nastk_sampling.random_path:RandomPath",
        ),
        Offer(
            "fair",
            "trains every operation exactly once a step, then takes the best of some architectures",
            "nastk_sampling.fair:Fair",
        ),
    ]
