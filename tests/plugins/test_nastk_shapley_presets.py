"""The settings of Shapley-NAS: which preset fits where, whose settings it has, and its rates."""

import math

import pytest

from nastk import Schedule, resolve
from nastk_shapley.options import BY_VARIANT
from nastk_shapley.updater import Shapley

ROBUST = [(space, data) for space in ("s1", "s2", "s3", "s4") for data in ("cifar100", "svhn")]


def settled(preset, space="darts", data="cifar10", updater="shapley", **options):
    """The configuration of a preset, and the updater's options as `variant` fills them in."""
    config = resolve(
        {
            "space": space,
            "updater": {"name": updater, "options": options},
            "data": data,
            "preset": preset,
        }
    )
    return config, Shapley.parse_options(config.updater.options).resolved


def rates(config):
    """The learning rate of every epoch, as the trainer makes them."""
    one = config.trainer
    schedule = Schedule(
        one.learning_rate,
        one.minimum_learning_rate,
        0,
        one.epochs,
        one.warmup_epochs,
        one.warmup_cosine,
        int(one.cosine_ahead),
    )
    return [schedule.rate(epoch) for epoch in range(one.epochs)]


@pytest.mark.parametrize(
    ("space", "data", "names"),
    [
        ("darts", "cifar10", ["paper", "official"]),
        ("darts", "cifar100", ["paper", "official"]),
        ("darts", "imagenet", ["paper", "official"]),
        ("darts", "folder", []),
        ("nasbench201", "cifar10", ["paper"]),
        *((space, data, ["paper", "paper-frozen"]) for space, data in ROBUST),
    ],
)
def test_which_presets_fit_where(space, data, names):
    assert [one.name for one in Shapley.presets if one.fits(space, data)] == [*names, "quick"]


@pytest.mark.parametrize(
    ("data", "variant"), [("cifar10", "official"), ("imagenet", "official-imagenet")]
)
def test_the_other_variant_of_a_preset_is_wholly_the_other_one(data, variant):
    _, paper = settled("paper", data=data)
    _, official = settled("official", data=data)
    assert {name: getattr(official, name) for name in BY_VARIANT[variant]} == BY_VARIANT[variant]
    assert settled("paper", data=data, variant=variant)[1] == official
    assert settled("official", data=data, variant="paper")[1] == paper
    assert (paper.risk, paper.normalise, paper.keep_last) == (0.0, "l2", False)
    assert (official.risk, official.normalise) == (1.0, "zscore")
    assert official.keep_last == (data == "imagenet")


@pytest.mark.parametrize(
    ("preset", "data", "updates"),
    [
        ("paper", "cifar10", 35),
        ("official", "cifar10", 25),
        ("paper", "imagenet", 25),
        ("official", "imagenet", 25),
    ],
)
def test_how_often_alpha_moves(preset, data, updates):
    config, options = settled(preset, data=data)
    assert len(options.updates(config.trainer.epochs)) == updates


def test_the_rate_of_the_code_on_cifar_is_a_cosine_that_ends_an_epoch_early():
    found = rates(settled("official")[0])
    assert found == pytest.approx(
        [0.05 * (1 + math.cos(math.pi * (epoch + 1) / 50)) for epoch in range(50)], abs=1e-12
    )
    assert found[49] == pytest.approx(0.0, abs=1e-12)
    assert rates(settled("paper")[0])[0] == 0.1


@pytest.mark.parametrize(("preset", "ahead"), [("official", 1), ("paper", 0)])
def test_the_rate_on_imagenet_is_one_cosine_whose_first_five_epochs_are_overwritten(preset, ahead):
    found = rates(settled(preset, data="imagenet")[0])
    assert found[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])

    def height(epoch):
        return 1 + math.cos(math.pi * (epoch + ahead) / 50)

    # torch's scheduler multiplies the rate that it finds: it goes on from the overwritten 0.5.
    closed = [0.5 * height(epoch) / height(4) for epoch in range(5, 50)]
    assert found[5:] == pytest.approx(closed, abs=1e-12)
    if ahead:
        assert found[21] == pytest.approx(0.304, abs=5e-4)


@pytest.mark.parametrize(("space", "data"), ROBUST)
def test_the_rows_of_table_1_differ_in_nothing_but_how_operations_are_judged(space, data):
    rows = {
        ("shapley", "paper"): {},
        ("shapley", "paper-frozen"): {},
        ("shapley-select", "paper"): {},
        ("darts", "paper"): {},
    }
    found = [
        resolve({"space": space, "updater": updater, "data": data, "preset": preset})
        for updater, preset in rows
    ]
    assert len({str((one.space, one.data, one.trainer)) for one in found}) == 1
    assert found[0].space.options["partial_channels"] == 1
    assert found[0].space.options["include_none"] == (space == "s3")
    inside = found[2].updater.options
    outer = found[3].updater.options
    assert (inside["inner"], inside["inner_options"]["order"], outer["order"]) == ("darts", 1, 2)
    assert inside["inner_options"] == {**outer, "order": 1}


def test_in_the_row_with_a_frozen_alpha_it_never_moves():
    config, options = settled("paper-frozen", "s2", "svhn")
    assert not options.updates(config.trainer.epochs)
    assert options.discretise_by == "phi" and options.idle(config.trainer.epochs) is None
