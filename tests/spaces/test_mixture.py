from dataclasses import FrozenInstanceError

import pytest
import torch

from nastk import Architecture, Edge, Mixture, Subspace
from nastk.spaces import terms_of

EDGES = (
    Edge("a", ("conv", "skip"), "cell", 0, 1),
    Edge("b", ("conv", "pool", "skip"), "cell", 0, 2),
)
ROOT = Subspace.full(EDGES)
HALF, THIRD = 1 / 2, 1 / 3


def close(mixture, weights, active):
    torch.testing.assert_close(mixture.weights, torch.tensor(weights))
    assert mixture.active.tolist() == [[bool(value) for value in row] for row in active]
    assert mixture.active.device.type == "cpu"


def test_uniform():
    close(Mixture.uniform(ROOT), [[HALF, HALF, 0], [THIRD, THIRD, THIRD]], [[1, 1, 0], [1, 1, 1]])
    close(
        Mixture.uniform(ROOT.only(0, [])),
        [[0.0, 0, 0], [THIRD, THIRD, THIRD]],
        [[0, 0, 0], [1, 1, 1]],
    )
    close(
        Mixture.uniform(ROOT.only(0, [1])),
        [[0.0, 1, 0], [THIRD, THIRD, THIRD]],
        [[0, 1, 0], [1, 1, 1]],
    )


def test_softmax_is_over_the_alive_operations():
    logits = torch.tensor([[0.0, 0.0, 9.0], [1.0, 2.0, 3.0]])
    row = torch.softmax(torch.tensor([1.0, 3.0]), 0).tolist()
    close(
        Mixture.softmax(logits, ROOT.drop(1, 1)),
        [[HALF, HALF, 0], [row[0], 0, row[1]]],
        [[1, 1, 0], [1, 0, 1]],
    )


def test_softmax_gives_true_gradient_and_none_to_the_dead():
    logits = torch.tensor(
        [[0.3, -0.2, 0.9], [1.0, 2.0, 3.0]], dtype=torch.float64, requires_grad=True
    )
    subspace = ROOT.drop(1, 1).only(0, [])
    mixture = Mixture.softmax(logits, subspace)
    assert torch.isfinite(mixture.weights).all()
    (gradient,) = torch.autograd.grad(mixture.weights[1, 0], logits)
    share = torch.sigmoid(torch.tensor(-2.0, dtype=torch.float64))
    expected = torch.zeros(2, 3, dtype=torch.float64)
    expected[1, 0], expected[1, 2] = share * (1 - share), -share * (1 - share)
    torch.testing.assert_close(gradient, expected)


def test_a_path():
    architecture = Architecture("toy", EDGES, (("skip",), ("conv", "pool")))
    close(Mixture.of(architecture), [[0.0, 1, 0], [1, 1, 0]], [[0, 1, 0], [1, 1, 0]])


@pytest.mark.parametrize(
    ("change", "weights", "active"),
    [
        (lambda m: m.without(1, 2), [[HALF, HALF, 0], [THIRD, THIRD, 0]], [[1, 1, 0], [1, 1, 0]]),
        (
            lambda m: m.without_all([(0, 0), (0, 1)]),
            [[0.0, 0, 0], [THIRD, THIRD, THIRD]],
            [[0, 0, 0], [1, 1, 1]],
        ),
        (
            lambda m: m.without_all([]),
            [[HALF, HALF, 0], [THIRD, THIRD, THIRD]],
            [[1, 1, 0], [1, 1, 1]],
        ),
        (lambda m: m.only(1, 1), [[HALF, HALF, 0], [0.0, 1, 0]], [[1, 1, 0], [0, 1, 0]]),
        (
            lambda m: m.without(1, 1).only(1, 1),
            [[HALF, HALF, 0], [0.0, 1, 0]],
            [[1, 1, 0], [0, 1, 0]],
        ),
        (
            lambda m: m.masked(ROOT.drop(0, 0).mask),
            [[0.0, HALF, 0], [THIRD, THIRD, THIRD]],
            [[0, 1, 0], [1, 1, 1]],
        ),
    ],
)
def test_changes_make_new_mixtures_without_renormalising(change, weights, active):
    whole = Mixture.uniform(ROOT)
    close(change(whole), weights, active)
    close(whole, [[HALF, HALF, 0], [THIRD, THIRD, THIRD]], [[1, 1, 0], [1, 1, 1]])


@pytest.mark.parametrize(
    "change", [lambda m: m.without(0, 0), lambda m: m.only(0, 0), lambda m: m.to("cpu")]
)
def test_changes_keep_the_gradient_and_detach_drops_it(change):
    logits = torch.zeros(2, 3, requires_grad=True)
    changed = change(Mixture.softmax(logits, ROOT))
    assert changed.weights.requires_grad
    assert not changed.detach().weights.requires_grad
    (gradient,) = torch.autograd.grad(changed.weights[1, 0], logits)
    torch.testing.assert_close(gradient[1], torch.tensor([2 / 9, -1 / 9, -1 / 9]))


def test_terms_are_the_weights_of_what_is_computed():
    mixture = Mixture.uniform(ROOT).without(1, 0).without_all([(0, 0), (0, 1)])
    assert mixture.terms == [[], [(1, pytest.approx(THIRD)), (2, pytest.approx(THIRD))]]
    tables = torch.stack([mixture.weights, 3 * mixture.weights], -1)
    second = terms_of(tables, mixture.active)[1]
    assert [column for column, _ in second] == [1, 2]
    torch.testing.assert_close(second[0][1], torch.tensor([THIRD, 1.0]))


def test_terms_ask_for_tables_of_one_form():
    # Where CI compares every call with its annotation, that refuses it before.
    with pytest.raises((ValueError, TypeError), match=r"zip|Type-check error"):
        terms_of(torch.ones(3, 2), torch.ones(2, 2, dtype=torch.bool))


def test_a_mixture_stays_as_it_is_and_equals_only_itself():
    mixture = Mixture.uniform(ROOT)
    with pytest.raises(FrozenInstanceError):
        mixture.weights = torch.zeros(2, 3)
    assert mixture in {mixture} and mixture != Mixture.uniform(ROOT)
