import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from nastk import Edge, Subspace

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


def test_another_form_is_refused():
    with pytest.raises(ValueError, match="zip"):
        ROOT.keep([[True, True, True]])
