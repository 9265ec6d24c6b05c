"""The best decision within limits: closed forms on the toy, brute force over NAS-Bench-201."""

import pytest
import torch
from limits_kit import (
    CONV,
    REST,
    Closed,
    Crooked,
    Summed,
    ToySize,
    limited,
    limited_toy,
    setting_of,
)

from nastk import PluginError, Subspace
from nastk.limits.model import ExclusiveEdges, Span, Structure, keys_of, measured, table_of
from nastk.limits.space import finite
from nastk.testing import ToySpace
from nastk_spaces_darts.space import DartsSpace
from nastk_spaces_mobilenet.space import MobileNetSpace
from nastk_spaces_nasbench201.space import NasBench201Space


def scores_of(seed, shape):
    """Even seeds: uniform; odd seeds: a softmax, as most updaters give."""
    table = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.softmax(3 * table, -1) if seed % 2 else table


def score(scores, architecture):
    return float(scores[table_of(architecture)].sum())


# ---------------------------------------------------------------- what operations add


def test_the_structure_of_the_toy():
    found = Structure.of(ToySpace())
    assert found.exclusive == tuple(ExclusiveEdges((row,), 1) for row in range(5))
    assert not found.choosable[:, 0].any()  # `none` is never chosen where there is a choice
    assert found.choosable.sum().item() == 3 * 3 + 2 * 2


def test_the_structure_of_cells_whose_nodes_keep_two_operations():
    found = Structure.of(DartsSpace(DartsSpace.Options(include_none=True)))
    assert ExclusiveEdges((2, 3, 4), 2) in found.exclusive
    assert sum(each.taken for each in found.exclusive) == 16
    assert not found.choosable[:, 0].any()


def test_costs_of_the_toy_in_closed_form():
    space, evaluator = ToySpace(), ToySize()
    found = measured(
        space,
        lambda each: evaluator.evaluate(each, None).metrics["parameters"],
        Structure.of(space),
    )
    wanted = torch.zeros(5, 4, dtype=torch.float64)
    wanted[:3, 2], wanted[3:, 2] = 2 * CONV, CONV
    torch.testing.assert_close(found.costs, wanted, rtol=1e-9, atol=1e-6)
    assert found.rest == pytest.approx(REST)
    assert found.exact and found.measurements == evaluator.asked <= 25


def test_costs_of_darts_cells_need_few_architectures():
    space = DartsSpace(DartsSpace.Options())
    per = {"skip_connect": 0, "max_pool_3x3": 0, "avg_pool_3x3": 0}

    def value(architecture):  # a reduction's strided edges cost half
        return 100.0 + sum(
            per.get(name, len(name)) * (0.5 if edge.group == "reduce" and edge.tail < 2 else 1)
            for edge, name in architecture.links()
        )

    found = measured(space, value, Structure.of(space))
    assert found.exact and found.measurements < 60
    rng = torch.Generator().manual_seed(9)
    for _ in range(20):
        architecture = space.sample(space.full(), rng)
        assert found.of(architecture) == pytest.approx(value(architecture), rel=1e-9)


def test_what_is_no_sum_is_known_to_be_none():
    space = NasBench201Space()
    assert not limited(space, Crooked(setting_of(space)), "params=0.5M").limits[0].sum.exact


@pytest.mark.slow
def test_costs_of_networks_that_are_built():
    from nastk_evaluators.size import Size
    from nastk_spaces_nasbench201.options import NasBench201Options

    space = NasBench201Space(NasBench201Options(network_channels=4, network_cells=1))
    evaluator = Size(setting_of(space))
    found = limited(space, evaluator, "params=20k").limits[0].sum
    rng = torch.Generator().manual_seed(3)
    for _ in range(3):
        architecture = space.sample(space.full(), rng)
        size = space.size(architecture, evaluator.context.task)
        assert found.of(architecture) == pytest.approx(size.parameters, abs=1e-3)


def test_keys_tie_operations_of_equal_names_and_leave_padding_alone():
    edges = ToySpace().edges
    tied = keys_of(edges, lambda edges, row, name: name)
    assert [row[2] for row in tied] == [2] * 5
    assert tied[3][3] == tied[4][3] not in tied[3][:3]
    assert len({number for row in keys_of(edges) for number in row}) == 3 * 4 + 2 * 3 + 1


def test_the_span_knows_what_is_new():
    span = Span()
    vectors = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 2, 1], [0, 0, 1]], dtype=torch.float64)
    assert [span.add(vector) for vector in vectors] == [True, True, False, True]


# ---------------------------------------------------------------- decisions


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (REST, "skip,pool,skip,skip,skip"),
        (REST + CONV, "skip,pool,skip,skip,conv"),
        (REST + 2 * CONV, "conv,pool,skip,skip,skip"),
        (REST + 3 * CONV, "conv,pool,skip,skip,conv"),
        (REST + 8 * CONV, "conv,conv,conv,conv,conv"),
    ],
)
def test_the_best_toy_within_a_limit_by_hand(limit, text):
    gains = torch.tensor([0.9, 0.3, 0.2, 0.1, 0.4])  # of a convolution on each edge
    scores = torch.zeros(5, 4)
    scores[:, 2], scores[1, 3] = gains, 0.05
    space = limited_toy(f"params={limit}")
    assert space.to_text(space.decide(scores, space.full())) == text


@pytest.fixture(scope="module")
def every():
    """All architectures of NAS-Bench-201 as tables, and their parameters."""
    space = NasBench201Space()
    task, columns = setting_of(space).task, torch.cartesian_prod(*[torch.arange(5)] * 6)
    tables = torch.nn.functional.one_hot(columns, 5).double()
    known = {}  # the size is decided by how many there are of both convolutions
    sizes = []
    for row in columns.tolist():
        counts = row.count(2), row.count(3)
        if counts not in known:
            names = [(space.edges[0].operations[column],) for column in row]
            known[counts] = float(space.size(space.architecture(names), task).parameters)
        sizes.append(known[counts])
    return tables, torch.tensor(sizes, dtype=torch.float64)


@pytest.mark.parametrize("most", ["0.1M", "0.3M", "0.6M", "0.9M"])
def test_decisions_equal_brute_force_over_nasbench201(most, every):
    space, (tables, sizes) = NasBench201Space(), every
    found = limited(space, Closed(setting_of(space)), f"params={most}")
    inside = sizes <= found.limits[0].bound.at_most
    assert 0 < inside.sum() < len(sizes) == 15_625
    for seed in range(25):
        scores = scores_of(seed, (6, 5))
        answer = found.decide(scores, space.full())
        assert found.limits[0].holds(answer)
        best = float((tables * scores).sum((1, 2))[inside].max())
        assert score(scores, answer) == pytest.approx(best, rel=1e-12)


GAP = 0.03
"""The most that a decision lost of the best score in these cases."""


@pytest.mark.parametrize(
    ("shares", "optimal"), [({"a": 0.35}, 0.9), ({"a": 0.5}, 0.9), ({"a": 0.4, "b": 0.5}, 0.8)]
)
def test_decisions_under_uneven_costs_are_near_the_best(shares, optimal, every):
    space, (tables, _) = NasBench201Space(), every
    evaluator = Summed(space)
    known = {name: (tables * evaluator.tables[name]).sum((1, 2)) for name in shares}
    limits = {
        name: float(values.min() + shares[name] * (values.max() - values.min()))
        for name, values in known.items()
    }
    found = limited(space, evaluator, *(f"{name}={most!r}" for name, most in limits.items()))
    inside = torch.stack([known[name] <= most for name, most in limits.items()]).all(0)
    hits = []
    for seed in range(20):
        scores = scores_of(seed, (6, 5))
        answer = found.decide(scores, space.full())
        assert all(limit.holds(answer) for limit in found.limits)
        best = float((tables * scores).sum((1, 2))[inside].max())
        lost = (best - score(scores, answer)) / best
        assert -1e-12 <= lost <= GAP
        hits.append(lost <= 1e-12)
    assert sum(hits) >= optimal * len(hits)


def test_a_metric_that_is_no_sum_is_kept_all_the_same():
    space = NasBench201Space()
    found = limited(space, Crooked(setting_of(space)), "params=0.3M")
    rng = torch.Generator().manual_seed(0)
    for seed in range(10):
        assert found.limits[0].holds(found.decide(scores_of(seed, (6, 5)), space.full()))
        assert found.limits[0].holds(found.sample(space.full(), rng))


@pytest.mark.parametrize(
    "space",
    [DartsSpace(DartsSpace.Options()), MobileNetSpace(MobileNetSpace.Options())],
    ids=lambda space: space.name,
)
def test_large_spaces_come_near_the_bound_of_lagrange(space):
    evaluator = Summed(space)
    shape = space.full().mask.shape
    costs = evaluator.tables["a"]
    low, high = (score(costs, space.decide(sign * costs, space.full())) for sign in (-1, 1))
    most = low + 0.4 * (high - low)
    found = limited(space, evaluator, f"a={most!r}")
    for seed in range(2):
        scores = scores_of(seed, shape)
        answer = found.decide(scores, space.full())
        assert found.limits[0].holds(answer)
        # For any price, the best of score - price * (cost - most) is no less than the best allowed.
        bound = min(
            score(scores, each) - price * (score(costs, each) - most)
            for price in torch.linspace(0, 3, 61).tolist()
            for each in [space.decide(scores - price * costs, space.full())]
        )
        assert score(scores, answer) >= bound - 0.01 * abs(bound)


def test_a_decision_that_keeps_the_limit_is_the_spaces_own():
    space, found = ToySpace(), limited_toy("params=1M")
    for seed in range(20):
        scores = scores_of(seed, (5, 4))
        assert found.decide(scores, space.full()) == space.decide(scores, space.full())


def test_the_same_question_has_the_same_answer():
    scores = scores_of(4, (5, 4))
    first, second = (limited_toy().decide(scores, ToySpace().full()) for _ in range(2))
    assert first == second


def test_infinite_scores_are_obeyed_as_far_as_the_limit_allows():
    scores = torch.zeros(5, 4)
    scores[:, 2] = torch.inf
    scores[0, 1] = -torch.inf
    space = limited_toy()
    assert space.to_text(space.decide(scores, space.full())) == "pool,skip,skip,conv,conv"
    table = finite(space.inner.readable(scores, space.full()), space.full())
    assert table.isfinite().all() and table[0, 1] < -1 and table[1, 2] > 1


def test_only_what_is_alive_is_decided():
    space = limited_toy()
    alive = space.full().drop(4, 1)  # the last edge has no `skip` left
    for seed in range(10):
        found = space.decide(scores_of(seed, (5, 4)), alive)
        assert alive.contains(Subspace(found.table()))
        assert found.choices[4] == ("conv",)


# ---------------------------------------------------------------- draws and subspaces


def test_draws_keep_the_limit_and_differ():
    space, rng = limited_toy(), torch.Generator().manual_seed(0)
    drawn = [space.sample(space.full(), rng) for _ in range(60)]
    assert all(space.limits[0].holds(each) for each in drawn)
    assert len({each.id for each in drawn}) > 10


def test_draws_are_the_spaces_own_where_those_keep_the_limit():
    space, found = ToySpace(), limited_toy("params=1M")
    first, second = (torch.Generator().manual_seed(1) for _ in range(2))
    for _ in range(10):
        assert found.sample(space.full(), first) == space.sample(space.full(), second)
    assert torch.equal(first.get_state(), second.get_state())


def test_where_draws_hardly_ever_keep_the_limit_a_decision_does():
    space = NasBench201Space()
    evaluator = Summed(space)
    least = score(evaluator.tables["a"], space.decide(-evaluator.tables["a"], space.full()))
    found, rng = limited(space, evaluator, f"a={least * 1.02!r}"), torch.Generator().manual_seed(0)
    assert all(found.limits[0].holds(found.sample(space.full(), rng)) for _ in range(5))


def test_subspaces_without_anything_small_enough_are_complained_about():
    space = limited_toy()
    assert space.why_empty(space.full()) is None
    large = space.full()
    for row in range(3):
        large = large.only(row, [2])
    assert space.why_empty(large) == (
        "none within the limits is left, the smallest parameters is 991, the limit 415"
    )
    assert space.why_empty(large.only(0, [])) == "edge first:0->1 has no operation left"
    with pytest.raises(PluginError, match=r"No architecture within the limits lies in this subspa"):
        space.decide(torch.zeros(5, 4), large)


def test_everything_else_is_the_wrapped_spaces():
    space = NasBench201Space()
    found = limited(space, Closed(setting_of(space)), "params=0.5M")
    architecture = found.sample(found.full(), torch.Generator().manual_seed(0))
    assert found.from_text(found.to_text(architecture)) == architecture
    assert found.canonical(architecture) == space.canonical(architecture)
    assert (found.name, found.options) == (space.name, space.options)
    assert found.costs.shape == (6, 5) and found.costs.min() == 0
    with pytest.raises(AttributeError):
        _ = found.no_such_thing
