"""The cells that an architecture is drawn as: inputs, output, chains, scores, refusals."""

import pytest
from report_kit import BENCH, BOTH, CHAIN, DARTS_V2, TOY

from nastk import Architecture, DataError, Edge
from nastk.report import graphs


def test_darts_cells_have_an_output_of_their_own():
    normal, reduce = graphs(DARTS_V2)
    assert (normal.group, reduce.group) == ("normal", "reduce")
    assert (normal.inputs, normal.middle, normal.output) == ((0, 1), (2, 3, 4, 5), 6)
    assert normal.joined == (2, 3, 4, 5)
    assert [normal.name(node) for node in normal.nodes] == [
        "c_{k-2}",
        "c_{k-1}",
        "0",
        "1",
        "2",
        "3",
        "c_{k}",
    ]
    assert not normal.chain


def test_the_last_node_of_a_bench_cell_is_its_output():
    (graph,) = graphs(BENCH)
    assert (graph.inputs, graph.middle, graph.output, graph.joined) == ((0,), (1, 2), 3, ())
    assert [graph.name(node) for node in graph.nodes] == ["input", "1", "2", "output"]


def test_several_ends_are_joined():
    edges = tuple(Edge(f"0->{node}", ("conv",), "cell", 0, node) for node in (1, 2))
    (graph,) = graphs(Architecture("fork", edges, (("conv",), ("conv",))))
    assert (graph.output, graph.joined) == (3, (1, 2))
    assert graph.name(3) == "output"


def test_stages_of_a_chain_are_one_drawing():
    (graph,) = graphs(CHAIN)
    assert (graph.group, graph.chain, len(graph.links)) == ("layers", True, 12)
    assert graphs(TOY)[0].group == "cell"


def test_scores_reach_the_chosen_links():
    (graph,) = graphs(BOTH, [[0.25, 0.75]])
    assert [(link.operation, link.score) for link in graph.links] == [
        ("conv", 0.25),
        ("skip", 0.75),
    ]


@pytest.mark.parametrize(
    "architecture, scores, message",
    [
        (TOY, [[1.0, 2.0], [1.0, 2.0]], r"one row for each of the 1 edges, got 2 rows"),
        (Architecture("back", (Edge("2->1", ("conv",), "cell", 2, 1),), (("conv",),)), None,
         r"Edge 2->1 leads from node 2 to node 1.*renumber"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(architecture, scores, message):
    with pytest.raises(DataError, match=message):
        graphs(architecture, scores)
