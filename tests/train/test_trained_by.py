"""Updaters whose weights are trained by another one's mixtures (`train`)."""

from typing import Any, ClassVar

import pytest
import torch
from core_kit import ShortContract

from nastk import ArchitectureUpdater, ConfigurationError, Mixture, Plan
from nastk.testing import Harness, fingerprint
from nastk_evnas.updater import EvNAS
from nastk_fewshot.updater import Gm
from nastk_gradient.darts import Darts
from nastk_gradient.darts_pt import DartsPt
from nastk_isdarts.updater import IsDarts
from nastk_sampling.fair import Fair
from nastk_sampling.random_path import RandomPath
from nastk_shapley.updater import Shapley

FEW: dict[str, dict[str, Any]] = {
    "shapley": {"samples": 2, "warmup": 1, "batch_size": 16, "game": "paths"},
    "isdarts": {"batches": 1},
    "gm": {"batches": 1, "splits": [1], "inner_options": {"warmup": 0}},
    "darts-pt": {"interval": 0, "batches": 1, "inner_options": {"warmup": 0}},
}
UPDATERS: dict[str, type[ArchitectureUpdater]] = {
    "shapley": Shapley,
    "isdarts": IsDarts,
    "gm": Gm,
    "darts-pt": DartsPt,
}
EPOCHS = {"isdarts": 5}


def harness(name: str, **options: Any) -> Harness:
    epochs = {"epochs": EPOCHS.get(name, 3)}
    return Harness(UPDATERS[name], {**FEW[name], **options}, trainer_options=epochs)


class TestShapleyOverPaths(ShortContract):
    updater: ClassVar = Shapley
    options: ClassVar = {**FEW["shapley"], "train": "random"}


@pytest.mark.slow
class TestIsDartsOverFair(ShortContract):
    updater: ClassVar = IsDarts
    options: ClassVar = {**FEW["isdarts"], "train": "fair"}
    trainer_options: ClassVar = {"epochs": 5}


@pytest.mark.slow
class TestGmOverPaths(ShortContract):
    updater: ClassVar = Gm
    options: ClassVar = {**FEW["gm"], "train": "random"}


@pytest.mark.slow
class TestGmOverDarts(ShortContract):
    updater: ClassVar = Gm
    options: ClassVar = {**FEW["gm"], "train": "darts"}


@pytest.mark.slow
class TestDartsPtOverAnEvolution(ShortContract):
    updater: ClassVar = DartsPt
    options: ClassVar = {
        **FEW["darts-pt"],
        "train": "evnas,population=2,tournament=1,batch_size=16",
    }


@pytest.mark.slow
class TestShapleyOverDarts(ShortContract):
    updater: ClassVar = Shapley
    options: ClassVar = {**FEW["shapley"], "train": {"name": "darts", "options": {"warmup": 1}}}


@pytest.mark.parametrize("name", UPDATERS)
def test_every_weight_step_trains_what_the_other_says_and_only_that(name: str) -> None:
    run = harness(name, train="random")
    branches = [run.trainer.root()]
    (branch,) = branches
    assert isinstance(branch.updater.trains, RandomPath)
    probe = run.trainer.probe(branch)
    branch.updater.before_step(probe, probe.train.at(0))
    (mixture,) = branch.updater.mixtures(probe)
    assert mixture.active.sum(1).tolist() == [1] * 5
    plain = harness(name).trainer.root()
    assert plain.updater.trains is None
    plain.updater.before_step(probe, probe.train.at(0))
    (own,) = plain.updater.mixtures(probe)
    assert own.active.sum() == probe.subspace.mask.sum()


@pytest.mark.parametrize("paths", ["random", "fair"])
def test_weights_that_the_other_trains_are_its_own_to_the_bit(paths: str) -> None:
    """Until something is measured: orders are drawn from the same stream."""
    made = {"random": RandomPath, "fair": Fair}[paths]
    outer, alone = harness("shapley", train=paths), Harness(made, {"candidates": 2})
    steps = len(outer.trainer.train)
    one, two = outer.trainer.root(), alone.trainer.root()
    one.rng.set_state(two.rng.get_state())  # alpha was drawn from it
    outer.run([one], steps=steps)
    alone.run([two], steps=steps)
    assert fingerprint(one.supernet.state_dict()) == fingerprint(two.supernet.state_dict())


def test_the_other_learns_in_its_steps_and_after_all_epochs_but_the_last() -> None:
    asked: list[tuple[str, int]] = []
    run = harness("shapley", train="evnas,population=2,tournament=1,batch_size=16")
    branches = [run.trainer.root()]
    other = branches[0].updater.trains
    assert isinstance(other, EvNAS)
    whole = other.after_epoch
    other.after_epoch = lambda probe: (asked.append(("epoch", probe.epoch)), whole(probe))[1]
    run.run(branches)
    assert asked == [("epoch", 1), ("epoch", 2)]
    learning = harness("shapley", train="darts")
    (branch,) = learning.run()
    assert isinstance(branch.updater.trains, Darts)
    assert float(branch.updater.trains.alpha.detach().abs().max()) > 1e-3


def test_what_the_other_measures_is_forecast_but_not_what_it_would_decide() -> None:
    plan = Plan(3, 3, 16, 48, 48)

    def images(**options: Any) -> int:
        forecast = harness("shapley", **options).trainer.root().updater.max_cost(plan)
        assert forecast is not None
        return int(forecast.images_forward)

    assert images(train="random") == images(train="fair") == images()
    darts = Harness(Darts, {}).trainer.root().updater.max_cost(plan)
    assert darts is not None and images(train="darts") - images() == darts.images_forward > 0


@pytest.mark.parametrize(
    ("name", "train", "plan", "message"),
    [
        (
            "shapley",
            "evnas,population=9,tournament=2",
            Plan(4, 3, 16, 48, 48),
            r"cannot train a population of 9.*\(Inside shapley, as train=evnas.\)",
        ),
        (
            "isdarts",
            "random",
            Plan(5, 3, 16, 48, 0),
            "isdarts: train=random learns on the valid split, which is empty",
        ),
        ("shapley", "random", Plan(1, 3, 16, 48, 48), "warmup=1 leaves none of 1 epochs"),
    ],
)
def test_plans_that_cannot_work_are_refused(
    name: str, train: str, plan: Plan, message: str
) -> None:
    import re

    updater = harness(name, train=train).trainer.root().updater
    assert re.search(message, updater.incompatibility(plan) or "")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("randon", "No updater is named 'randon'. Did you mean 'random'"),
        ("random,candidate=3", "random has no option 'candidate'"),
        ("random,candidates", r"The updater that trains is NAME\[,OPTION=VALUE...\]"),
        ({"name": "random", "option": 1}, "A component is written as a name or as"),
        (3, "A component is named by a string, got 3"),
    ],
)
def test_wrong_ones_are_named(train: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Shapley.parse_options({"train": train})


def test_a_config_says_every_option_of_who_trains_and_is_read_again() -> None:
    made = Shapley.parse_options({"train": "random,candidates=7"})
    written = made.model_dump(mode="json")
    assert written["train"]["name"] == "random" and written["train"]["options"]["candidates"] == 7
    assert set(written["train"]["options"]) == set(RandomPath.Options.model_fields)
    assert Shapley.parse_options(written) == made
    assert Shapley.parse_options({}).train is None


def test_who_trains_starts_anew_with_the_weights_of_a_leaf() -> None:
    run = harness("gm", train="darts", restart="final")
    branches = [run.trainer.root()]
    first = branches[0].updater.trains
    steps = len(run.trainer.train)
    run.run(branches, steps=steps)
    assert branches[0].updater.trains is first
    for moment in run.trainer.run(branches):
        if moment == "step":
            break
    (leaf,) = (one for one in branches if one.step == steps + 1)
    assert len(branches) == 2 and leaf.updater.level == 1
    # One step of Adam: nothing of the first epoch is left.
    assert int(leaf.updater.trains._alpha.moments()["step"]) == 1


def test_what_who_trains_measures_is_forecast_in_every_leaf() -> None:
    plan = Plan(3, 3, 16, 48, 48)
    darts = Harness(Darts, {}).trainer.root().updater.max_cost(plan)
    forecasts = [
        harness("gm", **o).trainer.root().updater.max_cost(plan) for o in ({}, {"train": "darts"})
    ]
    assert darts is not None and None not in forecasts
    assert forecasts[1].images_forward - forecasts[0].images_forward == 2 * darts.images_forward


def test_gradients_are_matched_under_the_mixtures_that_train() -> None:
    run = harness("gm", train="random")
    (branch,) = run.until("epoch")
    branch.epoch += 1  # as the trainer does before it asks where to go on
    seen: list[Mixture] = []
    other = branch.updater.trains
    whole = other.mixtures
    other.mixtures = lambda probe: (seen.extend(found := whole(probe)), found)[1]
    branch.updater.after_epoch(run.trainer.probe(branch))
    assert len(seen) == 1 and torch.equal(seen[0].weights, seen[0].active.float())
