"""Searches without a supernet: each architecture is evaluated on its own, by any evaluator.

history.py        the evaluated architectures of a run
neighbours.py     the architectures that differ in one decision
search.py         the base class: proposes, evaluates, keeps the best
random_search.py  `random-search`: distinct random architectures
local_search.py   `local-search`: moves to better neighbours, begins anew at a local optimum
evolution.py      `regularized-evolution`: mutates the best of a few; the oldest dies
encoding.py       architectures as parameters of Optuna
ask_and_tell.py   `optuna`: asks a sampler of Optuna, and tells it what was found
"""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """Returns the offers of this plugin's updaters."""
    return [
        Offer(
            "random-search",
            "evaluates distinct random architectures and takes the best; no supernet",
            "nastk_black_box.random_search:RandomSearch",
        ),
        Offer(
            "local-search",
            "moves to better neighbours by an evaluator, from random starts; no supernet",
            "nastk_black_box.local_search:LocalSearch",
        ),
        Offer(
            "regularized-evolution",
            "mutates the best of a few by an evaluator, and drops the oldest; no supernet",
            "nastk_black_box.evolution:RegularizedEvolution",
        ),
        Offer(
            "optuna",
            "asks a sampler of Optuna, such as TPE, and tells it the evaluations; no supernet",
            "nastk_black_box.ask_and_tell:OptunaSearch",
        ),
    ]
