"""The game of paths: its closed form against all coalitions, its estimator, the updater on it."""

import itertools
import math
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from core_kit import ShortContract

from nastk import ConfigurationError, Edge, Mixture, Plan, PluginError, SearchSpace, Subspace
from nastk.base.events import UpdaterReported, UpdaterWorking
from nastk.testing import Harness, ToySpace
from nastk_shapley.connection import connected_shares, connection
from nastk_shapley.estimate import Game
from nastk_shapley.exact import exact
from nastk_shapley.path_coalitions import architecture_of, mixture_of, operation_counts
from nastk_shapley.paths import (
    PathGame,
    exact_path_values,
    harmonic_factor,
    path_sets,
    path_values,
)
from nastk_shapley.selecting import ShapleySelect
from nastk_shapley.stopping import ConfidentRanking
from nastk_shapley.updater import Shapley

# ---------------------------------------------------------------- games with known answers

SHAPES = [(2, 3), (3, 3, 3), (1, 2, 4), (2, 2, 2, 2)]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table_of(operations: tuple[int, ...], seed: int = 0) -> dict[tuple[int, ...], float]:
    """A random value for each path."""
    paths = list(itertools.product(*map(range, operations)))
    values = torch.rand(len(paths), generator=rng(seed), dtype=torch.float64).tolist()
    return dict(zip(paths, values, strict=True))


def path_game_of(table: dict[Any, float], operations: tuple[int, ...], **kinds: Any) -> PathGame:
    return PathGame(operations, lambda sample, paths: [table[path] for path in paths], **kinds)


def worth(table: dict[Any, float], operations: tuple[int, ...], present: set[int]) -> float:
    """V(S), as it is defined: the mean over paths of S; an edge without any is undecided."""
    first = [sum(operations[:edge]) for edge in range(len(operations))]
    left = [
        [place for place in range(count) if start + place in present] or list(range(count))
        for start, count in zip(first, operations, strict=True)
    ]
    paths = list(itertools.product(*left))
    return sum(table[path] for path in paths) / len(paths)


def coalitions_of(table: dict[Any, float], operations: tuple[int, ...]) -> Game:
    players = sum(operations)

    def values(sample: int, removals: Any) -> Any:
        for removed in removals:
            yield worth(table, operations, set(range(players)) - set(removed))

    return Game(players, values)


@pytest.mark.parametrize("operations", SHAPES)
def test_values_by_main_effects_are_the_shapley_values_of_all_coalitions(operations) -> None:
    table = table_of(operations)
    found = exact_path_values(path_game_of(table, operations))
    oracle = exact(coalitions_of(table, operations)).values
    torch.testing.assert_close(found.values, oracle, atol=1e-12, rtol=0)
    assert found.evaluations == len(table) and found.standard_errors.tolist() == [0.0] * sum(
        operations
    )
    assert found.full_values[0] == pytest.approx(worth(table, operations, set()))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what shapiq's own imports warn of is not ours
def test_they_agree_with_shapiq() -> None:
    import shapiq

    operations = (2, 3, 3)
    table = table_of(operations, seed=5)

    def values(coalitions: Any) -> Any:
        rows = np.atleast_2d(coalitions)
        return np.array([worth(table, operations, set(np.flatnonzero(row))) for row in rows])

    oracle = shapiq.ExactComputer(game=values, n_players=8)("SV", 1)
    found = exact_path_values(path_game_of(table, operations)).values
    expected = torch.tensor([float(oracle[(player,)]) for player in range(8)], dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("count", "factor"), [(1, 1.0), (2, 1.0), (3, 0.75), (5, 25 / 48)])
def test_the_harmonic_factor(count, factor) -> None:
    assert harmonic_factor(count) == pytest.approx(factor)


def test_an_additive_game_gives_each_operation_its_lead_over_the_mean_of_its_edge() -> None:
    parts = ((0.1, 0.5), (0.0, 0.3, 0.6))
    table = {
        path: parts[0][path[0]] + parts[1][path[1]]
        for path in itertools.product(range(2), range(3))
    }
    expected = torch.tensor([-0.2, 0.2, -0.225, 0.0, 0.225], dtype=torch.float64)
    # Exactly, from two sets: what other edges hold averages out within each.
    game = path_game_of(table, (2, 3))
    torch.testing.assert_close(exact_path_values(game).values, expected)
    square = path_game_of({path: path[0] - 2.0 * path[1] for path in table_of((3, 3))}, (3, 3))
    found = path_values(square, itertools.islice(path_sets((3, 3), rng()), 400))
    assert float(found.values.view(2, 3).sum(1).abs().max()) < 1e-12


# ---------------------------------------------------------------- which paths count

CHAIN = tuple(
    Edge(f"{source}->{node}", ("none", "skip", "conv"), "cell", source, node)
    for source, node in ((0, 1), (0, 2), (1, 2))
)
TWO = (*CHAIN[:2], Edge("other:0->1", ("skip", "none"), "other", 0, 1))


class Drawn(ToySpace):
    """A space with other edges, only to name architectures."""

    def __init__(self, edges: tuple[Edge, ...]) -> None:
        super().__init__()
        self.edges = edges


def connected_paths(space: SearchSpace) -> dict[tuple[int, ...], bool]:
    subspace = space.full()
    paths = itertools.product(*map(range, operation_counts(subspace)))
    return {path: architecture_of(path, space, subspace).connected() for path in paths}


@pytest.mark.parametrize("edges", [CHAIN, TWO, ToySpace().edges])
def test_the_shares_of_connected_paths_are_those_of_all_paths(edges) -> None:
    space = Drawn(edges)
    counts = connected_paths(space)
    alone = sum(counts.values()) / len(counts)
    expected = []
    for edge, column in space.full().alive_operations():
        having = [counts[path] for path in counts if path[edge] == column]
        expected.append(sum(having) / len(having) / alone)
    torch.testing.assert_close(
        connected_shares(space.edges, space.full()), torch.tensor(expected, dtype=torch.float64)
    )
    assert connection(space.edges, [0.0] * len(edges)) == 1.0


def test_a_subspace_that_no_path_joins_is_refused() -> None:
    cut = Subspace.full(CHAIN).only(0, [0]).only(1, [0])
    with pytest.raises(PluginError, match="No path of this subspace joins input and output"):
        connected_shares(CHAIN, cut)


def test_where_only_connected_paths_count_the_others_gain_nothing_and_are_not_measured() -> None:
    space = Drawn(CHAIN)
    counts, operations = connected_paths(space), (3, 3, 3)
    table = table_of(operations, seed=2)
    mean = sum(table[path] for path in table if counts[path]) / sum(counts.values())
    gains = {path: table[path] - mean if counts[path] else 0.0 for path in table}
    measured: list[tuple[int, ...]] = []

    def values(sample: int, paths: Any) -> list[float]:
        measured.extend(paths)
        return [table[path] for path in paths]

    shares = connected_shares(CHAIN, space.full())
    game = PathGame(operations, values, counts.__getitem__, shares)
    found = exact_path_values(game)
    oracle = exact(coalitions_of(gains, operations)).values
    torch.testing.assert_close(found.values, oracle, atol=1e-12, rtol=0)
    assert all(counts[path] for path in measured) and found.evaluations == sum(counts.values())
    torch.testing.assert_close(
        found.values.view(3, 3).sum(1), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0
    )


# ---------------------------------------------------------------- sampling


@pytest.mark.parametrize("rounds", [False, True])
@pytest.mark.parametrize("operations", [(5,) * 6, (3, 2, 3), (4, 1)])
def test_a_set_of_paths_holds_each_operation_once_or_as_often_as_can_be(operations, rounds) -> None:
    widest = max(operations)
    for paths in itertools.islice(path_sets(operations, rng(), rounds), 3 * widest):
        assert len(paths) == widest
        for edge, count in enumerate(operations):
            held = [path[edge] for path in paths]
            times = [held.count(place) for place in range(count)]
            assert max(times) - min(times) <= 1 and sum(times) == widest


def test_rounds_of_a_prime_number_hold_each_pair_of_operations_once() -> None:
    operations = (5,) * 5
    drawn = itertools.islice(path_sets(operations, rng(3), rounds=True), 10)
    every = set(itertools.product(range(5), repeat=2))
    sets = list(drawn)
    for one in (sets[:5], sets[5:]):
        paths = [path for some in one for path in some]
        for first, second in itertools.combinations(range(5), 2):
            assert {(path[first], path[second]) for path in paths} == every
    # So other edges alone, and in pair with the valued one, add nothing to the error.
    additive = PathGame(operations, lambda sample, some: [float(3 * p[0] + p[4]) for p in some])
    pairs = table_of((5, 5))
    paired = PathGame(operations, lambda sample, some: [pairs[p[0], p[3]] for p in some])
    alone = list(itertools.islice(path_sets(operations, rng(3)), 10))
    for game, exactly in ((additive, [0, 1, 2, 3, 4]), (paired, [0, 3])):
        errors = path_values(game, sets, block=5).standard_errors.view(5, 5)
        assert float(errors[exactly].max()) < 1e-12
        assert float(path_values(game, alone).standard_errors.max()) > 0.01


CASES = [((3, 3, 3), False, False), ((2, 4, 3), False, False), ((3, 3, 3), True, False)]
CASES += [((3, 3, 3), False, True), ((3, 3, 3), True, True)]


def estimates(operations: Any, rounds: bool, connected: bool, sets: int, runs: int) -> Any:
    """The true values of a game, and what so many runs say of them."""
    table, kinds = table_of(operations, seed=7), {}
    if connected:
        counts = connected_paths(Drawn(CHAIN))
        kinds = {
            "counts": counts.__getitem__,
            "shares": connected_shares(CHAIN, Subspace.full(CHAIN)),
        }
    game, block = path_game_of(table, operations, **kinds), max(operations) if rounds else 1
    found = [
        path_values(
            game, itertools.islice(path_sets(operations, rng(seed), rounds), sets), 0.0, block
        )
        for seed in range(runs)
    ]
    values = torch.stack([one.values for one in found])
    return exact_path_values(game).values, values, torch.stack([o.standard_errors for o in found])


@pytest.mark.parametrize(("operations", "rounds", "connected"), CASES)
def test_estimates_are_unbiased_and_their_errors_honest(operations, rounds, connected) -> None:
    truth, values, errors = estimates(operations, rounds, connected, 30, 60)
    scatter = values.std(0)
    assert bool(((values.mean(0) - truth).abs() <= 4 * scatter / math.sqrt(60) + 1e-12).all())
    claimed = errors.square().mean(0).sqrt()
    live = scatter > 1e-9
    assert ((claimed / scatter)[live] > 0.7).all() and ((claimed / scatter)[live] < 1.4).all()


@pytest.mark.slow
@pytest.mark.parametrize(("operations", "rounds", "connected"), CASES)
def test_two_standard_errors_cover_the_truth_as_often_as_they_should(
    operations, rounds, connected
) -> None:
    truth, values, errors = estimates(operations, rounds, connected, 60, 600)
    covered = ((values - truth).abs() <= 2 * errors + 1e-12).double().mean(0)
    # 95.4 % of a normal; 20 rounds or more have Student's 94 %. Four errors of 600 draws: 3.5 %.
    assert float(covered.min()) > 0.94 - 0.035


def test_how_hard_a_batch_is_cancels_within_a_set() -> None:
    operations = (3, 3, 3)
    table, hard = table_of(operations, seed=7), torch.rand(40, generator=rng(1)).tolist()
    sets = list(itertools.islice(path_sets(operations, rng(2)), 40))
    plain = path_values(path_game_of(table, operations), sets)
    game = PathGame(operations, lambda sample, some: [table[p] + hard[sample] for p in some])
    found = path_values(game, sets)
    torch.testing.assert_close(found.values, plain.values, atol=1e-12, rtol=0)
    torch.testing.assert_close(found.standard_errors, plain.standard_errors, atol=1e-12, rtol=0)


def test_fewer_than_two_blocks_have_no_error_and_no_set_is_refused() -> None:
    game = path_game_of(table_of((3, 3)), (3, 3))
    assert path_values(game, [[(0, 0), (1, 1), (2, 2)]]).standard_errors.isnan().all()
    with pytest.raises(ValueError, match="at least one set of paths"):
        path_values(game, [])


def test_sampling_ends_once_the_best_of_each_edge_is_settled() -> None:
    table = {path: 10.0 * (path[0] == 1) + 5.0 * (path[1] == 2) for path in table_of((3, 3))}
    table = {path: value + 0.01 * path[0] * path[1] for path, value in table.items()}
    settled = ConfidentRanking([0, 0, 0, 1, 1, 1], 3.0)
    for block, least, most in ((1, 5, 59), (3, 15, 15)):
        drawn = itertools.islice(path_sets((3, 3), rng(), block > 1), 60)
        found = path_values(path_game_of(table, (3, 3)), drawn, block=block, enough=settled)
        assert 3 * least <= found.evaluations <= 3 * most


def test_risk_takes_off_deviations_over_sets() -> None:
    game = path_game_of(table_of((3, 3)), (3, 3))
    sets = list(itertools.islice(path_sets((3, 3), rng()), 12))
    plain, careful = path_values(game, sets), path_values(game, sets, risk=2.0)
    deviation = plain.standard_errors * math.sqrt(12) * math.sqrt(11 / 12)
    torch.testing.assert_close(careful.values, plain.values - 2 * deviation)


# ---------------------------------------------------------------- the updater

FEW = {"samples": 3, "warmup": 1, "batch_size": 16, "game": "paths"}


@pytest.mark.slow  # `TestShapleyOverPaths` is in the quick suite
class TestShapleyOfPaths(ShortContract):
    updater = Shapley
    options: ClassVar = {**FEW, "value": "neg_loss"}


@pytest.mark.slow
class TestConnectedRounds(ShortContract):
    updater = Shapley
    options: ClassVar = {**FEW, "samples": 4, "antithetic": True, "connected": True}


@pytest.mark.slow
class TestSelectOfPaths(ShortContract):
    updater = ShapleySelect
    options: ClassVar = {
        **{name: value for name, value in FEW.items() if name != "warmup"},
        "inner": "random",
        "inner_options": {"candidates": 3},
    }


def reports(harness: Harness) -> list[Any]:
    return [one.values for one in harness.events if isinstance(one, UpdaterReported)]


@pytest.mark.parametrize(
    ("options", "paths"), [({}, 12), ({"samples": 8, "antithetic": True}, 32), ({"samples": 1}, 4)]
)
def test_every_path_of_every_set_is_measured_and_forecast(options, paths) -> None:
    harness = Harness(Shapley, {**FEW, **options})
    (branch,) = harness.run()
    spent = harness.trainer.ledger.cost().phases["updater"]
    assert [one["evaluations"] for one in reports(harness)] == [paths, paths]
    assert spent.images_forward == 2 * paths * 16 and spent.images_backward == 0
    assert spent.images_forward == branch.updater.max_cost(harness.plan).images_forward
    working = [(one.done, one.total) for one in harness.events if isinstance(one, UpdaterWorking)]
    assert working[-1] == (paths // 4, paths // 4)


def test_paths_that_do_not_count_are_not_measured() -> None:
    harness = Harness(Shapley, {**FEW, "samples": 20, "connected": True})
    (branch,) = harness.run()
    spent = harness.trainer.ledger.cost().phases["updater"].images_forward
    assert 0 < spent < branch.updater.max_cost(harness.plan).images_forward
    assert spent == 16 * sum(one["evaluations"] for one in reports(harness))
    assert all(
        abs(sum(x for x in row if x is not None)) < 1 for row in reports(harness)[0]["values"]
    )


def test_values_are_those_of_the_paths_of_the_supernet() -> None:
    harness = Harness(Shapley, {**FEW, "value": "neg_loss", "exact": "always", "augment": False})
    (branch,) = harness.until("epoch")
    branch.subspace = branch.subspace.only(0, [1, 2]).only(1, [2]).only(2, [3]).only(3, [1])
    probe = harness.trainer.probe(branch)
    found = branch.updater.estimate(probe)
    batch = probe.valid.view("shapley", 16, False).at(0)
    subspace = branch.subspace
    paths = list(itertools.product(range(2), (0,), (0,), (0,), range(3)))
    losses = dict(
        zip(
            paths,
            probe.scores([mixture_of(p, subspace) for p in paths], [batch], "loss"),
            strict=True,
        )
    )
    mean = sum(losses.values()) / 6
    first = [mean - sum(losses[p] for p in paths if p[0] == at) / 3 for at in range(2)]
    last = [0.75 * (mean - sum(losses[p] for p in paths if p[4] == at) / 2) for at in range(3)]
    expected = torch.tensor([*first, 0.0, 0.0, 0.0, *last], dtype=torch.float64)
    torch.testing.assert_close(found.values, expected, atol=1e-6, rtol=0)
    assert found.evaluations == 6
    path = (1, 0, 0, 0, 2)
    architecture = architecture_of(path, harness.space, subspace)
    assert torch.equal(mixture_of(path, subspace).weights, Mixture.of(architecture).weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norms": "frozen"}, "norms=frozen keeps the statistics of the grand coalition"),
        ({"antithetic": True}, "rounds of 4, got samples=3. Use `-u samples=4`"),
        ({"antithetic": True, "samples": 9}, "Use `-u samples=12`"),
        ({"exact": "always"}, None),
        ({"game": "mixtures", "connected": True}, "game=mixtures has no paths"),
    ],
)
def test_plans_that_cannot_work_are_refused(options, message) -> None:
    updater = Harness(Shapley, {**FEW, **options}).trainer.root().updater
    found = updater.incompatibility(Plan(10, 3, 16, 48, 48))
    assert found is None if message is None else message in found


def test_all_paths_of_a_wide_space_are_too_many() -> None:
    options = Shapley.parse_options({**FEW, "exact": "always"})
    message = options.conflict_of_paths("shapley", (5,) * 6)
    assert "exact=always measures at most 4096 paths, this space has 15625" in message
    assert not Shapley.parse_options({**FEW, "exact": "auto"}).takes_all_paths((5,) * 6)
    assert Shapley.parse_options({**FEW, "exact": "auto"}).takes_all_paths((3, 3))


def test_a_wrong_game_is_named() -> None:
    with pytest.raises(ConfigurationError, match="game must be one of 'mixtures' or 'paths'"):
        Shapley.parse_options({"game": "path"})
