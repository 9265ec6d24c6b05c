"""What the inner updater of `gm` sees, which plans are refused, a run in its folder."""

from typing import ClassVar

import pytest
import torch
from core_kit import without_time
from fewshot_kit import options, search

import nastk
import nastk_fewshot
from nastk import ArchitectureUpdater, Continuation, Mixture, Offer, Plan, Probe, catalogue
from nastk.base.events import EpochDone
from nastk.base.plugins import Installed
from nastk.runs.folder import RunFolder
from nastk.testing import Harness, ToySpace, fingerprint
from nastk_fewshot.updater import Gm
from nastk_gradient.darts import Darts
from nastk_spaces_darts.space import DartsSpace
from nastk_spaces_nasbench201.space import NasBench201Space

# ---------------------------------------------------------------- what the inner updater sees


class Clock(ArchitectureUpdater):
    """Writes down what it is asked and when, on its own clock."""

    name, summary = "clock", "for tests"
    heard: ClassVar[list] = []

    def setup(self, rng):
        Clock.heard.append(("made",))

    def note(self, what, probe):
        Clock.heard.append((what, probe.epoch, probe.epochs, probe.step, round(probe.progress, 3)))

    def before_step(self, probe, batch):
        self.note("before", probe)

    def mixtures(self, probe):
        weights = torch.ones(5, 4, requires_grad=True) * probe.subspace.mask
        return [Mixture(weights, probe.subspace.mask)]

    def after_step(self, probe):
        self.note("after", probe)

    def after_epoch(self, probe):
        self.note("epoch", probe)
        return [Continuation(probe.subspace)]

    def architecture(self, probe):
        return self.space.decide(torch.zeros(5, 4), probe.subspace)


@pytest.fixture
def clock(monkeypatch):
    """The updater `clock`, installed while a test runs."""
    offer = Offer("clock", Clock.summary, f"{__name__}:Clock")
    monkeypatch.setitem(
        catalogue().installed["updater"], "clock", [Installed("updater", offer, "tests", "0")]
    )
    Clock.heard = []
    return Clock


def run_clock(**changes):
    chosen = {"inner": "clock", "splits": [1], "batches": 1, "edge_rule": "first", **changes}
    Harness(Gm, chosen, trainer_options={"epochs": 3}).run()
    return [each for each in Clock.heard if each[0] in ("before", "epoch")]


def test_a_frozen_inner_updater_is_not_asked_to_learn_and_then_starts_at_zero(clock):
    heard = run_clock()
    leaf = [
        ("before", 0, 2, 0, 0.0),
        ("before", 0, 2, 1, 0.167),
        ("before", 0, 2, 2, 0.333),
        ("epoch", 1, 2, 3, 0.5),
        ("before", 1, 2, 3, 0.5),
        ("before", 1, 2, 4, 0.667),
        ("before", 1, 2, 5, 0.833),
        ("epoch", 2, 2, 6, 1.0),
    ]
    # The two leaves take turns, an epoch each.
    assert heard == leaf[:4] * 2 + leaf[4:] * 2


@pytest.mark.parametrize(("freeze", "learns"), [(True, False), (False, True)])
def test_no_gradient_flows_back_to_a_frozen_inner_updater(clock, freeze, learns):
    harness = Harness(Gm, {"inner": "clock", "splits": [1], "freeze": freeze})
    branch = harness.trainer.root()
    (mixture,) = branch.updater.mixtures(harness.trainer.probe(branch))
    assert mixture.weights.requires_grad == learns


def test_an_inner_updater_that_learns_all_along_sees_the_runs_clock(clock):
    heard = run_clock(freeze=False, restart="none")
    epochs = [each[1:4] for each in heard if each[0] == "epoch"]
    assert epochs == [(1, 3, 3), (2, 3, 6), (2, 3, 6), (3, 3, 9), (3, 3, 9)]


def test_an_inner_updater_that_starts_anew_sees_a_clock_of_its_own(clock):
    heard = run_clock(freeze=False, restart="all")
    epochs = [each[1:4] for each in heard if each[0] == "epoch"]
    assert epochs == [(1, 3, 3), (1, 2, 3), (1, 2, 3), (2, 2, 6), (2, 2, 6)]


def test_the_inner_probe_is_a_probe_that_shifts_the_clock_alone():
    harness = Harness(Darts)
    (branch,) = harness.run(steps=5)
    probe = harness.trainer.probe(branch)
    inner = probe.with_clock(begin=1, epochs=2, ahead=4)
    assert isinstance(inner, Probe)
    assert (inner.epoch, inner.step, inner.epochs) == (0, 6, 2)
    assert inner.with_clock(0, 2).step == 6
    assert inner.rng is probe.rng and inner.subspace is probe.subspace
    inner.report("topic", value=1)
    assert (harness.events[-1].epoch, harness.events[-1].step) == (1, 5)
    batch = probe.train.at(0)
    mixture = Mixture.uniform(probe.subspace)
    assert torch.equal(probe.loss(mixture, batch), inner.loss(mixture, batch))


def test_matching_takes_the_mixtures_of_the_coming_steps():
    # evnas trains its genomes in turns: each is measured once, none is trained.
    harness = Harness(
        Gm,
        options("evnas", batches=3, edge_rule="first", groups=2),
        trainer_options={"epochs": 3},
    )
    (branch,) = harness.until("epoch")
    branch.epoch += 1
    probe = harness.trainer.probe(branch)
    seen = []
    original = probe.gradients

    def spy(mixture, batch, of):
        seen.append(mixture.weights.clone())
        return original(mixture, batch, of)

    probe.gradients = spy
    branch.updater.after_epoch(probe)
    inner = branch.updater.inner
    assert len(seen) == 3 * 4 and len(inner.population) == 3
    rows = [seen[4 * number][1:] for number in range(3)]
    expected = []
    for place in inner.order:
        genome = inner.population[place].genome
        table = torch.tensor(harness.space.decide(genome.softmax(-1), probe.subspace).table())
        expected.append(Mixture.softmax(table.float(), probe.subspace).weights[1:])
    assert all(torch.equal(a, b) for a, b in zip(rows, expected, strict=True))


def test_while_frozen_the_weights_train_and_alpha_does_not():
    for changes, equal in (({}, False), ({"frozen_mixture": "uniform"}, True)):
        harness = Harness(Gm, options(**changes), trainer_options={"epochs": 3})
        (branch,) = harness.until("epoch")
        fresh = harness.trainer.root()
        assert fingerprint(branch.updater.state_dict()) == fingerprint(fresh.updater.state_dict())
        assert fingerprint(branch.supernet.state_dict()) != fingerprint(fresh.supernet.state_dict())
        (mixture,) = branch.updater.mixtures(harness.trainer.probe(branch))
        uniform = Mixture.uniform(branch.subspace)
        assert torch.equal(mixture.weights, uniform.weights) == equal
        assert not mixture.weights.requires_grad


def test_the_decision_is_recorded_for_every_branch():
    harness, leaves = search(cells=["second"])
    last = {event.branch: event for event in harness.events if isinstance(event, EpochDone)}
    assert set(last) == {"0", "0.0", "0.1", *(leaf.name for leaf in leaves)}
    for leaf in leaves:
        found = leaf.updater.architecture(harness.trainer.probe(leaf))
        assert last[leaf.name].architecture == harness.space.to_text(found)


# ---------------------------------------------------------------- before a run


PLAN = Plan(20, 30, 64, 1920, 1920)


@pytest.mark.parametrize(
    ("settings", "plan", "message"),
    [
        ({}, {"valid_images": 0}, "gm: its inner updater 'darts' learns on the validation split"),
        (
            {"inner": "isdarts"},
            {"valid_images": 0},
            "gm: the best of its leaves is chosen on the validation split, which is empty",
        ),
        ({"splits": [5, 20]}, {}, "last split, after epoch 20, leaves no epoch of 20.*--epochs 21"),
        ({}, {"epochs": 1}, "leaves no epoch of 1 to search in"),
        ({"cells": ["frist"]}, {}, "'toy' has no cell type 'frist'. Did you mean 'first'"),
        (
            {"edge_rule": "listed", "edges": ["first:0->9", "first:0->1"]},
            {},
            "'toy' has no edge 'first:0->9'. Did you mean",
        ),
        (
            {"edge_rule": "listed", "edges": ["first:0->1"]},
            {},
            "edges names 1 different edges for 2 splits",
        ),
        ({"cells": ["second"], "splits": [1, 2, 3]}, {}, "3 splits need as many edges.*has 2"),
        ({"groups": 5}, {}, "2 splits need as many edges.*groups=5.*has 0"),
        ({"groups": [2, 3, 2]}, {}, "gm: groups has 3 entries for 2 splits.*after epochs 5, 10"),
        (
            {"partition": ["balanced"], "splits": [4, 7]},
            {},
            "partition has 1 entries for 2 splits; it needs one for each. Its.*after epochs 4, 7",
        ),
        (
            {"groups": [2, 4], "cells": ["second"]},
            {},
            "the 2 splits so far need as many edges.*groups=4 by partition=balanced.*has 0",
        ),
        (
            {"inner": "shapley", "splits": [10]},
            {},
            r"warmup=15 leaves none of 10 epochs.*\(Inside gm, .* after epoch 10.*10 of the run's",
        ),
        (
            {"inner_options": {"warmup": 30}, "splits": []},
            {},
            r"darts: warmup=30 leaves alpha no epoch of 20 to learn in.*or more\.$",
        ),
    ],
)
def test_a_plan_that_cannot_work_is_refused(settings, plan, message):
    updater = Gm(ToySpace(), Gm.parse_options(settings), torch.Generator())
    why = updater.incompatibility(Plan(**{**vars(PLAN), **plan}))
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(why)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"inner": "isdarts", "splits": []},
        {"inner": "random", "splits": [19]},
        {"groups": [2, 3]},
        {"groups": [4, 2], "splits": [5, 6]},
    ],
)
def test_a_plan_that_can_work_is_accepted(settings):
    updater = Gm(ToySpace(), Gm.parse_options(settings), torch.Generator())
    plan = Plan(**{**vars(PLAN), "valid_images": 0 if settings.get("splits") == [] else 1920})
    assert updater.incompatibility(plan) is None


def test_many_operations_with_the_smallest_cut_ask_for_two_groups():
    space = DartsSpace(DartsSpace.parse_options({"include_none": True}))
    updater = Gm(space, Gm.parse_options({"partition": "min-cut", "groups": 3}), torch.Generator())
    assert updater.incompatibility(PLAN) is None  # 8 operations are enumerated
    wide = [
        type(edge)(edge.name, (*edge.operations, "more"), edge.group, edge.tail, edge.head)
        for edge in space.edges
    ]
    space.edges = tuple(wide)
    assert "divides edges of more than 8 operations into 2 groups" in updater.incompatibility(PLAN)


def test_the_forecast_counts_the_published_searches():
    def matched(space, splits, **changes):
        updater = Gm(
            space,
            Gm.parse_options({"inner": "random", "splits": splits, **changes}),
            torch.Generator(),
        )
        plan = Plan(100, 10, 1, 10, 0)  # batches of one image; nothing for inner to score
        return updater.max_cost(plan).images_backward

    # Section 6 of the specification: passes of one batch, at R = 100; and ten images an epoch for
    # every branch beyond the first.
    assert matched(NasBench201Space(), [15, 30]) == 8_000 + 10 * (15 * 1 + 70 * 3)
    normal = matched(DartsSpace(), [2, 4, 6], cells=["normal"])
    assert normal == 61_600 + 10 * (2 * 1 + 2 * 3 + 94 * 7)


def test_the_forecast_follows_the_groups_of_every_split():
    def matched(groups, **changes):
        chosen = {"inner": "random", "splits": [5, 10], "groups": groups, **changes}
        updater = Gm(ToySpace(), Gm.parse_options(chosen), torch.Generator())
        return updater.max_cost(Plan(20, 10, 1, 10, 0)).images_backward

    # Edges of four, four, four, three and three operations; those of three are not cut in three,
    # where `none` would be alone. At R = 100 the root measures all that its split may cut, a child
    # one less if its parent's was surely of these. Ten images an epoch for each branch beyond one.
    assert matched(2) == 100 * (18 + 2 * 15) + 10 * (5 * 1 + 10 * 3)
    assert matched([2, 3]) == 100 * (18 + 2 * 12) + 10 * (5 * 1 + 10 * 5)
    assert matched([3, 2]) == 100 * (12 + 3 * 15) + 10 * (5 * 2 + 10 * 5)
    listed = {"partition": ["balanced", "listed"], "listed": [["skip"], ["conv"]]}
    assert matched([2, 3], **listed) == 100 * (18 + 2 * 15) + 10 * (5 * 1 + 10 * 3)
    assert matched([2, 2], edge_rule="first", **listed) == 100 * 4 + 10 * (5 * 1 + 10 * 3)


# ---------------------------------------------------------------- a run in its folder


@pytest.fixture
def offered(monkeypatch):
    """`gm`, installed while a test runs."""
    offer = next(each for each in nastk_fewshot.updaters() if each.name == "gm")
    monkeypatch.setitem(
        catalogue().installed["updater"], "gm", [Installed("updater", offer, "nastk", "0")]
    )


def test_a_run_takes_the_best_leaf_and_resumes_to_the_same_result(offered, tmp_path):
    request = {
        "space": "toy",
        "updater": nastk.use("gm", **options("random", cells=["second"])),
        "data": nastk.use("toy", images=48),
        "trainer": {"epochs": 3, "batch_size": 12, "threads": 1},
        "device": "cpu",
        "evaluators": ["size"],
    }
    result = nastk.search(**request, out=tmp_path / "straight")
    events = RunFolder.open(tmp_path / "straight").events()
    (leaves,) = [each for each in events if each.get("topic") == "leaves"]
    accuracies = leaves["values"]["valid_accuracy"]
    assert set(accuracies) == {"0.0", "0.1"} and leaves["branch"] == max(
        accuracies, key=accuracies.__getitem__
    )
    config = RunFolder.open(tmp_path / "straight").config()
    assert config["updater"]["options"]["inner_options"]["population"] == 50  # said in full
    for event in nastk.stream(request, out=tmp_path / "cut"):
        if event.kind == "branch-continued":
            break  # the split is the last that is heard of this run
    again = nastk.resume(tmp_path / "cut")
    assert again.architecture == result.architecture
    first, second = (
        [without_time(each) for each in RunFolder.open(tmp_path / name).events()]
        for name in ("straight", "cut")
    )
    assert first == second
