"""`gm` and `fewshot` in whole searches on the toy: contract, no splits, the tree of leaves."""

import json
from math import cos, pi, prod
from typing import ClassVar

import pytest
import torch
from core_kit import without_time
from fewshot_kit import INNERS, SMALL, options, search, sizes

from nastk import Continuation, CosineRestart, Mixture, Subspace
from nastk.base.events import BranchContinued, EpochDone, UpdaterReported
from nastk.testing import Harness, UpdaterContract, fingerprint
from nastk.testing.toy import ToyData
from nastk.train.branch import copied
from nastk_fewshot.fewshot import FewShot
from nastk_fewshot.matching import Matching
from nastk_fewshot.updater import Gm
from nastk_gradient.darts import Darts
from nastk_spaces_darts.space import DartsSpace
from nastk_spaces_nasbench201.space import NasBench201Space


class TestAroundDarts(UpdaterContract):
    updater, options = Gm, options(restart="none", derive="inner", cells=["second"])

    def harness(self, **changes):
        return super().harness(**{"data": SMALL, **changes})


@pytest.mark.slow
class TestAroundRandom(UpdaterContract):
    updater, options = Gm, options("random", scope="all", edge_rule="random", cells=["second"])


@pytest.mark.slow
class TestFewShot(UpdaterContract):
    updater, options = FewShot, {"inner_options": {"warmup": 1}, "cells": ["first"]}


@pytest.mark.slow
class TestAroundShapley(UpdaterContract):
    updater, options = Gm, options("shapley", frozen_mixture="uniform", forcing="soft")


@pytest.mark.slow
class TestAroundEvNAS(UpdaterContract):
    updater, options = Gm, options("evnas", freeze=False, restart="all")


@pytest.mark.slow
class TestAroundIsDarts(UpdaterContract):
    updater, options = Gm, options("isdarts", cells=["second"])
    trainer_options: ClassVar = {"epochs": 5}


# ---------------------------------------------------------------- without splits


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("updater", "name"), [*((Gm, name) for name in INNERS), (FewShot, "random")]
)
def test_without_splits_it_is_the_inner_updater_bit_for_bit(updater, name):
    inner, inner_options, epochs = INNERS[name]
    inner_options = {**inner_options, **({"order": 2} if name == "darts" else {})}
    settings = {"data": SMALL, "trainer_options": {"epochs": epochs, "batch_size": 8}, "seed": 3}
    plain = Harness(inner, inner_options, **settings)
    wrapped = Harness(
        updater, {"inner": name, "inner_options": inner_options, "splits": []}, **settings
    )
    (expected,), (found,) = plain.run(), wrapped.run()
    state, other = found.state_dict(), expected.state_dict()
    assert fingerprint(state.pop("updater")["inner"]) == fingerprint(other.pop("updater"))
    assert fingerprint(state) == fingerprint(other)
    heard = [
        [without_time(event.to_json()) for event in harness.events] for harness in (plain, wrapped)
    ]
    assert heard[0] == heard[1]
    assert plain.trainer.ledger.cost().total.images_forward == (
        wrapped.trainer.ledger.cost().total.images_forward
    )
    assert found.updater.max_cost(wrapped.plan) == expected.updater.max_cost(plain.plan)


# ---------------------------------------------------------------- the tree of branches


def test_the_leaves_divide_the_space_and_every_architecture_lies_in_one():
    harness, leaves = search(inner_options={"learning_rate": 0.05})
    full = harness.space.full()
    assert sorted(leaf.name for leaf in leaves) == ["0.0.0", "0.0.1", "0.1.0", "0.1.1"]
    assert sum(prod(sizes(leaf.subspace)) for leaf in leaves) == prod(sizes(full))
    for leaf in leaves:
        changed = [a != b for a, b in zip(sizes(leaf.subspace), sizes(full), strict=True)]
        assert sum(changed) == 2
        architecture = leaf.updater.architecture(harness.trainer.probe(leaf))
        assert leaf.subspace.contains(Subspace(architecture.table()))
    rng = torch.Generator().manual_seed(0)
    for _ in range(30):
        table = Subspace(harness.space.sample(full, rng).table())
        assert sum(leaf.subspace.contains(table) for leaf in leaves) == 1


def test_the_mixture_of_a_leaf_sums_to_one_on_what_is_alive():
    harness, leaves = search(restart="none", cells=["second"])
    for leaf in leaves:
        (mixture,) = leaf.updater.mixtures(harness.trainer.probe(leaf))
        torch.testing.assert_close(mixture.weights.sum(1), torch.ones(5))
        assert (mixture.weights[~leaf.subspace.mask] == 0).all()


def test_the_record_holds_the_tree():
    harness, _ = search()
    reports = [e for e in harness.events if isinstance(e, UpdaterReported) and e.topic == "split"]
    forks = {e.branch: e for e in harness.events if isinstance(e, BranchContinued)}
    assert [report.branch for report in reports] == ["0", "0.0", "0.1"]
    for report in reports:
        values = report.values
        json.dumps(values)
        assert values["epoch"] == report.epoch == values["split"] == report.branch.count(".") + 1
        best = next(each for each in values["edges"] if each["edge"] == values["edge"])
        assert best["groups"] == values["groups"] and best["value"] == values["value"]
        assert values["value"] == max(each["value"] for each in values["edges"])
        assert [len(each["distances"]) for each in values["edges"]] == [
            len(each["operations"]) for each in values["edges"]
        ]
        row = [edge.name for edge in harness.space.edges].index(values["edge"])
        names = harness.space.edges[row].operations
        fork = forks[report.branch]
        assert list(fork.fresh) == [values["fresh"]] * 2 == [report.epoch == 2] * 2
        for rows, group in zip(fork.subspaces, values["groups"], strict=True):
            alive = Subspace.from_json(rows).operations(row)
            assert [names[column] for column in alive] == group


def at_split(**changes):
    """A parent after its first epoch, copied, and its children before their first step."""
    harness = Harness(Gm, options(**changes), trainer_options={"epochs": 3})
    (parent,) = harness.until("epoch")
    before = copied(parent.state_dict())
    return harness, before, harness.trainer.close_epoch(parent)


def test_a_child_that_inherits_is_its_parent_in_a_part():
    harness, before, children = at_split(restart="none")
    parent = harness.trainer.restore(before)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for child in children:
        state = child.state_dict()
        for part in ("supernet", "optimizer", "schedule", "updater"):
            assert fingerprint(state[part]) == fingerprint(before[part])
        mixture = Mixture.uniform(child.subspace)
        assert torch.equal(child.logits(mixture, images), parent.logits(mixture, images))
        child.updater.mixtures(harness.trainer.probe(child))  # nor is inner made anew with a step
        assert fingerprint(child.updater.inner.state_dict()) == (
            fingerprint(before["updater"]["inner"])
        )
    one, other = children
    assert not torch.equal(one.rng.get_state(), other.rng.get_state())
    shared = {id(tensor) for tensor in one.supernet.parameters()}
    assert not shared & {id(tensor) for tensor in other.supernet.parameters()}


@pytest.mark.parametrize("name", ["darts", "shapley", "evnas"])
def test_a_leaf_that_starts_anew_has_fresh_weights_rate_and_inner_updater(name):
    harness, before, children = at_split(name=name)
    weights = [fingerprint(child.supernet.state_dict()) for child in children]
    assert len({*weights, fingerprint(before["supernet"])}) == 3
    for child in children:
        assert not child.optimizer.state
        assert child.schedule.rate(1) == harness.trainer.options.learning_rate
        assert (child.schedule.start, child.schedule.end) == (1, 3)
        child.updater.mixtures(harness.trainer.probe(child))  # its first weight step is near
    inside = [fingerprint(child.updater.inner.state_dict()) for child in children]
    assert len({*inside, fingerprint(before["updater"]["inner"])}) == 3
    for child in children:
        parsed = child.updater.inner.options
        rng = torch.Generator().manual_seed(0)
        anew = type(child.updater.inner)(harness.space, parsed, rng, "cpu").state_dict()
        assert set(anew) == set(child.updater.inner.state_dict())
        if name == "darts":
            assert child.updater.inner.alpha.abs().max() < 0.02  # at its first noise


def test_splitting_changes_nothing_of_the_branch():
    harness = Harness(Gm, options(), trainer_options={"epochs": 3})
    (branch,) = harness.until("epoch")
    branch.epoch += 1
    before = fingerprint(branch.state_dict())
    answers = branch.updater.after_epoch(harness.trainer.probe(branch))
    assert len(answers) == 2 and fingerprint(branch.state_dict()) == before
    assert fingerprint(branch.updater.after_epoch(harness.trainer.probe(branch))) == (
        fingerprint(answers)
    )


@pytest.mark.parametrize("restart", ["final", "all", "none"])
def test_who_starts_anew_is_as_asked(restart):
    harness, _ = search(restart=restart, cells=["second"])
    forks = [event for event in harness.events if isinstance(event, BranchContinued)]
    fresh = {len(fork.branch): set(fork.fresh) for fork in forks}
    assert (
        fresh
        == {
            "final": {1: {False}, 3: {True}},
            "all": {1: {True}, 3: {True}},
            "none": {1: {False}, 3: {False}},
        }[restart]
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"restart": "final"},
        {"restart": "all", "freeze": False},
        {"restart": "none", "freeze": False, "edge_rule": "first"},
        {"groups": "all", "cells": ["first"], "splits": [1]},
    ],
)
def test_what_was_planned_bounds_what_was_measured(changes):
    harness, leaves = search(**changes)
    forecast = leaves[0].updater.max_cost(harness.plan)
    cost, plan = harness.trainer.ledger.cost(), harness.plan
    spent, one = cost.search, plan.epochs * plan.train_images
    assert cost.phases["updater"].images_forward > 0
    assert one < spent.images_forward <= one + forecast.images_forward
    assert one < spent.images_backward <= one + forecast.images_backward


def test_matching_costs_a_pass_for_each_operation_of_the_edges_that_are_whole():
    harness = Harness(
        Gm,
        options(batches=2, batch_size=8, splits=[1, 2], frozen_mixture="uniform"),
        data=SMALL,
        trainer_options={"epochs": 3, "batch_size": 12},
    )
    harness.run(steps=3)
    (report,) = [event.values for event in harness.events if isinstance(event, UpdaterReported)]
    whole = [len(each["operations"]) for each in report["edges"]]
    assert whole == [4, 4, 4, 3, 3]
    spent = harness.trainer.ledger.cost().phases["updater"]
    # A network that a forced `none` cuts off sends no gradient back, so there it is one pass less.
    assert spent.images_forward == 2 * 8 * sum(whole) >= spent.images_backward


def test_every_level_is_measured_on_batches_of_its_own(monkeypatch):
    seen = []
    distances = Matching.distances

    def spy(self, probe, subspace, edges, theta, first):
        seen.append((probe.epoch, first))
        return distances(self, probe, subspace, edges, theta, first)

    monkeypatch.setattr(Matching, "distances", spy)
    search(batches=2, cells=["second"])
    assert seen == [(1, 0), (2, 2), (2, 2)]


def test_single_operations_make_fewshot():
    harness = Harness(FewShot, {"cells": ["first"]}, trainer_options={"epochs": 2})
    leaves = harness.run()
    assert [list(leaf.subspace.operations(0)) for leaf in leaves] == [[0], [1], [2], [3]]
    assert all(list(leaf.subspace.operations(1)) == [0, 1, 2, 3] for leaf in leaves)
    (report,) = [event for event in harness.events if isinstance(event, UpdaterReported)]
    assert report.values["groups"] == [["none"], ["skip"], ["conv"], ["pool"]]
    assert report.values["edges"][0]["distances"] is None and report.values["value"] is None
    measured = Harness(
        Gm,
        options(groups="all", cells=["first"], splits=[1]),
        trainer_options={"epochs": 2},
    )
    assert len(measured.run()) == 4
    (report,) = [event for event in measured.events if isinstance(event, UpdaterReported)]
    assert len(report.values["edges"]) == 3 and report.values["value"] > 0


def test_every_split_makes_as_many_groups_as_its_own_entry_says():
    harness, leaves = search(
        groups=[2, 3],
        partition=["balanced", "listed"],
        listed=[["skip"], ["conv"], ["pool"]],
        cells=["first"],
    )
    reports = [event.values for event in harness.events if isinstance(event, UpdaterReported)]
    assert [[len(group) for group in each["groups"]] for each in reports] == [[2, 2]] + [
        [2, 1, 1]
    ] * 2
    assert [set(map(tuple, each["groups"])) for each in reports[1:]] == [
        {("none", "pool"), ("skip",), ("conv",)}
    ] * 2
    assert len(leaves) == 6 == len({leaf.name for leaf in leaves})


class Restarting(Darts):
    """Begins its weights' learning rate anew after its second epoch, on its own clock."""

    def after_epoch(self, probe):
        schedule = CosineRestart(4, 0.01) if probe.epoch == 2 else None
        return [Continuation(probe.subspace, schedule=schedule)]


@pytest.mark.parametrize(
    ("changes", "start", "base"),
    [
        # Two epochs after the split, where its clock began.
        ({"splits": [1]}, 3, 0.01),
        # At the split; branches that start anew have nothing of it.
        ({"splits": [2], "freeze": False, "restart": "none"}, 2, 0.01),
        ({"splits": [2], "freeze": False, "restart": "final"}, 2, 0.05),
    ],
)
def test_what_the_inner_updater_says_of_the_learning_rate_holds(changes, start, base, monkeypatch):
    monkeypatch.setattr("nastk_fewshot.updater.updater_class", lambda name: Restarting)
    harness = Harness(Gm, options(edge_rule="first", **changes), trainer_options={"epochs": 3})
    for leaf in harness.run():
        assert (leaf.schedule.start, leaf.schedule.base) == (start, base)


def test_listed_edges_and_groups_are_followed():
    _, leaves = search(
        edge_rule="listed",
        edges=["second:0->1", "first:1->2"],
        partition="listed",
        listed=[["conv"], ["skip"]],
        epochs=3,
    )
    rows = [
        (list(leaf.subspace.operations(3)), list(leaf.subspace.operations(2))) for leaf in leaves
    ]
    assert rows == [
        ([0, 1], [0, 1, 3]),
        ([0, 1], [2]),
        ([2], [0, 1, 3]),
        ([2], [2]),
    ]


def test_a_branch_that_cannot_be_split_goes_on_whole_and_says_so():
    harness = Harness(
        Gm,
        options(edge_rule="listed", edges=["second:0->1", "second:0->1"], splits=[1, 2]),
        trainer_options={"epochs": 3},
    )
    leaves = harness.run()
    assert [leaf.name for leaf in leaves] == ["0.0", "0.1"]
    reports = [event.values for event in harness.events if isinstance(event, UpdaterReported)]
    assert [report["edge"] for report in reports] == ["second:0->1", None, None]
    assert all(leaf.schedule.start == 2 for leaf in leaves)  # they start anew all the same


LEAVES = {
    "official": (60, 0.0136),
    "official-snas": (60, 0.0136),
    "official-rsps": (90, 0.0113),
    "paper": (30, 0.0011),
    "paper-rsps": (50, 0.001),
}
"""Published runs: the cosine of their leaves, in epochs, and the rate of the last one (D13)."""


@pytest.mark.parametrize("name", LEAVES)
def test_the_learning_rate_of_published_searches_is_the_closed_form_in_every_epoch(name):
    preset = next(one for one in Gm.presets if one.name == name and "nasbench201" in one.space)
    # What they measure is another test's: here it is as little as it can be.
    quick = {"batches": 1, "edge_rule": "first", "partition": "listed", "listed": [["conv"], []]}
    inner = {"inner": "random", "inner_options": {"candidates": 1}}
    names = ("epochs", "learning_rate", "minimum_learning_rate")
    harness = Harness(
        Gm,
        {**preset.updater_options, **quick, **inner},
        data=SMALL,
        trainer_options={key: preset.trainer_options[key] for key in names},
    )
    trainer, branches = harness.trainer, [harness.trainer.root()]
    while branch := trainer.next_branch(branches):  # epochs without steps
        branch.updater.mixtures(trainer.probe(branch))
        place = branches.index(branch)
        branches[place : place + 1] = trainer.close_epoch(branch)
    epochs, (first, last) = trainer.options.epochs, preset.updater_options["splits"]
    length, end = LEAVES[name]

    def rate(epoch, of):
        return 0.001 + 0.012 * (1 + cos(pi * epoch / of))

    found = {}
    for event in harness.events:
        if isinstance(event, EpochDone):
            found.setdefault(event.branch, {})[event.epoch - 1] = event.learning_rate
    spans = {0: range(first), 1: range(first, last), 2: range(last, epochs)}
    assert len(found) == 1 + 2 + 4
    for branch, rates in found.items():
        level = branch.count(".")
        begin, of = (last, length) if level == 2 else (0, epochs)
        assert rates == pytest.approx({each: rate(each - begin, of) for each in spans[level]})
        if level == 2:
            assert (rates[last], round(rates[epochs - 1], 4)) == (0.025, end)
    # The clock of what is inside is not that of the rate: a temperature ends where the leaf does.
    course = branches[0].updater.options.schedule(epochs)
    assert course.length(2) == epochs - last and len(branches) == 4


def test_leaves_may_end_before_the_run_does():
    harness = Harness(Gm, options("random", final=1, splits=[1]), trainer_options={"epochs": 4})
    leaves = harness.run()
    assert [(leaf.epoch, leaf.ended) for leaf in leaves] == [(2, True)] * 2
    assert all(leaf.schedule.end == 4 for leaf in leaves)
    assert all(leaf.updater.inner.ranking for leaf in leaves)  # for inner it was the last epoch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "changes"),
    [
        (DartsSpace, {"channels": 4, "cells": 3, "nodes": 2}),
        (NasBench201Space, {"channels": 4, "cells": 1}),
    ],
)
def test_it_splits_other_spaces(space, changes):
    made = space(space.parse_options(changes))
    cells = ["normal"] if space is DartsSpace else []
    harness = Harness(
        Gm,
        options("random", cells=cells),
        made,
        ToyData(ToyData.Options(images=32)),
        trainer_options={"epochs": 2},
    )
    leaves = harness.run()
    count = len(made.edges[0].operations)
    found = [min(sizes(leaf.subspace)) for leaf in leaves]
    assert sorted(found) == sorted([count // 2, count - count // 2])
    if cells:
        assert all(sizes(leaf.subspace)[5:] == [7] * 5 for leaf in leaves)
    for leaf in leaves:
        architecture = leaf.updater.architecture(harness.trainer.probe(leaf))
        assert made.check(architecture) == architecture
