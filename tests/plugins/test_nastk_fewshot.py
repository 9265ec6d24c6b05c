"""`nastk_fewshot`, its parts: groups, edges, the course of a run, options, decisions."""

import importlib
import sys
from itertools import combinations
from math import comb

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import nastk
import nastk_fewshot
from nastk import ConfigurationError, Mixture, UnknownNameError
from nastk.base.errors import MissingExtraError
from nastk.testing import ToySpace
from nastk.train.wrapper import complete
from nastk_fewshot.cut import Cut, chosen, cut, splittable
from nastk_fewshot.deriving import rescale_split_edges
from nastk_fewshot.fewshot import FewShot
from nastk_fewshot.partition import (
    Partitioner,
    cross,
    cut_weight,
    partitions,
    smallest_cut,
    within,
)
from nastk_fewshot.split_schedule import SplitSchedule
from nastk_fewshot.updater import Gm
from nastk_spaces_darts.space import DartsSpace


def table(rng, count):
    """A random table of distances: symmetric, in [0, 2], zero on its diagonal."""
    half = torch.rand(count, count, generator=rng, dtype=torch.float64) * 2
    return ((half + half.T) / 2).fill_diagonal_(0)


def tables(most=7, least=2):
    return st.builds(
        lambda count, seed: table(torch.Generator().manual_seed(seed), count),
        st.integers(least, most),
        st.integers(0, 10**6),
    )


def names(count):
    return tuple(f"o{number}" for number in range(count))


# ---------------------------------------------------------------- groups


@pytest.mark.parametrize(
    ("count", "groups", "number"), [(5, 2, 15), (6, 3, 90), (7, 3, 301), (4, 4, 1), (3, 4, 0)]
)
def test_every_partition_comes_once(count, groups, number):
    found = list(partitions(range(count), groups, 1, count))
    assert len(found) == len(set(found)) == number  # Stirling numbers of the second kind
    for each in found:
        assert sorted(place for group in each for place in group) == list(range(count))


@given(distances=tables(least=3), groups=st.integers(2, 3))
def test_balanced_groups_are_the_best_of_their_sizes(distances, groups):
    count = len(distances)
    found = Partitioner(groups).best(distances, names(count))
    sizes = sorted(len(group) for group in found)
    assert sum(sizes) == count and sizes[-1] - sizes[0] <= 1
    labels = torch.cartesian_prod(*[torch.arange(groups)] * count)
    inside = (labels[:, :, None] == labels[:, None, :]).double()
    totals = (inside * distances).sum((1, 2)) / 2
    right = torch.stack([(labels == group).sum(1) for group in range(groups)], 1).sort(1).values
    best = totals[(right == torch.tensor(sizes)).all(1)].min()
    listed = distances.tolist()
    assert within(listed, found) == pytest.approx(float(best))
    whole = float(distances.triu().sum())
    assert cross(listed, found) + within(listed, found) == pytest.approx(whole)


@given(distances=tables(least=4))
def test_other_rules_are_the_best_of_all_subsets(distances):
    count, listed = len(distances), distances.tolist()
    halves = [
        (tuple(left), tuple(place for place in range(count) if place not in left))
        for size in range(1, count)
        for left in combinations(range(count), size)
    ]
    for rule, measure, smallest in (("min-cut", cut_weight, 1), ("min-within", within, 2)):
        found = Partitioner(2, rule).best(distances, names(count))
        allowed = [each for each in halves if min(map(len, each)) >= smallest]
        assert measure(listed, found) == pytest.approx(min(measure(listed, e) for e in allowed))


@given(distances=tables(most=8, least=4))
def test_networkx_finds_the_cut_that_enumeration_finds(distances):
    listed = distances.tolist()
    found = Partitioner(2, "min-cut").best(distances, names(len(distances)))
    assert cut_weight(listed, smallest_cut(listed)) == pytest.approx(cut_weight(listed, found))


def test_more_than_eight_operations_are_cut_by_networkx(monkeypatch):
    blocks = torch.ones(12, 12, dtype=torch.float64)
    blocks[:4, :4] = blocks[4:, 4:] = 0.1
    blocks.fill_diagonal_(0)
    partitioner = Partitioner(2, "min-cut")
    assert partitioner.best(blocks, names(12)) == (tuple(range(4)), tuple(range(4, 12)))
    found = Partitioner(2).best(blocks, names(12))  # balanced needs no library
    assert [len(group) for group in found] == [6, 6]

    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nastk\[networkx\]'"):
        partitioner.best(blocks, names(12))


@pytest.mark.parametrize(
    ("groups", "planted"),
    [
        (2, ((0, 3, 5), (1, 2, 4))),
        (2, ((0, 1), (2, 3, 4))),
        (3, ((0, 4), (1, 2), (3, 5))),
    ],
)
@pytest.mark.parametrize("rule", ["balanced", "min-cut", "min-within"])
def test_planted_groups_are_found(rule, groups, planted):
    count = sum(map(len, planted))
    distances = torch.ones(count, count, dtype=torch.float64)
    for group in planted:
        for one in group:
            for other in group:
                distances[one, other] = 0.2 * (one != other)
    assert Partitioner(groups, rule).best(distances, names(count)) == planted


def test_equal_distances_give_the_first_partition():
    flat = torch.full((5, 5), 0.1, dtype=torch.float64).fill_diagonal_(0)
    assert Partitioner(2).best(flat, names(5)) == ((0, 1), (2, 3, 4))
    assert Partitioner(3).best(torch.zeros(6, 6, dtype=torch.float64), names(6)) == (
        (0, 1),
        (2, 3),
        (4, 5),
    )


def test_free_sizes_and_balanced_ones_disagree():
    # D3: between nearly orthogonal gradients the smallest cut is a single operation.
    rng = torch.Generator().manual_seed(0)
    distances = 0.8 + 0.1 * table(rng, 7)
    distances.fill_diagonal_(0)
    sizes = {
        rule: sorted(map(len, Partitioner(2, rule).best(distances, names(7))))
        for rule in ("balanced", "min-within", "min-cut")
    }
    assert sizes == {"balanced": [3, 4], "min-within": [3, 4], "min-cut": [1, 6]}


def test_single_operations_and_listed_groups_need_no_distances():
    assert Partitioner("all").best(None, names(3)) == ((0,), (1,), (2,))
    listed = Partitioner(2, "listed", (("skip",), ("conv",)))
    assert listed.best(None, ("none", "skip", "conv", "pool")) == ((0, 2, 3), (1,))
    assert listed.best(None, ("conv", "pool")) is None
    assert listed.blind and Partitioner("all").blind and not Partitioner(2).blind


def test_the_best_partition_is_the_best_that_is_allowed():
    distances = table(torch.Generator().manual_seed(1), 5)
    first = Partitioner(2).best(distances, names(5))
    second = Partitioner(2).best(distances, names(5), lambda each: each != first)
    assert second != first
    assert within(distances.tolist(), second) > within(distances.tolist(), first)
    assert Partitioner(2).best(distances, names(5), lambda each: False) is None


# ---------------------------------------------------------------- edges


def planted(edge, count, distance, inside=None):
    """A cut in two halves with one distance between them, and one inside."""
    half = count // 2
    distances = torch.full((count, count), distance if inside is None else inside).double()
    distances[:half, half:] = distances[half:, :half] = distance
    distances.fill_diagonal_(0)
    groups = (tuple(range(half)), tuple(range(half, count)))
    return Cut(edge, f"e{edge}", tuple(range(count)), names(count), groups, distances)


def test_the_edge_that_disagrees_most_is_split_and_the_official_rule_takes_the_other():
    cuts = [planted(0, 4, 0.8), planted(1, 4, 1.1), planted(2, 4, 0.1)]
    assert chosen(cuts, "largest-cross") == 1
    assert chosen(cuts, "smallest-within") == 2  # D4: nothing to gain there
    assert chosen([cuts[0]] * 3, "largest-cross") == 0


def test_edges_that_differ_in_operations_are_compared_pair_by_pair():
    cuts = [planted(0, 4, 1.0), planted(1, 6, 0.9)]
    assert cuts[0].cross == pytest.approx(4.0) and cuts[1].cross == pytest.approx(8.1)
    assert chosen(cuts, "largest-cross") == 0
    assert chosen(cuts, "largest-cross", per_pair=False) == 1  # D7
    assert chosen(cuts, "smallest-within") == 1
    assert chosen(cuts, "smallest-within", per_pair=False) == 0


def test_an_edge_is_split_at_most_once_and_only_in_the_cells_asked_for():
    space, partitioner = ToySpace(), Partitioner(2)
    full = space.full()
    assert splittable(space, full, partitioner) == [0, 1, 2, 3, 4]
    assert splittable(space, full, partitioner, ["first"]) == [0, 1, 2]
    assert splittable(space, full.drop(1, 3), partitioner) == [0, 2, 3, 4]
    assert splittable(space, full, Partitioner(4)) == [0, 1, 2]
    assert splittable(space, full, Partitioner(2, "min-within")) == [0, 1, 2]


def test_no_part_is_without_an_architecture_or_cut_off_from_its_input():
    space, full = ToySpace(), ToySpace().full()
    # The second cell is a chain: `none` alone on an edge would cut it.
    alone = torch.tensor([[0.0, 2, 2], [2, 0, 0], [2, 0, 0]]).double()
    found = cut(space, full, 3, Partitioner(2), alone)
    assert found.named() == [["none", "skip"], ["conv"]]
    assert splittable(space, full, Partitioner("all")) == [0, 1, 2]
    darts = DartsSpace(DartsSpace.parse_options({"nodes": 2, "include_none": True}))
    edges = splittable(darts, darts.full(), Partitioner("all"))
    assert [darts.edges[edge].head for edge in edges] == [3] * 6
    assert full.connects(space.edges)
    assert not full.only(3, [0]).connects(space.edges)
    assert full.only(0, [0]).connects(space.edges)


def test_parts_divide_the_space():
    space = ToySpace()
    found = cut(space, space.full(), 1, Partitioner(2), table(torch.Generator(), 4))
    parts = found.parts(space.full())
    rows = [set(part.operations(1)) for part in parts]
    assert set.union(*rows) == {0, 1, 2, 3} and not set.intersection(*rows)
    assert all(list(part.operations(0)) == [0, 1, 2, 3] for part in parts)
    record = found.to_json()
    assert record["edge"] == "first:0->2" and record["operations"] == list(
        space.edges[1].operations
    )
    assert sorted(name for group in record["groups"] for name in group) == sorted(
        record["operations"]
    )


# ---------------------------------------------------------------- the course of a run


@pytest.mark.parametrize(
    ("restart", "freeze", "final", "begins", "lengths", "lives"),
    [
        ("final", True, None, [0, 0, 30], [60, 60, 30], {30: 2}),
        ("all", True, None, [0, 0, 30], [60, 60, 30], {30: 2}),
        ("none", True, None, [0, 0, 30], [60, 60, 30], {30: 2}),
        ("final", False, None, [0, 0, 30], [60, 60, 30], {0: 1, 30: 2}),
        ("all", False, None, [0, 15, 30], [60, 45, 30], {0: 0, 15: 1, 30: 2}),
        ("none", False, None, [0, 0, 0], [60, 60, 60], {0: 2}),
        ("final", True, 20, [0, 0, 30], [50, 50, 20], {30: 2}),
    ],
)
def test_the_inner_clock_starts_where_its_learning_does(
    restart, freeze, final, begins, lengths, lives
):
    course = SplitSchedule(60, (15, 30), restart, freeze, final)
    assert [course.local_start(level) for level in range(3)] == begins
    assert [course.length(level) for level in range(3)] == lengths
    assert course.learning_periods() == lives
    assert [course.frozen(level) for level in range(3)] == [freeze, freeze, False]
    fresh = {"final": [False, True], "all": [True, True], "none": [False, False]}[restart]
    assert [course.fresh(level) for level in (1, 2)] == fresh


def test_a_course_without_splits_is_the_inner_updaters_own():
    course = SplitSchedule(7, (), "final", True, 3)
    assert (course.last, course.end, course.local_start(0), course.length(0)) == (0, 7, 0, 7)
    assert not course.frozen(0) and course.learning_periods() == {0: 0}


def test_training_epochs_as_the_specification_counts_them():
    def epochs(splits, groups, final):
        levels = zip((0, *splits), (*splits, splits[-1] + final), strict=True)
        return sum((end - start) * groups**level for level, (start, end) in enumerate(levels))

    assert epochs((15, 30), 2, 30) == 165
    assert epochs((20, 40), 2, 50) == 260
    assert epochs((2, 4, 6), 2, 15) == 134


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"inner": "dart"}, UnknownNameError, r"No updater is named 'dart'. Did you mean 'darts'"),
        ({"inner_options": {"ordr": 1}}, ConfigurationError, "darts has no option 'ordr'. Did you"),
        ({"inner_preset": "quik"}, ConfigurationError, "'darts' has no preset 'quik'.*'quick'"),
        ({"groups": 1}, ConfigurationError, "gm: groups.* must be at least 2, got 1"),
        ({"groups": [2, 1]}, ConfigurationError, "gm: groups.* must be at least 2, got 1"),
        ({"groups": [2, "all"]}, ConfigurationError, "gm: groups.*expected a valid integer"),
        ({"restart_cosine": 0}, ConfigurationError, "restart_cosine must be at least 1, got 0"),
        (
            {"restart_cosine": 60, "restart": "none"},
            ConfigurationError,
            "restart=final or all with restart_cosine: none starts nothing anew",
        ),
        ({"partition": ["balanced", "listed"]}, ConfigurationError, "two or more groups in listed"),
        ({"partition": ["balanced", "best"]}, ConfigurationError, "partition.* must be one of"),
        ({"splits": [3, 2]}, ConfigurationError, r"splits of 1 or more that rise.*\(3, 2\)"),
        ({"splits": [0]}, ConfigurationError, "splits of 1 or more that rise"),
        ({"edge_rule": "listed"}, ConfigurationError, "edges together with edge_rule=listed"),
        ({"edges": ["a"]}, ConfigurationError, "edges together with edge_rule=listed"),
        ({"partition": "listed"}, ConfigurationError, "two or more groups in listed"),
        ({"batches": 0}, ConfigurationError, "batches must be at least 1, got 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        Gm.parse_options(options)


def test_the_inner_options_are_written_out_in_full():
    options = Gm.parse_options({"inner": "random", "inner_options": {"candidates": 7}})
    assert options.inner_options == complete("random", {"candidates": 7})
    assert options.inner_options["candidates"] == 7 and len(options.inner_options) > 5
    quick = Gm.parse_options({"inner": "random", "inner_preset": "quick"})
    assert quick.inner_options["candidates"] == 10
    assert Gm.parse_options(quick.model_dump(mode="json")) == quick
    assert Gm.parse_options({"inner": "toy-split", "inner_preset": "quick"}).inner_options


def test_groups_and_partition_may_differ_from_split_to_split():
    listed = (("a", "b"), ("c",))
    options = Gm.parse_options(
        {"groups": [2, 3], "partition": ["min-within", "listed"], "listed": listed}
    )
    assert options.partitioner(1) == Partitioner(2, "min-within", listed)
    assert options.partitioner(2) == Partitioner(3, "listed", listed)
    assert [options.partitioner(split).most(7) for split in (1, 2)] == [2, 2]
    assert not options.uniform and options.miscounted(2) is None
    assert options.miscounted(3) == ("groups has 2 entries for 3 splits; it needs one for each")
    alike = Gm.parse_options({"groups": "all"})
    assert alike.uniform and alike.partitioner(1) == alike.partitioner(9) == Partitioner("all")
    assert alike.partitioner(1).most(7) == 7
    assert Gm.parse_options(options.model_dump(mode="json")) == options


def test_fewshot_is_gm_with_single_operations():
    options = FewShot.parse_options({})
    assert (options.groups, options.splits, options.edge_rule) == ("all", (1,), "first")
    with pytest.raises(ConfigurationError, match="fewshot: groups must be one of 'all'"):
        FewShot.parse_options({"groups": 2})


def test_presets_are_of_settings_that_work():
    for updater in (Gm, FewShot):
        for preset in updater.presets:
            try:
                options = updater.parse_options(preset.updater_options)
            except UnknownNameError:
                assert preset.updater_options["inner"] == "snas"  # of another plugin
                continue
            course = options.schedule(preset.trainer_options.get("epochs", 6))
            assert 0 < course.splits[-1] < course.end <= course.epochs
    leaves = {
        preset.name: (preset.trainer_options["epochs"], options.splits, options.restart_cosine)
        for preset in Gm.presets
        if "nasbench201" in preset.space and "snas" not in preset.name and preset.name != "study"
        for options in [Gm.parse_options(preset.updater_options)]
    }
    assert leaves == {
        "paper": (60, (15, 30), None),
        "paper-rsps": (90, (20, 40), None),
        "official": (60, (15, 30), 60),
        "official-rsps": (90, (20, 40), 90),
    }


def test_the_package_offers_what_it_has():
    assert [offer.name for offer in nastk_fewshot.updaters()] == ["gm", "fewshot"]
    for offer, updater in zip(nastk_fewshot.updaters(), (Gm, FewShot), strict=True):
        module, _, name = offer.load.partition(":")
        assert getattr(importlib.import_module(module), name) is updater
        assert offer.summary == updater.summary


# ---------------------------------------------------------------- decisions


def test_a_split_edge_has_no_advantage_when_inputs_compete():
    # D9: over 3 of 7 operations a softmax has larger weights than over all of them.
    space = DartsSpace(DartsSpace.parse_options({"nodes": 4}))
    edge = next(row for row, each in enumerate(space.edges) if each.name == "normal:2->5")
    part = space.full().only(edge, [3, 4, 5])
    kept = {"inner": 0, "level": 0}
    trials = 60
    for seed in range(trials):
        alpha = 0.2 * torch.randn(28, 7, generator=torch.Generator().manual_seed(seed))
        weights = Mixture.softmax(alpha, part).weights
        for name, scores in (
            ("inner", weights),
            ("level", rescale_split_edges(weights, space.full(), part)),
        ):
            kept[name] += bool(space.decide(scores, part).choices[edge])
    assert kept["inner"] == trials
    # With 3 of the node's 31 operations, two of which are kept: about one time in five.
    assert 0.05 * trials < kept["level"] < 0.4 * trials


def test_levelling_leaves_whole_edges_and_choices_within_an_edge_alone():
    space = ToySpace()
    part = space.full().only(1, [1, 2])
    scores = Mixture.softmax(torch.randn(5, 4, generator=torch.Generator()), part).weights
    found = rescale_split_edges(scores, space.full(), part)
    assert torch.equal(found[[0, 2, 3, 4]], scores[[0, 2, 3, 4]])
    dead = torch.tensor([[0.0, 0.8, 0.2, 0.0]]).expand(5, 4)
    # The two that are lost count with the geometric mean of 0.8 and 0.2, which is 0.4.
    expected = torch.tensor([0.0, 0.8 / 1.8, 0.2 / 1.8, 0.0])
    torch.testing.assert_close(rescale_split_edges(dead, space.full(), part)[1], expected)
    assert space.decide(found, part) == space.decide(scores, part)


def test_counts_of_cuts_are_those_of_the_specification():
    # 3|4 of 7: nine pairs inside, twelve between; 2|3 of 5: four and six.
    for count, inside in ((7, 9), (5, 4)):
        groups = next(Partitioner(2).possible(names(count)))
        assert sum(comb(len(group), 2) for group in groups) == inside


@pytest.mark.parametrize("inner", ["", "-first-order", "-snas"])
def test_presets_on_the_darts_space_decide_as_the_code_does(inner):
    """They differ from the official ones in what paper and code differ in, and in nothing else."""
    paper, official = (
        nastk.resolve(
            {"space": "darts", "updater": "gm", "data": "cifar10", "preset": name + inner}
        ).updater.options
        for name in ("paper", "official")
    )
    assert paper["derive"] == "inner"
    differ = {name for name in paper if paper[name] != official[name]}
    assert differ == {"forcing", "partition", "edge_rule"}
