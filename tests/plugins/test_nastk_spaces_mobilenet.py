"""The MobileNet space: its layers, options, decisions and texts, and what searches it."""

import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from core_kit import ShortContract
from hypothesis import given
from hypothesis import strategies as st

from nastk import Architecture, ConfigurationError, DataError, PluginError, Subspace, catalogue
from nastk.report import graphs
from nastk.testing import Harness, SearchSpaceContract
from nastk_drawing import draw
from nastk_spaces_mobilenet import search_spaces
from nastk_spaces_mobilenet.layouts import LAYOUTS
from nastk_spaces_mobilenet.operations import divisible
from nastk_spaces_mobilenet.published import PUBLISHED
from nastk_spaces_mobilenet.space import MobileNetSpace

SMALL = {
    "widths": [8, 12],
    "depths": [2, 2],
    "strides": [1, 2],
    "stem_channels": 8,
    "first_channels": 8,
    "head_channels": 16,
    "kernels": [3, 5],
    "expansions": [1, 3],
}


class TestContract(SearchSpaceContract):
    space, options = MobileNetSpace, SMALL


class TestContractOfMobileNetV3(SearchSpaceContract):
    space = MobileNetSpace
    options: ClassVar = {**SMALL, "style": "v3", "squeeze": [2], "hard_swish": [1], "affine": False}


class TestContractWithoutSkip(SearchSpaceContract):
    space = MobileNetSpace
    options: ClassVar = {**SMALL, "skip": False, "supernet_multiplier": 0.5, "stem": "imagenet"}


@pytest.mark.slow
class TestRandomPaths(ShortContract):
    """An updater in rows of four and of five operations."""

    updater, options = catalogue().load("updater", "random"), {"candidates": 4}
    space, space_options = MobileNetSpace, SMALL


def make(**options):
    return MobileNetSpace(MobileNetSpace.parse_options(options))


# ---------------------------------------------------------------- the layers


def test_the_offer_is_the_space():
    (offer,) = [one for one in search_spaces() if one.name == "mobilenet"]
    assert (offer.name, offer.summary) == (MobileNetSpace.name, MobileNetSpace.summary)
    assert offer.load == "nastk_spaces_mobilenet.space:MobileNetSpace"
    (preset,) = MobileNetSpace.presets
    assert preset.fits("mobilenet", "digits")
    assert len(make(**preset.space_options).edges) == 6


def test_listing_the_plugin_does_not_load_torch():
    code = (
        "import sys, nastk_spaces_mobilenet as p; p.search_spaces(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_default_is_the_space_of_proxylessnas():
    space = make()
    assert [len(edge.operations) for edge in space.edges] == [6, 7, 7, 7] * 5 + [6]
    assert len(space.full().alive_operations()) == 141
    assert space.edges[1].operations == (
        "mb3_3x3",
        "mb6_3x3",
        "mb3_5x5",
        "mb6_5x5",
        "mb3_7x7",
        "mb6_7x7",
        "skip",
    )
    assert [edge.name for edge in space.edges[:5]] == [
        "stage1:0->1",
        "stage1:1->2",
        "stage1:2->3",
        "stage1:3->4",
        "stage2:4->5",
    ]
    assert [(edge.tail, edge.head) for edge in space.edges] == [(i, i + 1) for i in range(21)]
    assert {edge.group for edge in space.edges} == {"layers"}


@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        ({"layout": "mobilenetv3"}, [9, 10, 10, 10] * 5),
        ({"layout": "mobilenetv2"}, [6, 7, 6, 7, 7, 6, 7, 7, 7, 6, 7, 7, 6, 7, 7, 6]),
        ({"layout": "proxyless", "skip": False}, [6] * 21),
        (SMALL, [5, 5, 4, 5]),
        ({**SMALL, "first_channels": 4}, [4, 5, 4, 5]),
        ({**SMALL, "strides": [2, 1]}, [4, 5, 4, 5]),
        ({**SMALL, "widths": [8, 8], "strides": [1, 1]}, [5, 5, 5, 5]),
        ({**SMALL, "depths": [3, 1], "kernels": [7]}, [3, 3, 3, 2]),
        # What may be skipped is the layout's: no multiplier, no stem changes it.
        ({**SMALL, "width_multiplier": 0.3}, [5, 5, 4, 5]),
        ({**SMALL, "strides": [2, 2], "stem": "small"}, [4, 5, 4, 5]),
    ],
)
def test_a_layer_may_be_skipped_where_it_keeps_size_and_width(options, lengths):
    assert [len(edge.operations) for edge in make(**options).edges] == lengths


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [8, 16]}, r"one entry for each stage \(widths has 2, depths has 6, strides"),
        ({"layout": "proxyles"}, "layout must be one of"),
        ({**SMALL, "strides": [1, 3]}, "must be at most 2, got 3"),
        ({**SMALL, "depths": [0, 2]}, "must be at least 1, got 0"),
        ({**SMALL, "squeeze": [3]}, "squeeze to name stages from 1 to 2"),
        ({**SMALL, "hard_swish": [9]}, "hard_swish to name stages from 1 to 2"),
        ({**SMALL, "kernels": [3, 3]}, "kernels to name each size once"),
        ({**SMALL, "kernels": [4]}, "kernels.0 must be one of"),
        ({**SMALL, "expansions": []}, "expansions"),
        ({"width_multiplier": 0.0}, "width_multiplier must be more than 0"),
        ({"dropout": 1.0}, "dropout must be less than 1"),
        ({"width": 2}, "Did you mean 'widths'"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make(**options)


def test_options_survive_json():
    options = MobileNetSpace.parse_options(SMALL)
    assert MobileNetSpace.parse_options(options.model_dump(mode="json")) == options


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(1.0, 8), (8.0, 8), (11.2, 16), (12.0, 16), (10.5, 16), (17.92, 24), (19.2, 24), (134.4, 136)],
)
def test_widths_are_rounded_as_in_all_mobilenets(channels, rounded):
    assert divisible(channels) == rounded


@pytest.mark.parametrize(("name", "multiplier"), [("proxyless-gpu", 1.35), ("proxyless-cpu", 1.12)])
def test_two_published_layouts_are_the_common_one_made_wider(name, multiplier):
    plain, wide = LAYOUTS["proxyless"], LAYOUTS[name]
    assert tuple(divisible(width * multiplier) for width in plain.widths) == wide.widths
    assert divisible(plain.stem_channels * multiplier) == wide.stem_channels
    assert divisible(plain.first_channels * multiplier) == wide.first_channels
    assert divisible(plain.head_channels * multiplier) == wide.head_channels


# ---------------------------------------------------------------- decisions


def test_each_layer_takes_its_best_living_operation_and_ties_go_to_the_first():
    space = make(**SMALL)
    scores = torch.zeros(4, 5)
    scores[0, 4], scores[1, 2], scores[2, 3] = 1.0, 0.5, 0.2
    scores[2, 4] = 9.0  # padding: this layer has four operations
    assert space.to_text(space.decide(scores, space.full())) == "skip mb1_5x5 mb3_5x5 mb1_3x3"
    smaller = space.full().drop(0, 4).drop(1, 2)
    assert space.to_text(space.decide(scores, smaller)) == "mb1_3x3 mb1_3x3 mb3_5x5 mb1_3x3"


def test_a_layer_without_operations_is_complained_about():
    space = make(**SMALL)
    subspace = space.full().only(2, [])
    assert space.why_empty(space.full()) is None
    assert space.why_empty(subspace) == "edge stage2:2->3 has no operation left"
    for ask in (
        lambda: space.decide(torch.zeros(4, 5), subspace),
        lambda: space.sample(subspace, torch.Generator()),
    ):
        with pytest.raises(PluginError, match="No architecture lies in this subspace: edge stage2"):
            ask()


def test_samples_are_uniform():
    space = make(**SMALL)
    subspace = space.full().only(0, [0, 4]).only(1, [1]).only(2, [0, 1, 3]).only(3, [2])
    rng, counts, draws = torch.Generator().manual_seed(0), {}, 1200
    for _ in range(draws):
        found = space.sample(subspace, rng).choices
        counts[found] = counts.get(found, 0) + 1
    assert len(counts) == 6
    chi_square = sum((count - draws / 6) ** 2 / (draws / 6) for count in counts.values())
    assert chi_square < 20.5  # 99.9 % quantile at 5 degrees of freedom


def test_an_architecture_of_other_layers_is_refused():
    space, other = make(**SMALL), make(**{**SMALL, "skip": False})
    with pytest.raises(DataError, match="Expected an architecture of space 'mobilenet' with 4"):
        space.to_text(other.from_text("mb1_3x3 mb1_3x3 mb1_3x3 mb1_3x3"))
    two = Architecture("mobilenet", space.edges, (("skip",), ("mb1_3x3", "skip"), (), ("skip",)))
    with pytest.raises(DataError, match=r"must have one operation .*got 2: mb1_3x3, skip"):
        space.to_text(two)


# ---------------------------------------------------------------- texts


@given(seed=st.integers(0, 10**6))
def test_every_architecture_survives_its_text(seed):
    space = make()
    architecture = space.sample(space.full(), torch.Generator().manual_seed(seed))
    text = space.to_text(architecture)
    assert len(text.split()) == 21
    assert space.from_text(text) == architecture
    assert space.from_text(f"\n {text.replace(' ', '  ')}\n") == architecture


@pytest.mark.parametrize(
    "text",
    [
        "skip mb3_5x5 mb1_3x3 mb3_3x3",
        "skip k5e3 k3e1 k3e3",
        "Zero 5x5_MBConv3 3x3_MBConv1 3x3_MBConv3",
    ],
)
def test_other_spellings_read_alike(text):
    space = make(**SMALL)
    assert space.to_text(space.from_text(text)) == "skip mb3_5x5 mb1_3x3 mb3_3x3"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is 4 words, one for each layer, such as 'mb1_3x3 ...', .*; got 0: ''"),
        ("skip skip skip", "got 3: 'skip skip skip'"),
        ("skip skip skip skip", r"Layer 3 \(stage2:2->3\) has no operation 'skip'"),
        ("skip skip mb3_5x3 skip", "has no operation 'mb3_5x3'. Did you mean 'mb3_"),
        ("k7e3 skip k3e3 skip", "Layer 1 .*no operation 'k7e3'.*It has: mb1_3x3, mb3_3x3"),
        ("PROXYLESS_GPU", r"PROXYLESS_GPU is a network of `-s layout=proxyless-gpu -s width_mul"),
        ("PROXYLESS_MAC", "No published network is named 'PROXYLESS_MAC'. Did you mean"),
    ],
)
def test_a_bad_text_says_where_it_stops_being_an_architecture(text, message):
    with pytest.raises(DataError, match=message):
        make(**SMALL).from_text(text)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_are_read_by_name(name):
    known = PUBLISHED[name]
    space = make(layout=known.layout, width_multiplier=known.multiplier)
    assert space.to_text(space.from_text(name.lower())) == known.text


# ---------------------------------------------------------------- who uses a chain


def quick(updater):
    return {
        name: value
        for preset in updater.presets
        if preset.name == "quick" and preset.fits("toy", "toy")
        for name, value in preset.updater_options.items()
    }


@pytest.mark.parametrize("updater", ["darts", "shapley", "evnas", "isdarts", "random"])
def test_updaters_search_a_chain_of_unequal_rows(updater):
    found = catalogue().load("updater", updater)
    harness = Harness(found, quick(found), make(**SMALL))
    (branch,) = harness.run()
    architecture = branch.updater.architecture(harness.trainer.probe(branch))
    assert harness.space.check(architecture) == architecture
    assert branch.subspace.contains(Subspace(architecture.table()))


def test_an_architecture_is_drawn_as_one_chain(tmp_path):
    space = make(layout="proxyless-gpu")
    (graph,) = graphs(space.from_text("PROXYLESS_GPU"))
    assert graph.chain and graph.group == "layers" and len(graph.nodes) == 22
    assert [link.operation for link in graph.links][:2] == ["mb3_5x5", "skip"]
    drawn = draw(space.from_text("PROXYLESS_GPU"), tmp_path / "gpu.svg", title="gpu")
    assert drawn.stat().st_size > 10_000
