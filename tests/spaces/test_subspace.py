import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from nastk import Edge, Subspace
from nastk.spaces.subspace import connected

EDGES = [
    Edge("a", ("conv", "skip"), "cell", 0, 1),
    Edge("b", ("conv", "pool", "skip"), "cell", 0, 2),
]
ROOT = Subspace.full(EDGES)

tables = some.integers(1, 4).flatmap(
    lambda width: some.lists(
        some.lists(some.booleans(), min_size=width, max_size=width).map(tuple),
        min_size=1,
        max_size=6,
    )
)
subspaces = tables.map(lambda rows: Subspace(tuple(rows)))


@given(subspaces)
def test_json_round_trip(subspace):
    assert Subspace.from_json(json.loads(json.dumps(subspace.to_json()))) == subspace
    assert Subspace.of(subspace.mask) == subspace
    assert hash(Subspace.of(subspace.alive)) == hash(subspace)


@given(subspaces)
def test_players_count_what_is_alive(subspace):
    players = subspace.alive_operations()
    assert len(players) == int(subspace.mask.sum())
    assert players == sorted(players)
    assert [o for e, o in players if e == 0] == list(subspace.operations(0))


@given(subspaces, some.randoms())
def test_keep_never_brings_back(subspace, random):
    other = Subspace(tuple(tuple(random.random() < 0.5 for _ in row) for row in subspace.alive))
    kept = subspace.keep(other.mask)
    assert torch.equal(kept.mask, subspace.mask & other.mask)
    assert subspace.contains(kept) and other.contains(kept)
    assert subspace.contains(other) == (not bool((other.mask & ~subspace.mask).any()))


def test_padding_is_never_alive():
    assert ROOT.to_json() == ["110", "111"]
    assert Subspace.full([EDGES[1], Edge("c", ("conv",), "cell", 1, 2)]).to_json() == ["111", "100"]
    assert ROOT.mask.dtype == torch.bool


@pytest.mark.parametrize(
    ("made", "rows"),
    [
        (ROOT.drop(1, 0), ["110", "011"]),
        (ROOT.drop(0, 2), ["110", "111"]),  # padding: nothing to drop
        (ROOT.drop(1, 0).drop(1, 0), ["110", "011"]),
        (ROOT.only(1, [2]), ["110", "001"]),
        (ROOT.drop(1, 0).only(1, [0, 1]), ["110", "010"]),  # never brings back
        (ROOT.only(0, []), ["000", "111"]),
        (ROOT.keep([[True, False, True], [False, True, True]]), ["100", "011"]),
    ],
)
def test_what_is_left(made, rows):
    assert made.to_json() == rows


def test_a_split_divides_one_edge():
    left, right = ROOT.split(1, [(0, 1), (2,)])
    assert (left.to_json(), right.to_json()) == (["110", "110"], ["110", "001"])
    assert ROOT.contains(left) and not left.contains(right)


@pytest.mark.parametrize("table", [[[True] * 3], [[True] * 2, [True] * 3], [[True] * 4] * 2])
def test_another_form_is_refused(table):
    with pytest.raises(ValueError, match="zip"):
        ROOT.keep(table)


@pytest.mark.parametrize("edge", [-1, 2, 3])
def test_an_edge_that_is_not_there_is_refused(edge):
    with pytest.raises(IndexError, match=rf"There are edges 0 to 1, got {edge}\."):
        ROOT.only(edge, [0])


# Two cell types: a grid 0 -> 1 -> 2 with a shortcut 0 -> 2, and a chain of one edge. Edges of the
# grid stand in an order that a single walk must not depend on.
GRID = [
    Edge("1->2", ("none", "conv"), "grid", 1, 2),
    Edge("0->2", ("none", "conv"), "grid", 0, 2),
    Edge("0->1", ("none", "conv"), "grid", 0, 1),
    Edge("chain", ("none", "conv"), "chain", 0, 1),
]


@pytest.mark.parametrize(
    ("operations", "joined"),
    [
        ("conv conv conv conv", True),
        ("conv none conv conv", True),  # by way of node 1
        ("none conv none conv", True),  # by the shortcut
        ("none none conv conv", False),
        ("conv none none conv", False),  # node 1 has no input
        ("conv conv conv none", False),  # the other cell type is cut
        ("both both both both", True),
        ("none none both conv", False),
        ("gone conv conv conv", True),  # nothing alive on an edge is like `none`
        ("gone none conv conv", False),
    ],
)
def test_every_cell_type_is_joined_or_the_subspace_is_not(operations, joined):
    alive = {"none": [1, 0], "conv": [0, 1], "both": [1, 1], "gone": [0, 0]}
    subspace = Subspace.of([[bool(on) for on in alive[word]] for word in operations.split()])
    assert subspace.connects(GRID) is joined


@pytest.mark.parametrize("cut", ["first", "second", "third", None])
def test_one_cell_type_that_is_cut_is_enough_and_equal_names_are_one_type(cut):
    # Names read from a file are equal texts, and other objects than those of the space.
    edges = [
        Edge(f"{group}:{tail}", ("none", "conv"), "".join(group), tail, tail + 1)
        for group in ("first", "second", "third")
        for tail in (0, 1)
    ]
    names = [["none" if edge.group == cut and edge.tail else "conv"] for edge in edges]
    assert connected(edges, names) is (cut is None)


def test_connection_asks_for_the_operations_of_every_edge():
    with pytest.raises(ValueError, match="zip"):
        connected(GRID, [["conv"]] * 3)
