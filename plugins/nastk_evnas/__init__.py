"""EvNAS: architectures bred by a genetic algorithm over one supernet (Sinha and Chen, GECCO 2021).

This package offers the updater `evnas`. Read `genetics.py` (the genetic operators, for any
fitness), `decoding.py` (from genomes to mixtures), `fitness.py` (the accuracies of a population),
then `updater.py`.
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """Returns the offer of the updater `evnas`."""
    return [
        Offer(
            "evnas",
            "breeds architectures by tournament, crossover and mutation in one supernet",
            "nastk_evnas.updater:EvNAS",
        ),
    ]
