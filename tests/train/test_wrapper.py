"""`Wrapper`: what it does not answer itself is the updater's inside, bit for bit."""

import re

import pytest
import torch

from nastk import ConfigurationError, Mixture, Plan, Wrapper, catalogue
from nastk.testing import Harness, ToySpace, fingerprint
from nastk.train.wrapper import around, as_weights, complete

LEARN = {"learning_rate": 0.05}


class Silent(Wrapper):
    """Says nothing of its own."""

    name, summary = "silent", "passes everything on"


class Calm(Wrapper):
    """Trains all operations equally in the first epoch."""

    name, summary = "calm", "begins with all operations alike"

    def mixtures(self, probe):
        """See `Wrapper`."""
        calm = probe.epoch < 1
        return [Mixture.uniform(probe.subspace)] if calm else super().mixtures(probe)


@pytest.mark.parametrize("inner", ["darts", "isdarts"])
def test_a_wrapper_without_answers_is_the_updater_inside(inner):
    quick = around(inner, **(LEARN if inner == "darts" else {"shrinks": 2}))
    outer = Harness(Silent, quick)
    plain = Harness(catalogue().load("updater", inner), quick["inner_options"])
    one, two = outer.run()[0], plain.run()[0]
    assert fingerprint(one.supernet.state_dict()) == fingerprint(two.supernet.state_dict())
    assert one.subspace == two.subspace
    assert fingerprint(one.updater.state_dict()["inner"]) == fingerprint(two.updater.state_dict())
    mine, theirs = outer.trainer.probe(one), plain.trainer.probe(two)
    assert one.updater.architecture(mine) == two.updater.architecture(theirs)
    assert outer.trainer.ledger.cost().total.images_forward == (
        plain.trainer.ledger.cost().total.images_forward
    )
    assert one.updater.max_cost(outer.plan) == two.updater.max_cost(plain.plan)


def test_what_a_wrapper_answers_itself_wins_and_a_stopped_run_goes_on_to_the_same_bits():
    def made():
        return Harness(Calm, around("darts", **LEARN))

    (straight,) = made().run()
    assert fingerprint(straight.supernet.state_dict()) != fingerprint(
        Harness(Silent, around("darts", **LEARN)).run()[0].supernet.state_dict()
    )
    first, second = made(), made()
    (resumed,) = second.run(second.resumed(first.run(steps=4)))
    assert fingerprint(resumed.state_dict()) == fingerprint(straight.state_dict())


def test_a_wrapper_that_needs_no_valid_split_asks_what_the_updater_inside_needs():
    updater = Harness(Silent, around("darts")).trainer.root().updater
    why = updater.incompatibility(Plan(3, 3, 16, 48, 0))
    assert re.search("silent around darts learns on the valid split, which is empty", why)
    assert updater.incompatibility(Plan(3, 3, 16, 48, 48)) is None
    assert "warmup=9" in (
        Harness(Silent, around("darts", warmup=9))
        .trainer.root()
        .updater.incompatibility(Plan(3, 3, 16, 48, 48))
    )


def test_a_preset_says_all_options_of_what_is_installed_and_those_given_of_what_is_not():
    known = catalogue().load("updater", "random").Options.model_fields
    assert set(around("random", candidates=7)["inner_options"]) == set(known)
    assert around("no-such", rate=1) == {"inner": "no-such", "inner_options": {"rate": 1}}
    for preset in ("paper", "thorough"):
        with pytest.raises(
            ConfigurationError, match=f"'darts' has no preset '{preset}' for any sp"
        ):
            complete("darts", {}, preset)


NAN, INF = float("nan"), float("inf")
WITHOUT = ToySpace().full().drop(0, 1)
"""The toy's five edges; on the first the operation 1 is dead, and the last two have no fourth."""


@pytest.mark.parametrize(
    ("first", "others", "kept"),
    [
        ([1, 0, 0, 0], [1, 0, 0, 0], True),  # each edge sums to one, whatever a column sums to
        ([0.2, 9, 0.3, 0.1], [0.25, 0.25, 0.5, 0], True),  # what is dead does not count
        ([0.2, NAN, 0.3, 0.5], [0.25, 0.25, 0.5, 0], True),
        ([0.2, 0, 0.3, 0], [0, 0.5, 0, 0], True),  # less than one
        ([0, 0, 0, 0], [0, 0.5, 0, 0], True),
        ([1 + 5e-5, 0, 0, 0], [1, 0, 0, 0], True),  # one, but for rounding
        ([1 + 5e-4, 0, 0, 0], [1, 0, 0, 0], False),
        ([0.6, 0, 0.6, 0], [1, 0, 0, 0], False),
        ([0, 0, 0, 0], [0, 0, 0, 0], False),
        ([-0.1, 0, 0.3, 0], [1, 0, 0, 0], False),
        ([NAN, 0, 0, 0], [1, 0, 0, 0], False),
        ([INF, 0, 0, 0], [1, 0, 0, 0], False),
    ],
)
def test_scores_are_weights_where_they_can_be(first, others, kept):
    scores = torch.tensor([first, *[others] * 4], dtype=torch.float64)
    found = as_weights(scores, WITHOUT)
    expected = scores.float().masked_fill(~WITHOUT.mask, 0.0)
    assert torch.equal(found, expected if kept else Mixture.uniform(WITHOUT).weights)
    assert torch.equal(as_weights(None, WITHOUT), Mixture.uniform(WITHOUT).weights)
