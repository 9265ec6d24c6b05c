"""The contract of every updater, and what is peculiar to coins."""

from nastk_coin.coin import Coin
from nastk_coin.lucky import LuckyCoin

from nastk.testing import Harness, UpdaterContract


class TestCoin(UpdaterContract):
    """The coin is an updater."""

    updater = Coin


class TestLuckyCoin(UpdaterContract):
    """The lucky coin is an updater."""

    updater, options = LuckyCoin, {"tosses": 2}


def test_a_coin_falls_differently_for_different_seeds() -> None:
    """The toss comes from the seed."""
    found = set()
    for seed in range(5):
        harness = Harness(Coin, seed=seed)
        (branch,) = harness.run(steps=1)
        found.add(branch.updater.architecture(harness.trainer.probe(branch)))
    assert len(found) > 1


def test_a_lucky_coin_keeps_the_best_toss() -> None:
    """Of three tosses and the one it had, the best by accuracy is kept."""
    harness = Harness(LuckyCoin, {"tosses": 3})
    harness.run()
    reports = [event.values for event in harness.events if event.kind == "updater-reported"]
    assert len(reports) == 3
    for values in reports:
        assert len(values["accuracies"]) == 4
        assert values["accuracies"][values["kept"]] == max(values["accuracies"])
