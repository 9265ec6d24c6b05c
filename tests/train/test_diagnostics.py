"""The watch over decisions: shares, entropy, named warnings; it changes nothing."""

import json
import math

import pytest
import torch
from core_kit import answering

from nastk import Mixture, Subspace, warnings_of
from nastk.base.events import Watched
from nastk.testing import Harness, ToySpace
from nastk.train.diagnostic import changes_of
from nastk.train.diagnostics import Diagnostics, collapsed, entropy, parameter_free
from nastk.train.watching import FinishedEpoch
from nastk_spaces_darts.space import DartsSpace

SPACE = ToySpace()
ONE = [["conv"], ["skip"], ["skip"], ["conv"], ["skip"]]


def deciding(choices, **more):
    """An updater that always decides for these operations."""
    found = SPACE.architecture(choices)
    return answering(architecture=lambda self, probe: found, **more)


def watched(updater, epochs=2):
    harness = Harness(updater, trainer_options={"epochs": epochs}, watchers=[Diagnostics()])
    branches = harness.run()
    return [each for each in harness.events if isinstance(each, Watched)], harness, branches


@pytest.mark.parametrize(
    ("choices", "share", "names"),
    [
        (ONE, 3 / 5, ["collapsed"]),
        ([["conv"], ["conv"], ["conv"], ["conv"], ["conv"]], 0.0, []),
        ([["skip"], ["pool"], ["conv"], ["skip"], ["skip"]], 4 / 5, []),
        ([["skip"], ["skip"], ["skip"], ["skip"], ["skip"]], 1.0, ["collapsed"]),
        ([["none"], ["none"], ["conv"], ["conv"], ["skip"]], 3 / 5, ["collapsed", "disconnected"]),
        ([["conv"], ["conv"], ["conv"], ["none"], ["conv"]], 1 / 5, ["disconnected"]),
    ],
)
def test_decisions_without_parameters_or_without_a_path_are_named(choices, share, names):
    events, _, _ = watched(deciding(choices))
    assert [each.epoch for each in events] == [1, 2]
    assert events[0].parameter_free == pytest.approx(share)
    assert [each["name"] for each in events[0].warnings] == names


FREE = ("max_pool_3x3", "avg_pool_3x3", "skip_connect")
CELLS = DartsSpace()


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ((3, 2, 1), "6 of the 8 operations of 'normal' have no parameters: 3 max_pool_3x3, "),
        ((2, 2, 2), "6 of the 8 operations of 'normal' have no parameters: 2 "),
        ((4, 4, 0), "8 of the 8 operations of 'normal' have no parameters: 4 "),
        ((5, 0, 0), "5 of the 8 operations of 'normal' are max_pool_3x3, which has no parameters."),
        ((5, 1, 0), "5 of the 8 operations of 'normal' are max_pool_3x3, which has no parameters."),
        ((2, 2, 1), None),
        ((4, 1, 0), None),
    ],
)
def test_a_cell_of_several_kinds_without_parameters_is_collapsed_too(kinds, message):
    names = [name for name, count in zip(FREE, kinds, strict=True) for _ in range(count)]
    names += ["sep_conv_3x3"] * (8 - len(names))
    sources = [0, 1] * 4
    cell = list(zip(names, sources, strict=True))
    plain = list(zip(["dil_conv_5x5"] * 8, sources, strict=True))
    text = f"Genotype(normal={cell}, normal_concat=[2, 3, 4, 5], "
    text += f"reduce={plain}, reduce_concat=[2, 3, 4, 5])"
    free = {(edge, name) for edge in CELLS.edges for name in FREE}
    found = collapsed(CELLS.from_text(text), free)
    assert [one.message.startswith(message or "") for one in found] == [True] * bool(message)


def test_operations_without_parameters_are_those_of_no_module_with_any():
    _, harness, (branch,) = watched(deciding(ONE))
    probe = harness.trainer.probe(branch)
    free = {(edge, name) for edge in SPACE.edges for name in edge.operations if name != "conv"}
    assert parameter_free(SPACE.edges, probe) == free


def test_an_operation_may_have_parameters_on_some_edges_only():
    space = DartsSpace(DartsSpace.parse_options({"channels": 2, "cells": 3, "nodes": 2}))
    trainer = Harness(deciding(ONE), space=space).trainer
    free = parameter_free(space.edges, trainer.probe(trainer.root()))
    skips = {edge.name for edge, name in free if name == "skip_connect"}
    # Where a skip halves the image it computes: from a reduction cell's two inputs.
    halving = {f"reduce:{source}->{node}" for source in (0, 1) for node in (2, 3)}
    assert skips == {edge.name for edge in space.edges} - halving


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([[0.0, 0.0, 0.0, 0.0]] * 5, 1.0),
        ([[50.0, 0.0, 0.0, 0.0]] * 5, 0.0),
        ([[0.0, 0.0, -50.0, -50.0]] * 5, (3 * math.log(2, 4) + 2 * math.log(2, 3)) / 5),
    ],
)  # fmt: skip
def test_entropy_is_one_for_uniform_weights_and_zero_for_a_single_operation(logits, expected):
    mixture = Mixture.softmax(torch.tensor(logits), SPACE.full())
    _, harness, (branch,) = watched(deciding(ONE))
    assert entropy([mixture], harness.trainer.probe(branch)) == pytest.approx(expected, abs=1e-6)


def test_entropy_does_not_depend_on_the_scale_of_a_row():
    _, harness, (branch,) = watched(deciding(ONE))
    mixture = Mixture.uniform(SPACE.full())
    scaled = Mixture(
        mixture.weights * torch.tensor([[1.0], [0.2], [3.0], [1.0], [0.5]]), mixture.active
    )
    assert entropy([scaled], harness.trainer.probe(branch)) == pytest.approx(1.0)
    nothing = Mixture(mixture.weights * torch.tensor([[0.0], *[[1.0]] * 4]), mixture.active)
    assert entropy([nothing], harness.trainer.probe(branch)) == pytest.approx(4 / 5)


def test_single_paths_and_subspaces_without_a_choice_have_no_entropy():
    path = Mixture.of(SPACE.architecture(ONE))
    _, harness, (branch,) = watched(deciding(ONE))
    probe = harness.trainer.probe(branch)
    assert entropy([path], probe) is None
    assert entropy([path.without(0, 2)], probe) is None
    branch.subspace = Subspace(SPACE.architecture(ONE).table())
    assert entropy([Mixture.uniform(branch.subspace)], probe) is None


def test_a_decision_of_uniform_weights_is_undecided_at_the_end():
    events, _, _ = watched(deciding([["conv"]] * 5))
    assert events[0].entropy == pytest.approx(1.0) and events[0].warnings == []
    assert [each["name"] for each in events[1].warnings] == ["undecided"]


def test_edges_without_a_choice_do_not_count_and_those_with_two_do():
    _, harness, (branch,) = watched(deciding(ONE))
    branch.subspace = SPACE.full().only(0, [1]).only(1, [1, 2])
    weights = Mixture.uniform(branch.subspace).weights.clone()
    weights[1, 1], weights[1, 2] = 0.9, 0.1
    expected = (-(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1)) + 3) / 4
    found = entropy([Mixture(weights, branch.subspace.mask)], harness.trainer.probe(branch))
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("strength", "names"), [(0.2, ["undecided"]), (0.6, []), (5.0, [])])
def test_weights_that_differ_enough_are_decided(strength, names):
    logits = torch.zeros(5, 4)
    logits[:, 2] = strength  # an entropy of about 0.997, 0.97 and 0.06
    mixture = Mixture.softmax(logits, SPACE.full())
    events, _, _ = watched(deciding([["conv"]] * 5, mixtures=lambda probe: [mixture]))
    assert [each["name"] for each in events[1].warnings] == names


@pytest.mark.parametrize(("first", "share"), [((), 0.0), (("skip",), 1.0), (("conv",), 0.0)])
def test_the_share_of_a_decision_of_few_operations(first, share):
    _, harness, (branch,) = watched(deciding(ONE), epochs=1)
    few = SPACE.architecture([first, (), (), (), ()])
    seen_now = Diagnostics()(FinishedEpoch(branch, harness.trainer.probe(branch), few, False))
    assert seen_now.parameter_free == share


def test_draws_for_the_watch_are_taken_back():
    drawn = []

    def mixtures(probe):
        drawn.append(int(torch.randint(1000, (), generator=probe.rng)))
        return [Mixture.uniform(probe.subspace)]

    plain = Harness(answering(mixtures=mixtures))
    plain.run()
    alone, drawn = list(drawn), []
    watched(answering(mixtures=lambda probe: mixtures(probe)), epochs=3)
    steps = len(plain.trainer.train)
    trained = [value for place, value in enumerate(drawn) if place % (steps + 1) != steps]
    assert trained == alone


def test_an_updater_that_changes_when_it_is_asked_is_not_changed():
    class Counting(deciding(ONE)):
        asked = 0

        def mixtures(self, probe):
            self.asked += 1
            return [Mixture.uniform(probe.subspace)]

        def state_dict(self):
            return {"asked": self.asked}

        def load_state_dict(self, state):
            self.asked = state["asked"]

    _, harness, (branch,) = watched(Counting)
    assert branch.updater.asked == branch.step == 2 * len(harness.trainer.train)


def test_scores_are_on_record_with_none_for_what_is_not_rated():
    table = torch.ones(5, 4)
    table[0, 1] = torch.nan
    events, _, _ = watched(deciding(ONE, scores=lambda self, probe: table))
    assert events[0].scores == [[1.0, None, 1.0, 1.0], *[[1.0] * 4] * 4]
    assert watched(deciding(ONE))[0][0].scores is None


def epoch(architecture, branch="0"):
    return {"kind": "epoch-done", "branch": branch, "architecture": architecture}


def seen(*names, branch="0"):
    warnings = [{"name": name, "message": "..."} for name in names]
    return {"kind": "watched", "branch": branch, "warnings": warnings}


def finished(branch):
    return {"kind": "run-finished", "branch": branch}


@pytest.mark.parametrize(
    ("history", "names"),
    [
        ([], []),
        ([epoch("a"), seen("collapsed"), epoch("a"), seen()], []),
        ([epoch("a"), seen(), epoch("a"), seen("collapsed")], ["collapsed"]),
        ([*map(epoch, "abcde"), seen()], ["unsettled"]),
        ([epoch(name, "0.1") for name in "abcde"] + [seen(branch="0.1")], ["unsettled"]),
        ([*map(epoch, "abcdd"), seen()], []),
        ([*map(epoch, "abc"), seen()], []),
        ([*map(epoch, "abcd"), seen()], []),
        ([*map(epoch, "aabcd"), seen()], ["unsettled"]),
        ([*map(epoch, "edcba"), seen()], ["unsettled"]),
        ([*map(epoch, "abbcd"), seen()], []),
        ([*map(epoch, "abccd"), seen()], []),
        ([epoch(name, f"0.{name}") for name in "012" * 5] + [seen(branch="0.1")], []),
        ([seen("collapsed", branch="0.1"), epoch("a", branch="0.0")], ["collapsed"]),
        ([seen("collapsed", branch="0.1"), seen(branch="0.0")], []),
        ([seen("collapsed", branch="0.0"), seen(branch="0.1"), finished("0.0")], ["collapsed"]),
        (
            [seen("collapsed", branch="0.0"), finished("0.1"), seen(branch="0.1"), finished("0.0")],
            ["collapsed"],
        ),
    ],
)
def test_the_last_epoch_of_the_runs_branch_warns(history, names):
    assert [each.name for each in warnings_of(history)] == names
    for kind in ("a-kind", "z-kind"):  # events that say nothing here, of this branch and another
        silent = {"kind": kind, "architecture": "other", "warnings": [{"name": "x", "message": ""}]}
        longer = [
            each
            for event in history
            for each in (event, {**event, **silent}, {**event, **silent, "branch": "9"})
        ]
        assert [each.name for each in warnings_of(json.loads(json.dumps(longer)))] == names


def test_a_branch_can_be_asked_for():
    history = [seen("collapsed", branch="0.1"), seen(branch="0.0")]
    assert [each.name for each in warnings_of(history, "0.1")] == ["collapsed"]


def test_changes_count_epochs_whose_decision_is_another():
    assert changes_of("aab") == [False, True] and changes_of("a") == changes_of("") == []
    assert changes_of("ba") == [True]
    assert changes_of(["one text", " ".join(["one", "text"])]) == [False]
