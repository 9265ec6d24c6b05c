"""The DARTS space: its tables, its options, and the rule from scores to an architecture."""

import subprocess
import sys
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nastk import ConfigurationError, PluginError, Subspace
from nastk.testing import SearchSpaceContract
from nastk_spaces_darts.space import DartsSpace


class TestContract(SearchSpaceContract):
    space = DartsSpace
    options: ClassVar = {
        "nodes": 2,
        "channels": 4,
        "cells": 3,
        "network_channels": 4,
        "network_cells": 3,
    }


@pytest.mark.slow
class TestContractOfPartialChannels(TestContract):
    options: ClassVar = {
        **TestContract.options,
        "partial_channels": 2,
        "edge_weights": True,
        "include_none": True,
        "distinct_inputs": False,
    }


def make(**options):
    return DartsSpace(DartsSpace.parse_options(options))


@pytest.mark.parametrize("none, width", [(False, 7), (True, 8)])
def test_the_rows_are_fourteen_edges_of_each_cell(none, width):
    space = make(include_none=none)
    names = [edge.name for edge in space.edges]
    assert len(names) == 28 and {len(edge.operations) for edge in space.edges} == {width}
    assert names[:6] == [
        "normal:0->2",
        "normal:1->2",
        "normal:0->3",
        "normal:1->3",
        "normal:2->3",
        "normal:0->4",
    ]
    assert [name.replace("normal", "reduce") for name in names[:14]] == names[14:]
    assert space.edges[0].operations[-7:] == (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )


@pytest.mark.parametrize("nodes, edges", [(1, 2), (2, 5), (8, 44)])
def test_a_cell_of_n_nodes_has_an_edge_from_every_earlier_node(nodes, edges):
    assert len(make(nodes=nodes).edges) == 2 * edges


@pytest.mark.parametrize(
    "options, message",
    [
        ({"nodes": 9}, "nodes must be at most 8"),
        ({"cells": 2}, "cells must be at least 3"),
        ({"channels": 16, "partial_channels": 3}, "multiple of partial_channels"),
        ({"drop_path": 1.0}, "drop_path must be less than 1"),
        ({"stem": "big"}, "stem must be one of"),
        ({"partial_channel": 4}, "Did you mean 'partial_channels'"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        make(**options)


def test_the_quick_preset_is_a_space():
    (preset,) = DartsSpace.presets
    assert preset.fits("darts", "digits") and len(make(**preset.space_options).edges) == 28


def test_listing_the_plugin_does_not_load_torch():
    code = (
        "import sys, nastk_spaces_darts as p; p.search_spaces(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def chosen(architecture):
    return [(edge.name, name) for edge, name in architecture.links()]


def test_each_node_keeps_its_two_best_inputs_with_their_best_operation():
    space = make(nodes=2)
    scores = torch.zeros(10, 7)
    scores[0, 3], scores[1, 0] = 0.2, 0.9
    scores[2, 6], scores[3, 1], scores[4, 2], scores[4, 4] = 0.5, 0.3, 0.7, 0.6
    assert chosen(space.decide(scores, space.full()))[:4] == [
        ("normal:0->2", "sep_conv_3x3"),
        ("normal:1->2", "max_pool_3x3"),
        ("normal:0->3", "dil_conv_5x5"),
        ("normal:2->3", "skip_connect"),
    ]
    either = make(nodes=2, distinct_inputs=False)
    assert chosen(either.decide(scores, either.full()))[2:4] == [
        ("normal:2->3", "skip_connect"),
        ("normal:2->3", "sep_conv_5x5"),
    ]


def test_ties_go_to_the_lower_edge_and_column():
    space = make(nodes=3, include_none=True)
    links = chosen(space.decide(torch.ones(18, 8), space.full()))
    assert links[:6] == [(f"normal:{s}->{n}", "max_pool_3x3") for n in (2, 3, 4) for s in (0, 1)]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6), shift=st.sampled_from([-3.0, 0.5, 100.0]), distinct=st.booleans()
)
def test_every_decision_keeps_the_rule(seed, shift, distinct):
    space = make(include_none=True, distinct_inputs=distinct)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(28, 8, generator=generator, dtype=torch.float64)
    scores[:, 0] = 10.0
    subspace = space.full().keep(torch.rand(28, 8, generator=generator) < 0.8)
    if space.why_empty(subspace):
        return
    architecture = space.decide(scores, subspace)
    assert architecture == space.decide(scores + shift, subspace)
    assert subspace.contains(Subspace.of(architecture.table()))
    nodes = {}
    for edge, name in architecture.links():
        assert name != "none"
        nodes.setdefault((edge.group, edge.head), []).append(edge.tail)
    assert len(nodes) == 8 and all(len(sources) == 2 for sources in nodes.values())
    assert not distinct or all(first != second for first, second in nodes.values())


def test_a_decision_moves_only_where_scores_say():
    space = make()
    scores = torch.rand(28, 7, generator=torch.Generator().manual_seed(0))
    before = space.decide(scores, space.full())
    edge, column = 13, 5
    scores[edge, column] = 2.0
    after = space.decide(scores, space.full())
    assert after.choices[edge] == (space.edges[edge].operations[column],)
    assert after.choices[:9] == before.choices[:9] and after.choices[14:] == before.choices[14:]


@pytest.mark.parametrize(
    "distinct, changes, expected",
    [
        (True, {}, None),
        (True, {0: [0]}, "node 2 of the normal cell has 1 input left besides 'none'; it needs 2"),
        (
            True,
            {0: [], 1: [0]},
            "node 2 of the normal cell has 0 inputs left besides 'none'; it needs 2",
        ),
        (
            True,
            {2: [], 3: [0]},
            "node 3 of the normal cell has 1 input left besides 'none'; it needs 2",
        ),
        (True, {2: []}, None),
        (
            True,
            {5: [0, 3], 6: [0]},
            "node 2 of the reduce cell has 1 input left besides 'none'; it needs 2",
        ),
        (False, {0: []}, None),
        (False, {0: [], 1: [0, 3, 4]}, None),
        (
            False,
            {0: [0, 2], 1: [0]},
            "node 2 of the normal cell has 1 operation left besides 'none'; it needs 2",
        ),
    ],
)
def test_complaints_name_the_node(distinct, changes, expected):
    space = make(nodes=2, include_none=True, distinct_inputs=distinct)
    subspace = space.full()
    for edge, columns in changes.items():
        subspace = subspace.only(edge, columns)
    assert space.why_empty(subspace) == expected
    if expected:
        with pytest.raises(PluginError, match="No architecture lies in this subspace: node"):
            space.decide(torch.rand(10, 8), subspace)
        with pytest.raises(PluginError, match="it needs 2"):
            space.sample(subspace, torch.Generator())


@pytest.mark.parametrize("distinct, possible", [(True, 2 * 2 + 2 + 2), (False, 10)])
def test_samples_are_uniform(distinct, possible):
    # Node 3 of the normal cell: 2, 1 and 2 operations on its inputs; everything else is settled.
    space = make(nodes=2, include_none=True, distinct_inputs=distinct)
    subspace = space.full()
    for edge in (0, 1, 5, 6, 8, 9):
        subspace = subspace.only(edge, [3])
    subspace = subspace.only(7, [0]).only(2, [0, 1, 2]).only(3, [0, 4]).only(4, [5, 6])
    rng, draws, counts = torch.Generator().manual_seed(0), 2000, {}
    for _ in range(draws):
        found = space.sample(subspace, rng)
        counts[found.choices] = counts.get(found.choices, 0) + 1
    assert len(counts) == possible
    expected = draws / possible
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 27.9  # 99.9 % quantile at 9 degrees of freedom
