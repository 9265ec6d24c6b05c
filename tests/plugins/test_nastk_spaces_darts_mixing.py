"""The sum at a node against its plain form, in float64: values, gradients, and their gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_kit import EXACT, drawn

from nastk.nn.kernels import terms
from nastk.nn.norms import BatchNorm, Frozen
from nastk_spaces_darts.mixing import mix
from nastk_spaces_darts.terms import Term, plain_sum


def terms_of(kinds, last=True, side=6, channels=3):
    """Terms of these kinds: plain, normed, projected."""
    found = []
    for place, kind in enumerate(kinds):
        x = drawn(2, channels, side, side, seed=10 + place, last=last)
        kernel = drawn(channels, channels, 1, 1, seed=20 + place)
        norm = BatchNorm(channels)
        made = {"plain": Term(x), "normed": Term(x, None, norm), "projected": Term(x, kernel, norm)}
        found.append(made[kind])
    return found


def inputs_of(weights, terms):
    return [weights, *(each for t in terms for each in (t.x, t.kernel) if each is not None)]


@pytest.fixture
def folding(monkeypatch):
    monkeypatch.setattr(terms, "FEWEST_POSITIONS", 1)


KINDS = st.lists(st.sampled_from(["plain", "normed", "projected"]), min_size=1, max_size=10)


@pytest.mark.parametrize("last", [True, False], ids=["channels last", "channels first"])
def test_a_sum_and_its_gradients_are_those_of_the_plain_form(folding, last):
    @settings(max_examples=15, deadline=None)
    @given(KINDS)
    def holds(kinds):
        terms, weights = terms_of(kinds, last), drawn(len(kinds), seed=5)
        inputs = inputs_of(weights, terms)
        fast, plain = (
            function(zip(weights.unbind(), terms, strict=True)) for function in (mix, plain_sum)
        )
        with torch.no_grad():
            measured = mix(zip(weights.unbind(), terms, strict=True))
        torch.testing.assert_close(fast, plain, **EXACT)
        torch.testing.assert_close(measured, plain, **EXACT)
        gradient = drawn(*plain.shape, seed=3).detach()
        found, expected = (torch.autograd.grad(y, inputs, gradient) for y in (fast, plain))
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, **EXACT)

    holds()


def test_gradients_of_gradients_of_a_sum(folding):
    terms, weights = terms_of(["plain", "projected", "normed"]), drawn(3, seed=5)
    inputs = inputs_of(weights, terms)
    slopes = []
    for function in (mix, plain_sum):
        total = function(zip(weights.unbind(), terms, strict=True))
        first = torch.autograd.grad(total.square().sum(), inputs, create_graph=True)
        slopes.append(torch.autograd.grad(sum(each.pow(3).sum() for each in first), inputs))
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_frozen_statistics_are_taken_over_by_a_sum(folding):
    terms, weights = terms_of(["projected", "normed", "projected"]), drawn(3, seed=5)
    frozen = Frozen(torch.nn.ModuleList(term.norm for term in terms))
    moved = [Term((2 * term.x + 1).detach(), term.kernel, term.norm) for term in terms]
    answers = []
    for function in (mix, plain_sum):
        with torch.no_grad(), frozen.applied():
            function(zip(weights.unbind(), terms, strict=True))
            answers.append(function(zip(weights.unbind(), moved, strict=True)))
    torch.testing.assert_close(*answers, **EXACT)
    other = plain_sum(zip(weights.unbind(), moved, strict=True))
    assert not torch.allclose(answers[0], other)


def test_terms_without_gradient_are_left_alone(folding):
    terms, weights = terms_of(["projected", "plain"]), drawn(2, seed=5).detach()
    terms[0].x.requires_grad_(False)
    mix(zip(weights.unbind(), terms, strict=True)).sum().backward()
    assert terms[0].x.grad is None and weights.grad is None
    assert terms[0].kernel.grad is not None and terms[1].x.grad is not None


def test_no_terms_have_no_sum():
    assert mix([]) is None
    with torch.no_grad():
        assert mix([]) is None


def test_a_sum_leaves_its_terms_as_they_are(folding):
    terms, weights = terms_of(["plain", "normed", "projected"]), drawn(3, seed=5)
    before = [term.x.clone() for term in terms]
    with torch.no_grad():
        mix(zip(weights.unbind(), terms, strict=True))
    assert all(torch.equal(term.x, x) for term, x in zip(terms, before, strict=True))
