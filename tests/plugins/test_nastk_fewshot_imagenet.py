"""GM-NAS's searches on ImageNet, as far as they can be checked without it: counts, groups, runs."""

import pytest
import torch

from nastk import Plan
from nastk.base.events import UpdaterReported
from nastk.testing import Harness
from nastk.testing.toy import ToyData
from nastk_fewshot.cut import splittable
from nastk_fewshot.imagenet import IMAGENET
from nastk_fewshot.matching import Matching
from nastk_fewshot.updater import Gm
from nastk_spaces_mobilenet.space import MobileNetSpace

PRESETS = {preset.name: preset for preset in IMAGENET}
MB = ("mb3_3x3", "mb6_3x3", "mb3_5x5", "mb6_5x5", "mb3_7x7", "mb6_7x7")
TINY = {
    "widths": [8, 8],
    "depths": [1, 1],
    "strides": [1, 2],
    "squeeze": [],
    "hard_swish": [],
    "stem_channels": 8,
    "first_channels": 8,
    "head_channels": 8,
}


def space(name, **changes):
    return MobileNetSpace(MobileNetSpace.parse_options({**PRESETS[name].space_options, **changes}))


def options(name, **changes):
    return {**PRESETS[name].updater_options, **changes}


@pytest.mark.parametrize(
    ("name", "operations", "passes", "epochs"),
    [
        # Section 6 of the specification; a child's edge is gone, at least one of six operations.
        ("paper-proxyless", [6] * 6 + [7] * 15, [14_100, 2 * 13_500], 40 + 40 + 80 + 240),
        ("official-proxyless", [6] * 6 + [7] * 15, [14_100, 2 * 13_500], 40 + 40 + 80 + 240),
        ("ofa-kernels", [3] * 20, [6_000, 2 * 5_700, 4 * 5_400], 30 + 60 + 120 + 240),
    ],
)
def test_the_cost_of_the_published_searches(name, operations, passes, epochs):
    made = space(name)
    assert sorted(len(edge.operations) for edge in made.edges) == operations
    chosen = Gm.parse_options(options(name, inner="random", inner_options={}))
    length = PRESETS[name].trainer_options["epochs"]
    plan = Plan(length, 10, 1, 10, 0)  # batches of one image; nothing for inner to score
    forecast = Gm(made, chosen, torch.Generator()).max_cost(plan)
    assert forecast.images_backward == sum(passes) + 10 * (epochs - length)


@pytest.mark.parametrize("name", PRESETS)
def test_its_own_plan_can_work(name):
    preset = PRESETS[name]
    updater = Gm(space(name), Gm.parse_options(preset.updater_options), torch.Generator())
    length = preset.trainer_options["epochs"]
    assert updater.incompatibility(Plan(length, 2483, 512, 1_271_174, 9_993)) is None
    course = updater.options.schedule(length)
    assert not any(course.fresh(level) for level in range(1, course.last + 1))
    begins = [course.local_start(level) for level in range(course.last + 1)]
    # Around ProxylessNAS alpha learns all along, so its warm-up is by the run's own clock.
    assert begins == ([0, 0, 0] if "proxyless" in name else [0, 0, 0, 90])


def grouped(name, split, distances, operations):
    found = Gm.parse_options(options(name)).partitioner(split).best(distances, operations)
    return [[operations[place] for place in group] for group in found]


@pytest.mark.parametrize("operations", [MB, (*MB, "skip")], ids=["6", "7"])
def test_of_three_groups_the_official_code_takes_the_same_always(operations):
    # D5; in the order of the columns: kernel by kernel, `skip` with the largest.
    kernels = [list(MB[:2]), list(MB[2:4]), list(operations[4:])]
    planted = [list(operations[number::3]) for number in range(3)]
    distances = torch.tensor(
        [[0.1 * (abs(one - other) % 3 != 0) for one in range(7)] for other in range(7)]
    ).double()[: len(operations), : len(operations)]
    assert grouped("official-proxyless", 2, distances, operations) == kernels
    assert grouped("paper-proxyless", 2, distances, operations) == planted
    halves = grouped("paper-proxyless", 1, distances, operations)
    assert sorted(map(len, halves)) == [3, len(operations) - 3]
    # In two parts it takes any sizes from two on.
    two = grouped("official-proxyless", 1, distances, operations)
    assert min(map(len, two)) >= 2 and len(two) == 2


def test_kernels_are_one_against_two():
    distances = torch.tensor([[0, 2, 2], [2, 0, 1], [2, 1, 0]]).double()
    kernels = space("ofa-kernels").edges[0].operations
    assert grouped("ofa-kernels", 1, distances, kernels) == [["mb6_3x3"], ["mb6_5x5", "mb6_7x7"]]


def test_all_weights_outside_the_layer_are_compared_stem_and_head_among_them():
    harness = Harness(
        Gm,
        options("paper-proxyless", splits=[1, 2], batches=1),
        space("paper-proxyless", **TINY),
        ToyData(ToyData.Options(images=16)),
        trainer_options={"epochs": 50},
    )
    branch = harness.trainer.root()
    probe, matching = harness.trainer.probe(branch), branch.updater.options.matching
    assert isinstance(matching, Matching)
    names = set(matching.shared(probe, 1))
    assert set(probe.weights) - names == {each for each in probe.weights if "layers.1." in each}
    assert {each.split(".")[0] for each in names} == {"stem", "layers", "head"}
    # A path of the others: what it leaves out has no gradient, so it adds nothing to a cosine.
    (mixture,) = branch.updater.mixtures(probe)
    assert mixture.active.sum(1).tolist() == [1, 1]
    found = probe.gradients(mixture, probe.train.at(0), names)
    active = int(mixture.active[0].nonzero())
    moved = {name for name, gradient in found.items() if gradient.any()}
    assert {each.split(".")[3] for each in moved if each.startswith("layers.0.")} <= {str(active)}


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_a_small_run_splits_as_the_large_one_does(name):
    splits = list(range(1, len(options(name)["splits"]) + 1))
    settings = options(name, splits=splits, batches=1)
    few = {"warmup": 1} if "proxyless" in name else {"candidates": 2}
    made = space(name, **{**TINY, "depths": [2, 2]})
    harness = Harness(
        Gm,
        {**settings, "inner_options": {**settings["inner_options"], **few}},
        made,
        ToyData(ToyData.Options(images=32)),
        trainer_options={"epochs": splits[-1] + 1},
    )
    leaves = harness.run()
    assert len(leaves) == (6 if "proxyless" in name else 8)
    assert splittable(made, made.full(), leaves[0].updater.options.partitioner(1)) == [0, 1, 2, 3]
    reports = [one.values for one in harness.events if isinstance(one, UpdaterReported)]
    sizes = [len(one["groups"]) for one in reports if "groups" in one]
    assert sizes == ([2, 3, 3] if "proxyless" in name else [2] * 7)
    assert not any(one["fresh"] for one in reports if "groups" in one)
    assert all(leaf.schedule.start == 0 for leaf in leaves)
