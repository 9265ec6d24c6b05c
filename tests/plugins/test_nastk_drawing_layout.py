"""Nothing in a drawing covers anything else, whatever the cell; and the calm drawings are found."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from report_kit import BENCH, BOTH, CHAIN, DARTS_V2, DEEP, ISDARTS, SAMPLES, cells, chains

from nastk.report import graphs
from nastk_drawing import layers
from nastk_drawing.layout import place


def label_size(link):
    return 6.0 * len(link.operation) + 14, 19.0


def node_size(node):
    return 44.0, 36.0


def placed(graph):
    return place(graph, label_size, node_size)


def boxes(layout):
    """Every box with a name."""
    nodes = [(f"node {each.node}", each.box) for each in layout.nodes]
    labels = [
        (f"label {number}", each.label) for number, each in enumerate(layout.links) if each.label
    ]
    return nodes + labels


def assert_nothing_is_covered(layout):
    everything = boxes(layout)
    for (one, box), (other, second) in combinations(everything, 2):
        assert not box.overlaps(second, margin=4.0), f"{one} comes too near to {other}"
    for number, link in enumerate(layout.links):
        points = [part.at(step / 8) for part in link.curve for step in range(9)]
        for name, box in everything:
            if name != f"label {number}":
                assert not any(box.holds(point) for point in points), (
                    f"link {number} runs through {name}"
                )
    left, right = layout.left, layout.left + layout.width
    assert all(box.left >= left - 1e-6 and box.right <= right + 1e-6 for _, box in everything)


def assert_ends_meet(layout):
    """Each curve is unbroken, begins at its source's side and ends at its target's."""
    nodes = {each.node: each.box for each in layout.nodes}
    for link in layout.links:
        for before, after in zip(link.curve, link.curve[1:], strict=False):
            assert before.end == pytest.approx(after.start)
        for point, node in ((link.curve[0].start, link.source), (link.curve[-1].end, link.node)):
            box = nodes[node]
            assert abs(point[0] - box.x) <= box.width / 2 + 1e-6
            assert abs(point[1] - box.y) <= box.height / 2 + 1e-6


@settings(max_examples=25)
@given(cells())
def test_nothing_is_covered_in_any_cell(architecture):
    for graph in graphs(architecture):
        layout = placed(graph)
        assert len(layout.nodes) == len(graph.nodes)
        assert sum(each.link is not None for each in layout.links) == len(graph.links)
        assert_nothing_is_covered(layout)
        assert_ends_meet(layout)


@settings(max_examples=25)
@given(chains())
def test_nothing_is_covered_in_any_chain(architecture):
    (graph,) = graphs(architecture)
    layout = placed(graph)
    assert_nothing_is_covered(layout)
    assert_ends_meet(layout)


@pytest.mark.parametrize("name", SAMPLES)
def test_known_cells_are_placed_the_same_every_time(name):
    for graph in graphs(SAMPLES[name]):
        assert placed(graph) == placed(graph)
        assert_nothing_is_covered(placed(graph))


@pytest.mark.parametrize(
    "architecture, number, fewest",
    [
        (DARTS_V2, 0, 3),
        (DARTS_V2, 1, 1),
        (DEEP, 0, 2),
        (DEEP, 1, 0),
        (ISDARTS, 1, 1),
        (BENCH, 0, 0),
    ],
)
def test_few_links_cross(architecture, number, fewest):
    natural, _ = layers.columns(graphs(architecture)[number], label_size, node_size)
    found = layers.orders(natural)
    assert {layers.crossings(order) for order in found} == {fewest}


def test_parallel_links_have_labels_apart():
    (graph,) = graphs(BOTH)
    first, second = (each.label for each in placed(graph).links)
    assert first.x == second.x
    assert first.y - second.y >= 19.0 + 8.0


def test_long_chains_wind_through_rows():
    (graph,) = graphs(CHAIN)
    layout = placed(graph)
    rows = sorted({each.box.y for each in layout.nodes}, reverse=True)
    assert len(rows) == 3
    by_row = [[each.node for each in layout.nodes if each.box.y == row] for row in rows]
    assert by_row == [[0, 1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    second = [each.box.x for each in layout.nodes if each.box.y == rows[1]]
    assert second == sorted(second, reverse=True)
