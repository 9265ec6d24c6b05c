"""Updaters that train the supernet by sampled paths and learn nothing else: `random` and `fair`.

paths.py          which paths are drawn: connected ones, and sets that are fair to every operation
candidates.py     a sample of distinct architectures, and their ranking by supernet accuracy
evolution.py      the evolutionary choice of SPOS
choice.py         options and updater base of what happens after the last epoch
random_path.py    `random`: one uniform path a step
fair.py           `fair`: every operation once a step
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """What this plugin offers."""
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
