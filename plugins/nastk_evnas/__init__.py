"""EvNAS: architectures bred by a genetic algorithm over one supernet (Sinha and Chen, GECCO 2021).

This package offers the updater `evnas`. Read `genetics.py` (the operators, on any fitness), then
`decoding.py` (a genome as a mixture), `fitness.py` (one pass over the data for all), `updater.py`.
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """The updater `evnas`."""
    return [
        Offer(
            "evnas",
            "breeds architectures by tournament, crossover and mutation in one supernet",
            "nastk_evnas.updater:EvNAS",
        ),
    ]
