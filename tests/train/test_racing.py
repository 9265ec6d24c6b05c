"""Races: the exact test of paired differences, the error kept, the images saved."""

from itertools import pairwise
from math import comb

import pytest
import torch
from core_kit import WISHES, small

import nastk
from nastk import ConfigurationError, Mixture, resolve
from nastk.testing import Harness
from nastk.testing.split import ToySplit
from nastk.train.leaf_selection import Chooser
from nastk.train.racing import doubling, race, tail, told_apart


@pytest.mark.parametrize("tosses", [0, 1, 7, 20, 61])
def test_the_tail_of_a_fair_coin_is_a_sum_of_binomials(tosses):
    for heads in range(tosses + 2):
        expected = sum(comb(tosses, k) for k in range(heads, tosses + 1)) / 2**tosses
        assert tail(tosses, heads) == pytest.approx(expected, rel=1e-9, abs=1e-18)


def test_the_tail_of_many_tosses_is_that_of_a_normal():
    # 10,000 tosses, two deviations above the middle, with the correction for counts.
    assert tail(10_000, 5_100) == pytest.approx(0.02330, abs=2e-5)
    chances = [tail(10_000, heads) for heads in range(4_700, 5_500, 50)]
    assert all(before > after for before, after in pairwise(chances))


def test_only_images_that_one_of_two_gets_right_tell_them_apart():
    better = torch.tensor([True] * 8 + [False] * 92 + [True] * 900)
    other = torch.tensor([False] * 100 + [True] * 900)
    assert told_apart(better, other, 2**-8) and not told_apart(better, other, 2**-9)
    assert not told_apart(other, better, 0.5) and not told_apart(better, better, 0.5)


def answers(accuracies, images, seed, shared=0.7):
    """Right or wrong on each image, correlated: most images are as hard for all contestants."""
    rng = torch.Generator().manual_seed(seed)
    common = torch.randn(images, generator=rng)
    own = torch.randn(len(accuracies), images, generator=rng)
    ease = shared**0.5 * common + (1 - shared) ** 0.5 * own
    threshold = torch.special.ndtri(torch.tensor(accuracies))
    return ease < threshold[:, None]


def raced(right, sizes, error):
    """The standings of a race over columns of `right`, and how many images were measured."""
    bounds = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    asked = []

    def hits(numbers, portion):
        asked.append((list(numbers), portion))
        return right[list(numbers), bounds[portion] : bounds[portion + 1]]

    standings = race(len(right), len(sizes), hits, error)
    assert [portion for _, portion in asked] == list(range(len(asked)))
    return standings, sum(len(numbers) * sizes[portion] for numbers, portion in asked)


def test_the_standings_say_who_saw_what_and_those_put_out_late_stand_before():
    right = answers([0.1, 0.6, 0.65, 0.3, 0.9], 8_000, 0)
    sizes = doubling(80, 5)
    images = [100 * size for size in sizes]
    standings, measured = raced(right, images, 0.05)
    assert standings[0].number == 4 and len(standings) == 5
    assert {one.number for one in standings} == set(range(5))
    seen = [one.images for one in standings]
    assert seen == sorted(seen, reverse=True)
    assert measured == sum(seen) < 5 * 8_000
    for one in standings:
        expected = float(right[one.number, : one.images].double().mean())
        assert one.accuracy == pytest.approx(expected)


def test_equals_are_measured_on_all_images_and_keep_their_order():
    right = answers([0.5], 400, 1).expand(3, -1)
    standings, measured = raced(right, [100, 100, 200], 0.1)
    assert [one.number for one in standings] == [0, 1, 2] and measured == 3 * 400


@pytest.mark.parametrize(
    ("batches", "first", "sizes"),
    [(40, 4, [4, 4, 8, 16, 8]), (3, 4, [3]), (4, 4, [4]), (7, 1, [1, 1, 2, 3]), (0, 4, [])],
)
def test_portions_double_what_was_seen_and_end_with_the_images(batches, first, sizes):
    assert doubling(batches, first) == sizes


def test_one_contestant_is_measured_once():
    standings, measured = raced(answers([0.5], 400, 1), [100, 100, 200], 0.1)
    assert len(standings) == 1 and measured == 100


@pytest.mark.parametrize(("contestants", "portions"), [(2, 2), (3, 2), (4, 3), (2, 5), (6, 1)])
@pytest.mark.parametrize("leader", ["first", "last"])
def test_a_contestant_is_out_from_the_stated_level_on(contestants, portions, leader):
    """Only the leader is right on the first ten images: the tail is 2^-10 after every portion."""
    right = torch.zeros(contestants, 10 * portions, dtype=torch.bool)
    right[:, 10:] = True
    right[0 if leader == "first" else -1, :10] = True
    at_level = (contestants - 1) * portions * 2**-10
    standings, measured = raced(right, [10] * portions, at_level)
    assert measured == contestants * 10
    assert standings[0].number == (0 if leader == "first" else contestants - 1)
    standings, measured = raced(right, [10] * portions, at_level * (1 - 1e-9))
    assert measured == contestants * 10 * portions


@pytest.mark.parametrize("portions", [[50], [400, 400]])
def test_a_race_of_one_portion_is_the_full_measurement(portions):
    right = answers([0.5, 0.52, 0.51], sum(portions), 2)
    standings, measured = raced(right, portions, 1e-9)
    assert measured == 3 * sum(portions)
    by_accuracy = sorted(range(3), key=lambda number: -int(right[number].sum()))
    assert [one.number for one in standings] == by_accuracy


def test_the_best_is_put_out_no_more_often_than_stated_and_images_are_saved():
    """Twenty candidates, one of them better by 2 points; 100 races with an error of 10 %."""
    accuracies = [0.44, *[0.42] * 4, *[0.35 + 0.003 * step for step in range(15)]]
    lost, measured, full = 0, 0, 0
    for seed in range(100):
        right = answers(accuracies, 8_000, seed)
        standings, images = raced(right, [1_000, 1_000, 2_000, 4_000], 0.1)
        best_seen = max(one.images for one in standings)
        lost += next(one for one in standings if one.number == 0).images < best_seen
        measured += images
        full += right.numel()
    # Four deviations of 100 draws above 10 %: no more than 22.
    assert lost <= 22
    assert measured < 0.6 * full


@pytest.mark.slow
def test_with_all_equal_the_first_is_put_out_no_more_often_than_stated():
    """The hardest case for the bound: each of ten is a best one."""
    lost = 0
    for seed in range(2_000):
        standings, _ = raced(answers([0.4] * 10, 2_000, seed), [250, 250, 500, 1_000], 0.2)
        lost += next(one for one in standings if one.number == 0).images < 2_000
    assert lost <= 400 + 4 * 18


# ---------------------------------------------------------------- images of a supernet


def test_hits_are_what_each_mixture_gets_right():
    harness = small()
    (branch,) = harness.run()
    probe = harness.trainer.probe(branch)
    batch = probe.valid.at(0)
    rng = torch.Generator().manual_seed(0)
    mixtures = [Mixture.of(harness.space.sample(probe.subspace, rng)) for _ in range(5)]
    hits = probe.hits(mixtures, batch)
    assert hits.shape == (5, len(batch.labels))
    for row, mixture in zip(hits, mixtures, strict=True):
        assert torch.equal(row, probe.correct(mixture, [batch]))
    before = harness.trainer.ledger.cost().total.images_forward
    probe.hits(mixtures, batch)
    spent = harness.trainer.ledger.cost().total.images_forward - before
    assert spent == 5 * len(batch.labels)


# ---------------------------------------------------------------- leaves


@pytest.fixture(scope="module")
def leaves():
    harness = Harness(ToySplit)
    return harness.run(), harness.trainer


def test_leaves_that_are_not_told_apart_are_chosen_among_as_without_a_race(leaves):
    branches, trainer = leaves
    plain, values = Chooser().choose(branches, trainer)
    raced_leaf, seen = Chooser(race=1e-6).choose(branches, trainer)
    assert raced_leaf is plain
    assert list(seen["valid_accuracy"]) == list(values["valid_accuracy"])
    assert seen["valid_accuracy"] == pytest.approx(values["valid_accuracy"])


@pytest.mark.parametrize(("first", "batches"), [(1, 1), (16, 1), (17, 2), (33, 3), (1_000, 3)])
def test_a_leaf_that_is_told_apart_is_not_measured_further(first, batches, leaves, monkeypatch):
    branches, trainer = leaves
    monkeypatch.setattr("nastk.train.leaf_selection.FIRST_IMAGES", first)
    images = []

    def correct(self, mixture, batches):
        (batch,) = batches
        images.append(len(batch.labels))
        right = self._branch.name == branches[1].name
        return torch.full((len(batch.labels),), right)

    monkeypatch.setattr("nastk.train.probe.Probe.correct", correct)
    best, values = Chooser(race=0.1).choose(branches, trainer)
    assert best is branches[1] and values["valid_accuracy"] == {
        branches[0].name: 0.0,
        branches[1].name: 1.0,
    }
    assert images == [16, 16] * batches  # whole batches, of 16


def test_a_race_and_a_judge_of_leaves_exclude_each_other(tmp_path):
    request = {**WISHES, "leaf_evaluator": "size", "leaf_race": 0.1, "out": tmp_path / "run"}
    with pytest.raises(ConfigurationError, match="Leave out leaf_race or leaf_evaluator"):
        nastk.search(**request)
    assert resolve({**WISHES, "leaf_race": 0.1}).leaf_race == 0.1
    with pytest.raises(ConfigurationError, match=r"leaf_race must be at most 0\.5"):
        resolve({**WISHES, "leaf_race": 0.7})


def test_a_search_may_race_its_leaves(tmp_path):
    found = [
        nastk.search(**{**WISHES, "leaf_race": error, "out": tmp_path / str(error)})
        for error in (None, 1e-6)
    ]
    assert found[0].architecture == found[1].architecture
