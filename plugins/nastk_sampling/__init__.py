"""Updaters that train the supernet by sampled paths and learn nothing else: `random`."""

from nastk.hookspecs import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """What this plugin offers."""
    return [
        Offer(
            "random",
            "trains a random path a step, then takes the best of some sampled architectures",
            "nastk_sampling.random_path:RandomPath",
        )
    ]
