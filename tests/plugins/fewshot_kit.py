"""Searches of `gm` on the toy that its tests share: inner updaters, their options, leaves."""

from nastk.testing import Harness
from nastk.testing.toy import ToyData
from nastk_evnas.updater import EvNAS
from nastk_fewshot.updater import Gm
from nastk_gradient.darts import Darts
from nastk_isdarts.updater import IsDarts
from nastk_sampling.random_path import RandomPath
from nastk_shapley.updater import Shapley

INNERS = {
    "darts": (Darts, {"learning_rate": 0.05}, 3),
    "shapley": (Shapley, {"samples": 2, "warmup": 0, "batch_size": 16}, 3),
    "random": (RandomPath, {"candidates": 3, "batch_size": 24}, 3),
    "evnas": (EvNAS, {"population": 3, "tournament": 2, "batch_size": 24}, 3),
    "isdarts": (IsDarts, {"interval": 1, "batches": 1}, 5),
}
"""Inner updaters with options that suit the toy, and the epochs they need."""


def options(name="darts", **changes):
    """Options of gm around an inner updater, split after the first epoch."""
    return {
        "inner": name,
        "inner_options": INNERS[name][1],
        "splits": [1],
        "batches": 1,
        **changes,
    }


SMALL = ToyData(ToyData.Options(images=48))


def search(name="darts", epochs=3, **changes):
    """A search with two splits, ended: the harness and its leaves."""
    harness = Harness(
        Gm,
        options(name, **{"splits": [1, 2], **changes}),
        data=SMALL,
        trainer_options={"epochs": epochs, "batch_size": 12},
    )
    return harness, harness.run()


def sizes(subspace):
    return [sum(row) for row in subspace.alive]
