import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nastk import Architecture, DataError, Edge

EDGES = (
    Edge("cell:0->1", ("conv", "skip"), "cell", 0, 1),
    Edge("cell:0->2", ("conv", "pool", "skip"), "cell", 0, 2),
)
FOUND = Architecture("toy", EDGES, (("skip",), ("conv", "pool")))

words = some.text(min_size=1, max_size=5)
edges = some.builds(
    Edge,
    words,
    some.lists(words, min_size=1, max_size=4, unique=True).map(tuple),
    words,
    some.integers(0, 9),
    some.integers(0, 9),
)


@some.composite
def architectures(draw):
    drawn = tuple(draw(some.lists(edges, min_size=1, max_size=4, unique_by=lambda edge: edge.name)))
    choices = tuple(
        tuple(draw(some.lists(some.sampled_from(edge.operations), max_size=2, unique=True)))
        for edge in drawn
    )
    return Architecture(draw(words), drawn, choices)


@given(architectures())
def test_json_round_trip(architecture):
    again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert again == architecture
    assert again.id == architecture.id
    assert hash(again) == hash(architecture)
    assert sum(map(sum, architecture.table())) == len(architecture.links())


def test_the_id_is_the_same_for_ever():
    assert FOUND.id == FOUND.to_json()["id"] == "bf0389b14c06"


def test_the_id_says_the_decision_and_nothing_else():
    assert Architecture("toy", EDGES, (("skip",), ("pool", "conv"))).id == FOUND.id
    wider = (Edge("cell:0->1", ("none", "conv", "skip"), "cell", 0, 1), EDGES[1])
    assert Architecture("toy", wider, FOUND.choices).id == FOUND.id
    assert Architecture("toy", EDGES[::-1], FOUND.choices[::-1]).id == FOUND.id
    assert Architecture("other", EDGES, FOUND.choices).id != FOUND.id
    assert Architecture("toy", EDGES, (("conv",), ("conv", "pool"))).id != FOUND.id


def test_table_and_links():
    assert FOUND.table() == ((False, True, False), (True, True, False))
    assert FOUND.links() == [(EDGES[0], "skip"), (EDGES[1], "conv"), (EDGES[1], "pool")]
    assert Architecture("toy", EDGES, ((), ())).links() == []


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ((("skip",),), "An architecture of 2 edges needs as many choices, got 1."),
        ((("skip",), (), ()), "An architecture of 2 edges needs as many choices, got 3."),
        (
            (("skip",), ("conv", "pool", "conv")),
            "Edge cell:0->2 of space 'toy' has an operation twice: conv, pool, conv.",
        ),
        (
            (("pool",), ()),
            "Edge cell:0->1 of space 'toy' has no operation 'pool'. It has: conv, skip.",
        ),
    ],
)
def test_choices_must_fit_the_edges(choices, message):
    with pytest.raises(DataError, match=message):
        Architecture("toy", EDGES, choices)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: {**value, "schema": 2}, "schema 1, got schema 2. If a newer nastk wrote it"),
        (lambda value: {}, "schema 1, got schema None"),
        (lambda value: [], "JSON object, got list"),
        (lambda value: {"schema": 1}, "no architecture: KeyError"),
        (lambda value: {**value, "edges": 3}, "no architecture: TypeError"),
        (
            lambda value: {**value, "edges": [{**value["edges"][0], "node": "last"}]},
            "no architecture: ValueError",
        ),
        (
            lambda value: {**value, "edges": [{**value["edges"][0], "chosen": ["pool"]}]},
            "has no operation 'pool'",
        ),
    ],
)
def test_what_is_no_architecture_is_refused(change, message):
    with pytest.raises(DataError, match=message):
        Architecture.from_json(change(FOUND.to_json()))
