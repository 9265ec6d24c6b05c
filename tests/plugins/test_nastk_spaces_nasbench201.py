"""The NAS-Bench-201 space: its table, text and rules, and the benchmark's sizes and duplicates."""

import csv
import gzip
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import nastk_spaces_nasbench201
from nastk import Architecture, ConfigurationError, DataError, Edge, PluginError, Subspace, Task
from nastk.testing import SearchSpaceContract
from nastk_spaces_nasbench201.space import NasBench201Space

HERE = Path(__file__).resolve().parents[2]
COSTS = Path(os.environ.get("NASTK_SHARED", HERE.parent / "shared" / "data")) / "nb201_costs.csv.gz"
CIFAR = Task(classes=10, channels=3, size=32)
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
PUBLISHED = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)


class TestContract(SearchSpaceContract):
    space = NasBench201Space
    options: ClassVar = {"channels": 4, "cells": 1, "network_channels": 4, "network_cells": 1}


class TestContractWithoutNone(TestContract):
    options: ClassVar = {**TestContract.options, "cells": 2, "affine": True, "exclude_none": True}


def make(**options):
    return NasBench201Space(NasBench201Space.parse_options(options))


def names(architecture):
    return [name for (name,) in architecture.choices]


# ---------------------------------------------------------------- the table and the options


@pytest.mark.parametrize("exclude, operations", [(False, OPERATIONS), (True, OPERATIONS[1:])])
def test_the_rows_are_the_six_edges_in_the_order_of_the_string(exclude, operations):
    edges = make(exclude_none=exclude).edges
    joined = [(edge.name, edge.tail, edge.head) for edge in edges]
    assert joined == [
        (f"cell:{source}->{node}", source, node) for node in (1, 2, 3) for source in range(node)
    ]
    assert {edge.operations for edge in edges} == {operations}
    assert {edge.group for edge in edges} == {"cell"}


def test_the_defaults_are_the_benchmarks():
    options = make().options
    assert (options.channels, options.cells) == (16, 5)
    assert (options.network_channels, options.network_cells) == (16, 5)
    assert not options.affine and not options.exclude_none


@pytest.mark.parametrize(
    "options, message",
    [
        ({"channels": 1}, "channels must be at least 2"),
        ({"cells": 0}, "cells must be at least 1"),
        ({"network_cells": 0}, "network_cells must be at least 1"),
        ({"include_none": True}, "Did you mean 'exclude_none'"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make(**options)


def test_the_quick_preset_shrinks_the_supernet_and_not_the_network():
    preset, study = NasBench201Space.presets
    assert study.name == "study" and study.space_options == preset.space_options
    space = make(**preset.space_options)
    assert preset.name == "quick" and preset.fits("nasbench201", "digits")
    assert (space.options.channels, space.options.cells) == (8, 1)
    assert space.size(space.from_text(PUBLISHED), CIFAR) == make().size(
        make().from_text(PUBLISHED), CIFAR
    )


def test_the_offer_is_the_space_and_listing_it_does_not_load_torch():
    (offer,) = nastk_spaces_nasbench201.search_spaces()
    assert offer.load == f"{NasBench201Space.__module__}:{NasBench201Space.__name__}"
    assert (offer.name, offer.summary) == (NasBench201Space.name, NasBench201Space.summary)
    code = (
        "import sys, nastk_spaces_nasbench201 as p; p.search_spaces(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_architecture_is_listed_once():
    space = make()
    texts = [space.to_text(each) for each in space.architectures()]
    assert len(texts) == len(set(texts)) == 5**6
    assert texts[0] == "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    assert texts[1] == "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|"
    assert sum(1 for _ in make(exclude_none=True).architectures()) == 4**6


# ---------------------------------------------------------------- the text


def test_text_lists_every_node_with_its_sources():
    space = make()
    architecture = space.from_text(f"  {PUBLISHED}\n")
    assert [(edge.tail, edge.head, name) for edge, name in architecture.links()] == [
        (0, 1, "nor_conv_3x3"),
        (0, 2, "nor_conv_3x3"),
        (1, 2, "nor_conv_3x3"),
        (0, 3, "skip_connect"),
        (1, 3, "nor_conv_3x3"),
        (2, 3, "nor_conv_3x3"),
    ]
    assert space.to_text(architecture) == PUBLISHED


REST = "+|none~0|none~1|+|none~0|none~1|none~2|"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", r"3 nodes joined by '\+', such as .*got ''"),
        (PUBLISHED + "+|none~0|", "got 4"),
        ("none~0" + REST, "Node 1 must be written \\|operation~0\\|, got 'none~0'"),
        ("|" + REST, "Node 1 must be written"),
        ("|none~0|none~1|" + REST, "Node 1 must be written"),
        ("|none~0|+|none~0|+|none~0|none~1|none~2|", "Node 2 .*~0\\|operation~1\\|, got"),
        ("||" + REST, "Input 0 of node 1 must be written operation~0, got ''"),
        ("|none|" + REST, "Input 0 of node 1 must be written operation~0, got 'none'"),
        ("|none~1|" + REST, "operation~0, got 'none~1'"),
        ("|none~0~0|" + REST, "operation~0, got 'none~0~0'"),
        ("|none~0|+|none~1|none~0|+|none~0|none~1|none~2|", "Input 0 of node 2"),
        ("|nor_conv_3x~0|" + REST, "Input 0 of node 1: .*Did you mean 'nor_conv_3x3'"),
        ("|sep_conv~0|" + REST, "This space has: none, skip_connect"),
    ],
)
def test_a_text_that_is_no_architecture_is_refused_where_it_stops_being_one(text, message):
    with pytest.raises(DataError, match=message):
        make().from_text(text)


def test_without_none_its_text_is_refused():
    with pytest.raises(DataError, match=r"named 'none'.*has: skip_connect"):
        make(exclude_none=True).from_text("|none~0|" + REST)


# ---------------------------------------------------------------- from scores to an architecture


def test_each_edge_keeps_its_best_operation_and_none_may_win():
    scores = torch.zeros(6, 5)
    for edge, column in enumerate([3, 0, 4, 2, 1, 3]):
        scores[edge, column] = 1.0
    space = make()
    assert names(space.decide(scores, space.full())) == [
        "nor_conv_3x3",
        "none",
        "avg_pool_3x3",
        "nor_conv_1x1",
        "skip_connect",
        "nor_conv_3x3",
    ]
    without = make(exclude_none=True)
    chosen = names(without.decide(scores[:, 1:], without.full()))
    assert chosen[1] == "skip_connect" and "none" not in chosen


def test_ties_go_to_the_lower_column_and_the_dead_are_never_chosen():
    space = make()
    assert set(names(space.decide(torch.ones(6, 5), space.full()))) == {"none"}
    alive = space.full().drop(2, 0).drop(2, 1)
    chosen = names(space.decide(torch.full((6, 5), -torch.inf), alive))
    assert chosen == ["none", "none", "nor_conv_1x1", "none", "none", "none"]


def test_an_empty_edge_holds_no_architecture():
    space = make()
    empty = space.full().only(3, [])
    assert space.why_empty(empty) == "edge cell:0->3 has no operation left"
    with pytest.raises(PluginError, match=r"No architecture lies .* edge cell:0->3"):
        space.decide(torch.zeros(6, 5), empty)
    with pytest.raises(PluginError, match="edge cell:0->3"):
        space.sample(empty, torch.Generator())


def test_sampling_is_uniform_over_the_subspace():
    space = make()
    rows = [[c in alive for c in range(5)] for alive in ({0, 3}, {2}, {1, 2, 4}, {0}, {4}, {1, 4})]
    rng, draws = torch.Generator().manual_seed(0), 3000
    subspace = Subspace.of(rows)
    counts = Counter(space.sample(subspace, rng) for _ in range(draws))
    expected = draws / 12
    assert len(counts) == 12
    statistic = sum((count - expected) ** 2 / expected for count in counts.values())
    assert statistic < 24.7  # chi-square with 11 degrees of freedom: 1 % lies above


@pytest.mark.parametrize(
    "choices, message",
    [
        ([["none"]] * 5 + [[]], "Edge 'cell:2->3' must have one operation .*got 0\\."),
        (
            [["none", "skip_connect"]] + [["none"]] * 5,
            "cell:0->1. .*got 2: none, skip_connect",
        ),
    ],
)
def test_an_edge_has_exactly_one_operation(choices, message):
    space = make()
    architecture = space.architecture(choices)
    for use in (space.to_text, space.canonical, lambda one: space.network(one, CIFAR)):
        with pytest.raises(DataError, match=message):
            use(architecture)


def test_strangers_are_refused():
    edge = Edge("cell:0->1", OPERATIONS, "cell", 0, 1)
    with pytest.raises(DataError, match="Expected an architecture of space 'nasbench201'"):
        make().to_text(Architecture("toy", (edge,), (("none",),)))
    with pytest.raises(DataError, match="Use the space options of the run"):
        make(exclude_none=True).to_text(make().from_text(PUBLISHED))


# ---------------------------------------------------------------- what the benchmark says

SHORT = {
    "skip": "skip_connect",
    "line": "nor_conv_1x1",
    "conv": "nor_conv_3x3",
    "pool": "avg_pool_3x3",
}


@pytest.mark.parametrize(
    "one, other, same",
    [
        # the way over an identity is the way without it
        ("skip none none none conv none", "none none none conv none none", True),
        ("skip none conv none none skip", "none conv none none none skip", True),
        # two different operations, or one of them after the other
        ("none none none conv none none", "none none none pool none none", False),
        ("conv none none none pool none", "pool none none none conv none", False),
        # the order in which terms arrive does not matter
        ("skip conv pool none none skip", "skip pool conv none none skip", True),
        # what a lone `none` feeds is nothing, whatever the operation
        ("none none conv none none skip", "none none pool none none skip", True),
        # the benchmark does not look into sums: for nothings to drop, terms to reorder
        ("none none none none none conv", "none none none none none pool", False),
        ("conv none none none skip none", "conv none skip none none skip", False),
        ("skip pool conv line none skip", "skip pool line conv none skip", False),
    ],
)
def test_isomorphic_architectures_have_one_canonical_text(one, other, same):
    space = make()
    first, second = (
        space.canonical(space.architecture([SHORT.get(name, name)] for name in each.split()))
        for each in (one, other)
    )
    assert (first == second) is same


def test_the_canonical_text_is_the_benchmarks():
    space = make()
    text = (
        "|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
        "+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|"
    )
    assert space.canonical(space.from_text(text)) == (
        "(((0)@avg_pool_3x3)@nor_conv_3x3+(0)@nor_conv_3x3)@avg_pool_3x3"
        "+((0)@avg_pool_3x3)@avg_pool_3x3+(0)@avg_pool_3x3"
    )
    nothing = space.from_text("|none~0|" + REST)
    assert space.canonical(nothing) == "#+#+#"


@pytest.fixture(scope="module")
def table():
    """(architecture, row) for every line of the table of costs."""
    if not COSTS.is_file():
        pytest.skip(f"{COSTS.name} is not here (its folder: NASTK_SHARED, or ../shared/data)")
    with gzip.open(COSTS, "rt", newline="") as file:
        space = make()
        return [(space.from_text(row["arch"]), row) for row in csv.DictReader(file)]


def test_all_duplicates_are_those_of_the_table(table):
    space = make()
    texts = [space.canonical(architecture) for architecture, _ in table]
    assert texts == [row["unique_str"] for _, row in table]
    assert (len(texts), len(set(texts))) == (15_625, 6_466)


def test_all_sizes_are_those_of_the_table(table):
    space = make()
    for architecture, row in table:
        size = space.size(architecture, CIFAR)
        assert size.parameters == round(float(row["cifar10_params_M_by_ops"]) * 1e6)
        assert size.multiply_adds == round(float(row["cifar10_flops_M_by_ops"]) * 1e6)
