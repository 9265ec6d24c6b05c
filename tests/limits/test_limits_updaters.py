"""Every updater finishes inside a limit that it knows nothing of, and keeps its contract there."""

from typing import ClassVar

import pytest
import torch
from core_kit import ShortContract
from limits_kit import ToySize, limited, limited_toy

from nastk import Subspace, catalogue
from nastk.testing import Harness, ToySpace, fingerprint
from nastk_evnas.updater import EvNAS
from nastk_fewshot.updater import Gm
from nastk_gradient.darts import Darts
from nastk_gradient.relaxed import expected_cost_slope
from nastk_isdarts.updater import IsDarts
from nastk_sampling.random_path import RandomPath
from nastk_shapley.update import charged
from nastk_shapley.updater import Shapley

OPTIONS = {
    "shapley": {"samples": 2, "warmup": 1, "batch_size": 16},
    "random": {"candidates": 6, "batches": 1},
    "fair": {"population": 4, "generations": 2, "parents": 2, "batches": 1},
    "evnas": {"population": 3, "tournament": 2},
    "isdarts": {"interval": 1},
    "pcdarts": {"warmup": 1},
    "gm": {"splits": [1], "batches": 1},
    "darts-pt": {"interval": 0, "final": 1, "batches": 1},
    "random-search": {"evaluator": "size"},
    "local-search": {"evaluator": "size"},
    "regularized-evolution": {"evaluator": "size", "population": 1},
    "optuna": {"evaluator": "size"},
}
UPDATERS = {name: catalogue().load("updater", name) for name in catalogue().names("updater")}
UPDATERS.setdefault(Gm.name, Gm)
LIMITS = ["params=415", pytest.param("params=271", marks=pytest.mark.slow)]


def harness_of(name, space):
    epochs = {"isdarts": 4, "shapley": 3, "pcdarts": 3}.get(name, 2)
    # A population of three needs an epoch of three steps.
    short = {} if name == "evnas" else {"batch_size": 24}
    trainer_options = {"epochs": epochs, **short}
    return Harness(UPDATERS[name], OPTIONS.get(name, {}), space, trainer_options=trainer_options)


def within(space, branch, harness):
    architecture = branch.updater.architecture(harness.trainer.probe(branch))
    assert branch.subspace.contains(Subspace(architecture.table()))
    return all(limit.holds(architecture) for limit in space.limits)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("name", sorted(UPDATERS))
def test_every_updater_finishes_inside_the_limit(name, limit):
    space = limited_toy(limit)
    harness = harness_of(name, space)
    branches = [harness.trainer.root()]
    if why := branches[0].updater.incompatibility(harness.plan):
        # A group for every operation needs edges on which each of them can be afforded.
        assert (name, limit) == ("fewshot", "params=271") and "splits need as many edges" in why
        return
    for moment in harness.trainer.run(branches):
        if moment in ("epoch", "end"):
            assert all(within(space, branch, harness) for branch in branches)


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("name", sorted(UPDATERS))
def test_a_loose_limit_leaves_every_bit_as_it_was(name):
    prints = []
    for space in (ToySpace(), limited_toy("params=1M")):
        branches = harness_of(name, space).run()
        prints.append(fingerprint([branch.state_dict() for branch in branches]))
    assert prints[0] == prints[1]


class UnderALimit(ShortContract):
    """The contract on the toy within a limit that draws and decisions meet often."""

    def harness(self, **changes):
        return Harness(
            self.updater,
            self.options,
            limited_toy("params=415"),
            trainer_options=self.trainer_options,
            **changes,
        )


@pytest.mark.slow
class TestRandomUnderALimit(UnderALimit):
    updater, options = RandomPath, OPTIONS["random"]


@pytest.mark.slow
class TestEvNasUnderALimit(UnderALimit):
    updater, options = EvNAS, OPTIONS["evnas"]
    trainer_options: ClassVar = {}  # its population needs the steps


@pytest.mark.slow
class TestIsDartsUnderALimit(UnderALimit):
    updater, options = IsDarts, OPTIONS["isdarts"]
    trainer_options: ClassVar = {"epochs": 4}


@pytest.mark.slow
class TestDartsWithAPenalty(UnderALimit):
    updater, options = Darts, {"learning_rate": 0.05, "penalty": 0.5}


@pytest.mark.slow
class TestShapleyWithAPenalty(UnderALimit):
    updater, options = Shapley, {**OPTIONS["shapley"], "penalty": 0.5}


# ---------------------------------------------------------------- penalties


def test_costs_are_shares_of_the_limits():
    space = limited(ToySpace(), ToySize(), "params=576", "skips=4")
    wanted = torch.zeros(5, 4, dtype=torch.float64)
    wanted[:3, 2], wanted[3:, 2], wanted[:, 1] = 288 / 576, 144 / 576, 1 / 4
    # Of conv and skip alone, the cheaper of each metric is at zero.
    torch.testing.assert_close(space.costs, wanted, rtol=1e-9, atol=1e-9)


def test_the_slope_of_the_expected_cost_is_autograds():
    costs, alive = limited_toy().costs, ToySpace().full().drop(0, 3)
    alpha = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits = alpha.masked_fill(~alive.mask, -torch.inf)
    (torch.softmax(logits, -1) * costs.float()).sum().backward()
    slope = expected_cost_slope(alpha.detach(), costs, alive)
    torch.testing.assert_close(slope, alpha.grad, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(slope.sum(1), torch.zeros(5), rtol=0.0, atol=1e-6)


def test_a_penalty_makes_the_gradient_family_choose_smaller():
    expected = []
    for penalty in (0.0, 1.0, 10.0):
        space = limited_toy("params=1M")
        space.costs = space.costs * 1000.0  # shares of a limit a thousand times as tight
        harness = Harness(
            Darts, {"learning_rate": 0.1, "penalty": penalty}, space, trainer_options={"epochs": 2}
        )
        (branch,) = harness.run()
        scores = branch.updater.scores(harness.trainer.probe(branch))
        expected.append(float((scores * space.costs).sum()))
    assert expected[0] > expected[1] > expected[2]


def test_values_are_charged_before_they_are_normalised():
    values, costs = torch.tensor([[0.3, 0.1]]), torch.tensor([[0.5, 0.0]])
    torch.testing.assert_close(charged(values, costs, 0.4), torch.tensor([[0.1, 0.1]]))
    assert charged(values, costs, 0.0) is values
    assert charged(values, None, 0.4) is values


def test_a_penalty_on_shapley_values_moves_alpha_away_from_what_is_large():
    moved = []
    for penalty in (0.0, 5.0):
        space = limited_toy()
        harness = Harness(Shapley, {**OPTIONS["shapley"], "penalty": penalty}, space)
        (branch,) = harness.run()
        moved.append(branch.updater.alpha[:, 2].mean() - branch.updater.alpha[:, 1].mean())
    assert moved[1] < moved[0] - 0.01


@pytest.mark.parametrize(("updater", "options"), [(Darts, {}), (Shapley, OPTIONS["shapley"])])
def test_a_penalty_without_a_limit_is_refused(updater, options):
    harness = Harness(updater, {**options, "penalty": 0.5})
    why = harness.trainer.root().updater.incompatibility(harness.plan)
    assert why is not None
    assert why.startswith(f"{updater.name}: penalty=0.5 is on shares of a limit")
