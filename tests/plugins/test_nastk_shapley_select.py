"""`shapley-select`: the updater inside until the end, then the Shapley values of its supernet."""

from typing import ClassVar

import pytest
import torch
from core_kit import ShortContract

from nastk import ConfigurationError, Continuation, Mixture, Plan, catalogue
from nastk.base.events import UpdaterReported
from nastk.testing import Harness, fingerprint
from nastk_gradient.darts import Darts
from nastk_sampling.random_path import RandomPath
from nastk_shapley.selecting import ShapleySelect
from nastk_shapley.updater import Shapley

LEARN = {"learning_rate": 0.05}
FEW = {"samples": 2, "batch_size": 16, "value": "neg_loss", "min_ratio": 0.0}


def wrapped(**options):
    return Harness(ShapleySelect, {"inner_options": LEARN, **FEW, **options})


def reports(harness):
    return [one for one in harness.events if isinstance(one, UpdaterReported)]


class TestShapleySelect(ShortContract):
    updater = ShapleySelect
    options: ClassVar = {"inner_options": LEARN, **FEW}


@pytest.mark.slow
class TestAroundPaths(ShortContract):
    updater = ShapleySelect
    options: ClassVar = {"inner": "random", "inner_options": {"candidates": 3}, **FEW}


@pytest.mark.parametrize(
    ("options", "inner", "inner_options"),
    [
        ({}, Darts, LEARN),
        ({"inner": "random", "inner_options": {"candidates": 3}}, RandomPath, {"candidates": 3}),
    ],
)
def test_until_its_last_epoch_is_over_it_is_the_updater_inside_to_the_bit(
    options, inner, inner_options
):
    outer, plain = wrapped(**options), Harness(inner, inner_options)
    made = (outer, plain)
    (one,), (two,) = (each.run(steps=3 * len(each.trainer.train)) for each in made)
    assert one.updater.values is None
    assert fingerprint(one.supernet.state_dict()) == fingerprint(two.supernet.state_dict())
    assert fingerprint(one.updater.state_dict()["inner"]) == fingerprint(two.updater.state_dict())
    mine, theirs = outer.trainer.probe(one), plain.trainer.probe(two)
    assert one.updater.architecture(mine) == two.updater.architecture(theirs)


@pytest.mark.parametrize("mixing", ["scores", "uniform"])
def test_the_values_are_those_of_the_supernet_under_the_mixture_it_ends_with(mixing):
    harness = wrapped(mixing=mixing)
    (branch,) = harness.run()
    updater, probe = branch.updater, harness.trainer.probe(branch)
    assert [one.epoch for one in reports(harness)] == [3]
    assert updater.architecture(probe) == harness.space.decide(updater.values, probe.subspace)
    alike = updater.inner.scores(probe) if mixing == "scores" else None
    mixture = (
        Mixture.uniform(probe.subspace) if alike is None else Mixture(alike, probe.subspace.mask)
    )
    # The values of every order telescope: from the whole supernet to the silent one.
    stream = probe.valid.view("shapley", 16, True)
    orders = range(3 * 2, 3 * 2 + 2)
    players = probe.subspace.alive_operations()
    lost = [
        silent - full
        for full, silent in (
            probe.scores([mixture, mixture.without_all(players)], [stream.at(number)], of="loss")
            for number in orders
        )
    ]
    assert float(updater.values.sum()) == pytest.approx(sum(lost) / 2, abs=1e-5)
    assert updater.scores(probe)[0, 0] == 0.0 and torch.isnan(updater.scores(probe)[4, 3])


def test_around_an_updater_that_keeps_alpha_it_is_shapley_decided_by_its_last_values():
    """`shapley` with an alpha that rests estimates once, at the end, under nearly equal weights."""
    resting = {"warmup": 3, "discretise_by": "phi", "alpha_noise": 0.0}
    plain = Harness(Shapley, {**resting, **FEW})
    inside = {"warmup": 2, "step_size": 0.0, "alpha_noise": 0.0, "samples": 1, "every": 9}
    around = wrapped(inner="shapley", inner_options=inside, mixing="uniform")
    (one,), (two,) = plain.run(), around.run()
    assert fingerprint(one.supernet.state_dict()) == fingerprint(two.supernet.state_dict())
    assert one.updater.values.sum() == pytest.approx(float(two.updater.values.sum()), abs=1e-5)


def test_an_updater_that_ends_its_branch_is_decided_there(monkeypatch):
    harness = wrapped()
    monkeypatch.setattr(
        Darts,
        "after_epoch",
        lambda self, probe: [Continuation(probe.subspace)] if probe.epoch < 2 else [],
    )
    (branch,) = harness.run()
    assert branch.ended and branch.epoch == 2
    assert [one.epoch for one in reports(harness)] == [2]
    assert branch.updater.values is not None


def test_the_forecast_adds_one_estimate_to_the_updater_inside():
    harness = wrapped()
    updater = harness.trainer.root().updater
    inner = updater.inner.max_cost(harness.plan)
    assert updater.max_cost(harness.plan).images_forward - inner.images_forward == 2 * 14 * 16
    assert updater.max_cost(harness.plan).images_backward == inner.images_backward


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"antithetic": True, "samples": 3}, "shapley-select: antithetic orders come in pairs"),
        ({"exact": "always"}, "shapley-select: exact=always takes at most 12 operations"),
        ({"inner_options": {"warmup": 9}}, "darts: warmup=9 leaves alpha no epoch of 4"),
    ],
)
def test_plans_that_cannot_work_are_refused(options, message):
    updater = wrapped(**options).trainer.root().updater
    assert message in updater.incompatibility(Plan(4, 3, 16, 48, 48))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner": "dart"}, "No updater is named 'dart'. Did you mean 'darts'"),
        ({"inner_options": {"rate": 1}}, "darts has no option 'rate'"),
        ({"inner": [1]}, "shapley-select: inner: expected a valid string"),
        ({"inner_options": [1]}, "shapley-select: inner_options: expected a valid dictionary"),
        ({"mixing": "alpha"}, "mixing must be one of 'scores' or 'uniform'"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigurationError, match=message.replace("[", r"\[")):
        ShapleySelect.parse_options(options)


def test_the_run_knows_every_option_of_the_updater_inside():
    made = ShapleySelect.parse_options({"inner": "random", "inner_options": {"candidates": 7}})
    known = catalogue().load("updater", "random").Options.model_fields
    assert set(made.inner_options) == set(known) and made.inner_options["candidates"] == 7
