"""What every search space inherits: texts of nastk's own, scores, options, checks, decisions."""

import json
from typing import ClassVar

import pytest
import torch
from pydantic import Field

import nastk
from nastk import ConfigurationError, DataError, Edge, PluginError, Published, Subspace
from nastk.spaces.space import SingleChoiceSpace

NAN, INF = float("nan"), float("inf")


class Chain(SingleChoiceSpace):
    """Layers of two operations, the last of three; its networks do not matter here."""

    name, summary = "chain", "a chain of layers"
    published: ClassVar = {"FIRST": Published("conv conv conv", {"width": 4})}

    class Options(nastk.Options):
        layers: int = Field(3, ge=1, description="layers")
        width: int = Field(2, ge=1, description="channels")

    def __init__(self, options=None):
        super().__init__(options)
        short, long = ("conv", "skip"), ("conv", "pool", "skip")
        last = self.options.layers - 1
        self.edges = tuple(
            Edge(f"layer{number}", long if number == last else short, "chain", number, number + 1)
            for number in range(last + 1)
        )

    def supernet(self, task):
        raise NotImplementedError

    def network(self, architecture, task):
        raise NotImplementedError

    def to_text(self, architecture):
        return " ".join(name for (name,) in architecture.choices)

    def from_text(self, text):
        return self.own(text) or self.architecture((name,) for name in text.split())


def chain(**options):
    return Chain(Chain.parse_options(options))


SPACE = Chain()
FOUND = SPACE.from_text("conv skip pool")
TABLE = [[1.0, 2.0, 9.0], [2.0, 2.0, 9.0], [1.0, 3.0, 3.0]]
"""Scores; the last column of the first two layers is padding."""


@pytest.mark.parametrize(
    ("text", "options"),
    [("FIRST", {"width": 4}), ("\n first ", {"width": 4}), ("second", {}), ("", {})],
)
def test_a_published_name_brings_its_options_and_other_texts_none(text, options):
    found = Chain.options_for(text)
    assert found == options
    found["width"] = 5
    assert Chain.published["FIRST"].options == {"width": 4}


OWN = FOUND.to_json()


@pytest.mark.parametrize("around", [lambda own: own, lambda own: {"architecture": own, "cost": 1}])
@pytest.mark.parametrize("before", ["", "\n  "])
def test_json_of_nastk_is_read_as_a_decision_of_this_space(around, before):
    assert SPACE.own(before + json.dumps(around(OWN))) == FOUND
    other = {
        **OWN,
        "edges": [{**OWN["edges"][0], "operations": ["skip", "conv"]}, *OWN["edges"][1:]],
    }
    assert SPACE.own(before + json.dumps(around(other))) == FOUND


NOT_OWN = ["conv skip pool", "", "[]", '["schema", "edges"]', "{}", "{broken", '{"schema": 1}', "3"]
NOT_OWN += ['{"edges": []}', '{"architecture": "conv"}', '{"architecture": ["schema", "edges"]}']
NOT_OWN += ["bf0389b14c0", "bf0389b14c06f", "BF0389B14C06", "{'schema': 1, 'edges': []}"]


@pytest.mark.parametrize("text", NOT_OWN)
def test_any_other_text_is_not_nastks_own(text):
    assert SPACE.own(text) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f" {FOUND.id}\n", f"^{FOUND.id} is an id: it tells architectures apart"),
        (json.dumps(OWN | {"space": "darts"}), "of space 'chain' with 3 edges, got one of 'darts'"),
        (json.dumps(OWN | {"space": "a"}), "of space 'chain' with 3 edges, got one of 'a' with 3"),
        (json.dumps(OWN | {"edges": OWN["edges"][:2]}), "with 3 edges, got one of 'chain' with 2"),
        (
            json.dumps(OWN | {"edges": [*OWN["edges"], {**OWN["edges"][0], "name": "more"}]}),
            "with 3 edges, got one of 'chain' with 4",
        ),
        ('{"schema": 1, "edges": []}', "no architecture: KeyError"),
        (json.dumps(OWN | {"schema": 2}), "Expected an architecture of schema 1"),
        (
            json.dumps(OWN | {"edges": [{**edge, "chosen": []} for edge in OWN["edges"]]}),
            "Edge 'layer0' must have one operation .* got 0\\.",
        ),
    ],
)
def test_what_belongs_elsewhere_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        SPACE.own(text)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ((("conv",), (), ("pool",)), r"Edge 'layer1' must have one operation .*, got 0\."),
        ((("conv",), ("skip",), ("conv", "pool")), r"'layer2' must .*, got 2: conv, pool\."),
    ],
)
def test_a_single_choice_is_one_operation_an_edge(choices, message):
    with pytest.raises(DataError, match=message):
        SPACE.check(SPACE.architecture(choices))
    assert SPACE.check(FOUND) is FOUND


def test_a_decision_of_other_options_is_not_of_this_space():
    with pytest.raises(DataError, match="Use the space options of the run"):
        SPACE.check(chain(layers=2).from_text("conv pool"))
    assert chain(width=3).check(FOUND) is FOUND
    read = nastk.Architecture.from_json(json.loads(json.dumps(OWN)))
    assert SPACE.check(read) is read


# ------------------------------------------------------------------ scores and decisions

FULL = SPACE.full()


@pytest.mark.parametrize(
    ("subspace", "decision"),
    [
        (FULL, "skip conv pool"),  # ties go to the first, padding is never chosen
        (FULL.drop(0, 1).drop(2, 1), "conv conv skip"),
        (FULL.drop(1, 0), "skip skip pool"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_best_alive_operation_of_each_edge_is_chosen(subspace, decision, dtype):
    scores = torch.tensor(TABLE, dtype=dtype, requires_grad=True)
    assert SPACE.to_text(SPACE.decide(scores, subspace)) == decision
    dead = scores.detach().masked_fill(~subspace.mask, NAN)
    assert SPACE.to_text(SPACE.decide(dead, subspace)) == decision


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_are_read_as_a_copy_in_double_precision(dtype):
    scores = torch.tensor(TABLE, dtype=dtype, requires_grad=True)
    read = SPACE.readable(scores, FULL)
    assert read.dtype == torch.float64 and not read.requires_grad
    assert read.tolist() == [[1, 2, -INF], [2, 2, -INF], [1, 3, 3]]
    assert scores.tolist() == TABLE


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([2], r"not a number on layer2\. The updater"),
        ([0, 1, 2], r"not a number on layer0, layer1, layer2\. The updater"),
        ([0, 2, 3, 4], r"not a number on layer0, layer2, layer3 \.\.\.\. The updater"),
    ],
)
def test_scores_that_are_not_a_number_are_refused_by_their_edges(rows, message):
    space = chain(layers=5)
    scores = torch.zeros(5, 3)
    scores[rows, 0] = NAN
    scores[:4, 2] = NAN  # padding
    with pytest.raises(PluginError, match=message):
        space.readable(scores, space.full())


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (9,), (3, 3, 1)])
def test_scores_of_another_form_are_refused(shape):
    # Where CI compares every call with its annotation, that refuses some of them before.
    message = rf"scores of shape \(3, 3\) .*, got \({shape[0]}|Type-check error"
    with pytest.raises((PluginError, TypeError), match=message):
        SPACE.decide(torch.zeros(shape), FULL)


def test_an_edge_without_an_operation_leaves_no_architecture():
    assert SPACE.why_empty(FULL.only(1, [1])) is None
    empty = FULL.only(1, [])
    assert SPACE.why_empty(empty) == "edge layer1 has no operation left"
    with pytest.raises(PluginError, match=r"No .* in this subspace: edge layer1 has no"):
        SPACE.decide(torch.zeros(3, 3), empty)
    with pytest.raises(ValueError, match="zip"):
        SPACE.why_empty(Subspace(FULL.alive[:2]))


def test_a_sample_is_the_decision_on_uniform_scores_of_the_stream():
    scores = torch.rand(3, 3, generator=torch.Generator().manual_seed(5))
    drawn = SPACE.sample(FULL, torch.Generator().manual_seed(5))
    assert drawn == SPACE.decide(scores, FULL)
    assert SPACE.sample(FULL.only(2, [2]), torch.Generator()).choices[2] == ("skip",)
    single = chain(layers=1)
    assert single.sample(single.full().only(0, [1]), torch.Generator()).choices == (("pool",),)


def test_a_decision_needs_a_column_for_every_edge():
    assert SPACE.chosen([1, 0, 2]).choices == (("skip",), ("conv",), ("skip",))
    with pytest.raises(ValueError, match="zip"):
        SPACE.chosen([1, 0])


# ------------------------------------------------------------------ options


def test_options_may_change_what_a_network_looks_like():
    changed = chain(width=3).with_options({"width": 7})
    assert type(changed) is Chain and changed.options == Chain.Options(layers=3, width=7)
    assert chain(layers=2, width=3).with_options({}).options == Chain.Options(layers=2, width=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 2}, "^layers would change what space 'chain' decides on"),
        ({"width": 4, "layers": 4}, "^width, layers would change what"),
        ({"wide": 4}, "chain has no option 'wide'. Did you mean 'width'"),
        ({"width": 0}, "width must be at least 1, got 0"),
    ],
)
def test_options_that_change_the_edges_or_do_not_exist_are_refused(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        SPACE.with_options(changes)
