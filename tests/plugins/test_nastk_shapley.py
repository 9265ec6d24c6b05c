"""The Shapley estimator on games with known answers, the update algebra, the updater on the toy."""

import copy
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from core_kit import ShortContract

from nastk import ConfigurationError, DivergenceError, Edge, Mixture, Plan, Subspace
from nastk.base.events import UpdaterReported, UpdaterWorking
from nastk.testing import Harness, fingerprint
from nastk_shapley.coalitions import likelihood_left, null_players, supernet_game, whole_batch
from nastk_shapley.estimate import Game, Rules, kept_players, monte_carlo, random_orders
from nastk_shapley.exact import exact
from nastk_shapley.options import BY_VARIANT, ShapleyOptions
from nastk_shapley.stopping import ConfidentRanking
from nastk_shapley.update import UpdateRule, cell_types, normalised
from nastk_shapley.updater import Shapley

# ---------------------------------------------------------------- games with known answers


def game_of(worth, players, **kinds):
    """A game from a function of the players present; `asked` collects the coalitions evaluated."""
    asked = []

    def values(sample, removals):
        for removed in removals:
            present = frozenset(range(players)) - frozenset(removed)
            asked.append(present)
            yield worth(present)

    return Game(players, values, **kinds), asked


def glove(present):
    return float(2 in present and len(present) > 1)


def voting(present):
    return float(sum((2, 1, 1)[player] for player in present) >= 3)


def additive(present):
    return 10.0 + sum((40.0, 20.0, 0.0)[player] for player in present)


def largest(present):
    return max([(90.0, 60.0, 30.0)[player] for player in present], default=10.0)


KNOWN = [
    (glove, (1 / 6, 1 / 6, 2 / 3)),
    (voting, (2 / 3, 1 / 6, 1 / 6)),
    (additive, (40.0, 20.0, 0.0)),
    (largest, (155 / 3, 65 / 3, 20 / 3)),
]
ALL_ORDERS = [list(order) for order in itertools.permutations(range(3))]


def random_table(players, seed=0):
    """A game whose coalitions have random values in 0..1."""
    worth = torch.rand(
        2**players, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).tolist()
    return lambda present: worth[sum(1 << player for player in present)]


def close(found, expected, tolerance=1e-12):
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), atol=tolerance, rtol=0
    )


@pytest.mark.parametrize(("worth", "expected"), KNOWN)
def test_all_orders_of_a_three_player_game_give_its_shapley_values(worth, expected):
    game, _ = game_of(worth, 3)
    found = monte_carlo(game, ALL_ORDERS)
    close(found.values, expected)
    assert float(found.values.sum()) == pytest.approx(worth({0, 1, 2}) - worth(set()))


@pytest.mark.parametrize(("worth", "expected"), KNOWN)
def test_the_exact_mode_gives_the_same(worth, expected):
    game, asked = game_of(worth, 3)
    found = exact(game)
    close(found.values, expected)
    assert found.evaluations == len(asked) == len(set(asked)) == 8
    close(found.standard_errors, (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    "estimate",
    [lambda game: monte_carlo(game, ALL_ORDERS, Rules(risk=1.0)), lambda game: exact(game, 1.0)],
)
def test_mean_minus_deviation_ranks_a_useful_glove_below_a_null_player(estimate):
    game, _ = game_of(glove, 3)
    close(estimate(game).values, (-0.2060, -0.2060, 0.1953), 5e-5)


@pytest.mark.parametrize("players", [2, 5])
def test_exact_equals_all_orders_and_is_efficient(players):
    worth = random_table(players)
    game, _ = game_of(worth, players)
    by_orders = monte_carlo(game, itertools.permutations(range(players)), Rules(risk=0.5))
    torch.testing.assert_close(exact(game, 0.5).values, by_orders.values)
    assert float(exact(game).values.sum()) == pytest.approx(
        worth(set(range(players))) - worth(set())
    )


@pytest.mark.filterwarnings("default")  # what shapiq's own imports warn of is not ours
def test_exact_agrees_with_shapiq():
    import shapiq

    worth = random_table(6, seed=3)
    game, _ = game_of(worth, 6)

    def table(coalitions):
        return np.array(
            [
                worth({player for player in range(6) if row[player]})
                for row in np.atleast_2d(coalitions)
            ]
        )

    oracle = shapiq.ExactComputer(game=table, n_players=6)("SV", 1)
    close(exact(game).values, [float(oracle[(player,)]) for player in range(6)], 1e-9)


def test_a_null_player_gets_zero_whether_known_or_found():
    worth = random_table(4)

    def blind(present):
        return worth(present - {2})

    plain, _ = game_of(blind, 4)
    known, asked = game_of(blind, 4, null=frozenset({2}))
    orders = random_orders(4, 8, torch.Generator().manual_seed(0))
    assert float(monte_carlo(plain, orders).values[2]) == 0.0
    found = monte_carlo(known, orders)
    torch.testing.assert_close(found.values, monte_carlo(plain, orders).values)
    assert found.removals == (3,) * 8 and len(asked) == found.evaluations == 32
    torch.testing.assert_close(exact(known).values, exact(plain).values)
    assert exact(known).evaluations == 8


# --------------------------------------------------------- walks: telescoping, truncation, laziness


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_marginals_of_an_order_telescope_and_only_needed_coalitions_are_asked(ratio):
    worth = random_table(7, seed=1)
    for order in random_orders(7, 12, torch.Generator().manual_seed(1)):
        game, asked = game_of(worth, 7)
        found = monte_carlo(game, [order], Rules(min_ratio=ratio))
        assert float(found.values.sum()) == pytest.approx(worth(asked[0]) - worth(asked[-1]))
        assert len(asked) == found.evaluations == 1 + found.removals[0]
        assert found.full_values == (worth(frozenset(range(7))),)
        assert all(worth(present) >= ratio * worth(asked[0]) for present in asked[:-1])
        assert found.removals[0] == 7 or worth(asked[-1]) < ratio * worth(asked[0])


def test_truncation_vector_of_the_additive_game():
    game, _ = game_of(additive, 3)
    zero = monte_carlo(game, ALL_ORDERS, Rules(min_ratio=0.5))
    close(zero.values, (40.0, 10.0, 0.0))
    assert float(zero.values.sum()) == pytest.approx(50.0)
    skip = monte_carlo(game, ALL_ORDERS, Rules(min_ratio=0.5, unvisited="skip"))
    close(skip.values, (40.0, 20.0, 0.0))
    assert zero.visits.tolist() == skip.visits.tolist() == [6, 3, 3]


def test_a_player_never_visited_is_worth_nothing_and_says_so():
    game, _ = game_of(additive, 3)
    found = monte_carlo(game, [[0, 1, 2], [0, 2, 1]], Rules(min_ratio=0.5, unvisited="skip"))
    close(found.values, (40.0, 0.0, 0.0))
    assert found.standard_errors.isnan().tolist() == [False, True, True]


@pytest.mark.parametrize(("ratio", "removals"), [(0.0, 3), (1.0, 2)])
def test_ratio_zero_never_stops_and_ratio_one_stops_at_the_first_loss(ratio, removals):
    game, _ = game_of(additive, 3)
    assert monte_carlo(game, [[2, 1, 0]], Rules(min_ratio=ratio)).removals == (removals,)


def test_a_value_of_exactly_the_ratio_does_not_stop():
    game, _ = game_of(lambda present: len(present) / 4, 4)
    assert monte_carlo(game, [[0, 1, 2, 3]], Rules(min_ratio=0.5)).removals == (3,)


def test_a_network_that_knows_nothing_is_walked_to_the_end():
    game, _ = game_of(lambda present: 0.0, 3)
    assert monte_carlo(game, ALL_ORDERS, Rules(min_ratio=0.5)).removals == (3,) * 6


@pytest.mark.parametrize(("loss", "stops"), [(1.0, False), (1.69, False), (1.70, True)])
def test_losses_stop_by_the_ratio_of_likelihoods(loss, stops):
    assert likelihood_left(-loss, -1.0, 0.5) is stops
    assert not likelihood_left(-1e9, -1.0, 0.0)


def test_the_last_of_each_group_is_kept():
    game, asked = game_of(lambda present: float(len(present)), 4, groups=(0, 0, 1, 1))
    found = monte_carlo(game, [[0, 2, 1, 3], [3, 2, 1, 0]])
    assert kept_players([0, 2, 1, 3], (0, 0, 1, 1)) == {1, 3}
    close(found.values, (0.5, 0.5, 0.5, 0.5))
    assert found.removals == (2, 2) and frozenset() not in asked
    with pytest.raises(ValueError, match="last survivor"):
        exact(game)


# ---------------------------------------------------------- sampling: convergence, symmetry, errors


def test_monte_carlo_converges_to_exact_at_the_root_of_the_samples():
    game, _ = game_of(random_table(6, seed=2), 6)
    truth = exact(game).values

    def error(samples):
        runs = [
            monte_carlo(game, random_orders(6, samples, torch.Generator().manual_seed(seed))).values
            for seed in range(40)
        ]
        return torch.stack(runs) - truth

    few, many = error(4), error(64)
    ratio = float(few.square().mean().sqrt() / many.square().mean().sqrt())
    assert 3.0 < ratio < 5.3  # the root of 16 is 4
    assert float(many.mean(0).abs().max()) < 4 * float(many.std()) / math.sqrt(40)


@pytest.mark.parametrize("antithetic", [False, True])
def test_standard_errors_say_how_far_estimates_scatter(antithetic):
    game, _ = game_of(random_table(6, seed=4), 6)
    rules = Rules(paired=antithetic)
    runs = [
        monte_carlo(
            game, random_orders(6, 40, torch.Generator().manual_seed(seed), antithetic), rules
        )
        for seed in range(60)
    ]
    scatter = torch.stack([run.values for run in runs]).std(0)
    claimed = torch.stack([run.standard_errors for run in runs]).square().mean(0).sqrt()
    assert ((claimed / scatter > 0.7) & (claimed / scatter < 1.4)).all()


def test_standard_errors_are_the_sample_deviation_over_the_root_of_orders():
    game, _ = game_of(glove, 3)
    found = monte_carlo(game, ALL_ORDERS)
    marginals = torch.stack([monte_carlo(game, [order]).values for order in ALL_ORDERS])
    torch.testing.assert_close(found.standard_errors, marginals.std(0, correction=1) / math.sqrt(6))
    assert monte_carlo(game, ALL_ORDERS[:1]).standard_errors.isnan().all()


def test_antithetic_orders_come_with_their_reverse_and_are_exact_for_pairwise_games():
    orders = random_orders(5, 6, torch.Generator().manual_seed(0), antithetic=True)
    assert all(
        first == second[::-1] for first, second in zip(orders[::2], orders[1::2], strict=True)
    )
    pairwise, _ = game_of(lambda present: float(len(present) ** 2), 5)
    close(monte_carlo(pairwise, orders, Rules(paired=True)).standard_errors, [0.0] * 5)
    with pytest.raises(ValueError, match="even number of orders"):
        monte_carlo(pairwise, orders[:3], Rules(paired=True))


def test_orders_are_uniform_permutations():
    orders = random_orders(3, 6000, torch.Generator().manual_seed(0))
    counts = [orders.count(order) for order in ALL_ORDERS]
    assert sum(counts) == 6000 and all(abs(count - 1000) < 150 for count in counts)


def test_no_order_is_an_error():
    game, _ = game_of(glove, 3)
    with pytest.raises(ValueError, match="at least one removal order"):
        monte_carlo(game, [])


@pytest.mark.parametrize(
    "rules", [Rules(), Rules(risk=1.0, min_ratio=0.4), Rules(min_ratio=0.4, unvisited="skip")]
)
def test_relabelling_players_permutes_their_values(rules):
    worth, labels = random_table(5), [3, 0, 4, 1, 2]
    orders = random_orders(5, 7, torch.Generator().manual_seed(5))
    plain, _ = game_of(worth, 5)
    renamed, _ = game_of(lambda present: worth({labels.index(player) for player in present}), 5)
    found = monte_carlo(renamed, [[labels[player] for player in order] for order in orders], rules)
    torch.testing.assert_close(found.values[labels], monte_carlo(plain, orders, rules).values)


def test_a_constant_changes_nothing_and_a_scale_scales():
    worth = random_table(5)
    orders = random_orders(5, 7, torch.Generator().manual_seed(5))
    plain = monte_carlo(game_of(worth, 5)[0], orders, Rules(risk=1.0)).values
    torch.testing.assert_close(
        monte_carlo(game_of(lambda s: worth(s) + 7, 5)[0], orders, Rules(risk=1.0)).values, plain
    )
    percent = monte_carlo(game_of(lambda s: 100 * worth(s), 5)[0], orders, Rules(risk=1.0)).values
    torch.testing.assert_close(percent, 100 * plain)
    for how in ("l2", "zscore"):
        torch.testing.assert_close(normalised(percent, how), normalised(plain, how))


def test_symmetric_players_are_equal_over_all_orders():
    worth = random_table(3)
    game, _ = game_of(
        lambda present: worth({0} & present | ({1} if len(present & {1, 2}) == 2 else set())), 3
    )
    values = monte_carlo(game, ALL_ORDERS).values
    assert float(values[1]) == pytest.approx(float(values[2]))


def test_sampling_ends_once_the_best_of_each_edge_is_settled():
    clear, _ = game_of(lambda present: 10.0 * (0 in present) + len(present) ** 1.1, 3)
    orders = random_orders(3, 50, torch.Generator().manual_seed(0))
    assert len(monte_carlo(clear, orders, enough=ConfidentRanking([0, 0, 1], 3.0)).removals) == 5
    level, _ = game_of(lambda present: float(len(present)), 3)
    assert len(monte_carlo(level, orders, enough=ConfidentRanking([0, 0, 1], 3.0)).removals) == 50


# ---------------------------------------------------------------- the update algebra

SOME = torch.tensor([[0.3, -0.1, 0.2], [0.05, 0.0, 0.4]], dtype=torch.float64)
ZEROS = torch.zeros_like(SOME)
PLAYERS = torch.ones_like(SOME, dtype=torch.bool)
OFFICIAL = UpdateRule(normalise="zscore", normalise_momentum=False)


@pytest.mark.parametrize(("updates", "factor"), [(25, 2.1015), (35, 3.1002)])
def test_official_updates_by_a_constant_add_up_to_the_closed_form(updates, factor):
    alpha, average = ZEROS, ZEROS
    for _ in range(updates):
        alpha, average = OFFICIAL.step(alpha, average, SOME, PLAYERS, [[0, 1]])
    z = (SOME - SOME.mean()) / SOME.std(correction=1)
    torch.testing.assert_close(alpha, factor * z, atol=1e-4, rtol=0)
    exactly = 0.1 * sum(1 - 0.8**k for k in range(1, updates + 1))
    torch.testing.assert_close(alpha, exactly * z)


def test_paper_updates_follow_equations_six_and_seven_and_have_length_step_size():
    alpha, average = ZEROS, ZEROS
    values = (
        torch.rand(9, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.3
    )
    for phi in values:
        before = alpha
        alpha, after = UpdateRule(step_size=0.25).step(alpha, average, phi, PLAYERS, [[0], [1]])
        for row in range(2):
            s = 0.8 * average[row] + 0.2 * phi[row] / phi[row].norm()
            torch.testing.assert_close(after[row], s)
            torch.testing.assert_close(alpha[row] - before[row], 0.25 * s / s.norm())
            assert float((alpha - before)[row].norm()) == pytest.approx(0.25)
        average = after


@pytest.mark.parametrize(
    "rule", [UpdateRule(), OFFICIAL, UpdateRule(normalise="none", normalise_momentum=False)]
)
def test_zero_values_leave_alpha_where_it_is(rule):
    alpha, average = rule.step(SOME, ZEROS, ZEROS, PLAYERS, [[0], [1]])
    assert torch.equal(alpha, SOME) and torch.equal(average, ZEROS)


@pytest.mark.parametrize("constant", [0.1, -3e-5, 1e300, -1e-250])
def test_equal_values_are_no_reason_to_prefer_anything(constant):
    phi = torch.full_like(SOME, constant)
    alpha, _ = OFFICIAL.step(SOME, ZEROS, phi, PLAYERS, [[0, 1]])
    assert torch.equal(alpha, SOME)
    alpha, average = UpdateRule().step(SOME, ZEROS, phi, PLAYERS, [[0, 1]])
    assert alpha.isfinite().all() and average.isfinite().all()
    torch.testing.assert_close(torch.softmax(alpha, -1), torch.softmax(SOME, -1))


@pytest.mark.parametrize("rule", [UpdateRule(), OFFICIAL])
def test_padding_enters_no_norm_and_stays(rule):
    inside = PLAYERS.clone()
    inside[1, 2] = inside[0, 1] = False
    wild = SOME.clone()
    wild[~inside] = 1e6
    alpha, average = rule.step(ZEROS, ZEROS, wild, inside, [[0, 1]])
    assert torch.equal(alpha[~inside], ZEROS[~inside]) and torch.equal(
        average[~inside], ZEROS[~inside]
    )
    flat = SOME[inside][None]
    expected, _ = rule.step(torch.zeros_like(flat), torch.zeros_like(flat), flat, flat < 9, [[0]])
    torch.testing.assert_close(alpha[inside], expected[0])


def test_a_type_without_or_with_one_player_is_harmless():
    inside = torch.tensor([[True, False, False], [False, False, False]])
    for rule in (UpdateRule(), OFFICIAL):
        alpha, _ = rule.step(ZEROS, ZEROS, SOME, inside, [[0], [1]])
        assert alpha.isfinite().all()


# ---------------------------------------------------------------- the authors' algorithm, golden

DARTS_EDGES = tuple(
    Edge(
        f"{group}:{source}->{node}",
        tuple(f"op{number}" for number in range(7)),
        group,
        source,
        node,
    )
    for group in ("normal", "reduce")
    for node in range(2, 6)
    for source in range(node)
)


def test_players_of_the_darts_space_are_numbered_type_edge_operation():
    players = Subspace.full(DARTS_EDGES).alive_operations()
    assert len(players) == 196
    for kind, edge, operation in itertools.product(range(2), range(14), range(7)):
        assert players[kind * 98 + edge * 7 + operation] == (kind * 14 + edge, operation)
    assert cell_types(DARTS_EDGES) == [list(range(14)), list(range(14, 28))]


def test_the_darts_space_itself_lists_its_edges_so():
    from nastk_spaces_darts.space import DartsSpace

    space = DartsSpace()
    assert len(space.full().alive_operations()) == 196
    assert [(edge.tail, edge.head) for edge in space.edges] == [
        (edge.tail, edge.head) for edge in DARTS_EDGES
    ]
    assert cell_types(space.edges) == [list(range(14)), list(range(14, 28))]
    assert {edge.group for edge in space.edges[:14]} == {"normal"}


def test_official_estimate_and_update_equal_a_second_writing_of_them():
    """Their loop in full: percent, break after recording, mean - std (ddof 0), z-score (ddof 1)."""
    orders = random_orders(196, 6, torch.Generator().manual_seed(0))
    strength = torch.rand(196, generator=torch.Generator().manual_seed(1)).numpy()

    def percent(removed, sample):
        present = np.ones(196)
        present[list(removed)] = 0
        return float(np.round(90 * (present @ strength / strength.sum()) ** 2 + sample % 3, 1))

    table = np.zeros((196, 6))
    for sample, order in enumerate(orders):
        full = left = percent([], sample)
        for count, player in enumerate(order, 1):
            now = percent(order[:count], sample)
            table[player, sample], left = left - now, now
            if left < 0.5 * full:
                break
    phi = (table.mean(1) - table.std(1)).reshape(2, 14, 7)
    z = np.stack([(part - part.mean()) / part.std(ddof=1) for part in phi])

    options = ShapleyOptions(variant="official")
    game = Game(196, lambda sample, removals: (percent(removed, sample) for removed in removals))
    found = monte_carlo(game, orders, options.rules())
    values = found.values.view(28, 7)
    close(values.view(2, 14, 7), phi.tolist(), 1e-10)
    start = 1e-3 * torch.randn(28, 7, dtype=torch.float64)
    alpha, average = options.update_rule().step(
        start, start, values, torch.ones(28, 7, dtype=torch.bool), cell_types(DARTS_EDGES)
    )
    close(average.view(2, 14, 7), (0.8 * start.view(2, 14, 7).numpy() + 0.2 * z).tolist(), 1e-8)
    torch.testing.assert_close(alpha, start + 0.1 * average)
    assert all(removals < 196 for removals in found.removals)


# ---------------------------------------------------------------- options, plan, forecast


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_unset_options_follow_the_variant_and_given_ones_win(variant):
    resolved = ShapleyOptions(variant=variant).resolved
    assert {name: getattr(resolved, name) for name in BY_VARIANT[variant]} == BY_VARIANT[variant]
    given = ShapleyOptions(variant=variant, warmup=3, risk=0.25).resolved
    assert (given.warmup, given.risk, given.normalise) == (
        3,
        0.25,
        BY_VARIANT[variant]["normalise"],
    )


@pytest.mark.parametrize(
    ("options", "epochs", "updates"),
    [
        ({}, 50, 35),
        ({"variant": "official"}, 50, 25),
        ({"warmup": 25}, 50, 25),
        ({"warmup": 15, "every": 5}, 50, 7),
        ({"warmup": 0}, 5, 4),
        ({}, 15, 0),
    ],
)
def test_number_of_updates(options, epochs, updates):
    assert len(ShapleyOptions(**options).updates(epochs)) == updates


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"warmup=15 leaves none of 10 epochs .* `-u warmup=5`, or `--epochs 16`"),
        ({"warmup": 2, "antithetic": True, "samples": 3}, "got samples=3. Use `-u samples=4`"),
        (
            {"warmup": 2, "keep_last": True, "exact": "auto"},
            "got exact=auto. Use exact=never or keep_last=false",
        ),
        ({"warmup": 2, "exact": "always"}, "at most 12 operations, this space has 13"),
    ],
)
def test_plans_that_cannot_work_are_refused(options, message):
    updater = Harness(Shapley, options).trainer.root().updater
    assert re.search(message, updater.incompatibility(Plan(10, 3, 16, 48, 48)))


def test_a_frozen_alpha_decided_by_phi_may_warm_up_all_along():
    updater = Harness(Shapley, {"warmup": 10, "discretise_by": "phi"}).trainer.root().updater
    assert updater.incompatibility(Plan(10, 3, 16, 48, 48)) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"samples": 0}, "samples must be at least 1, got 0"),
        ({"min_ratio": 1.5}, "min_ratio must be at most 1.0, got 1.5"),
        ({"momentum": 1.0}, "momentum must be less than 1"),
        ({"value": "loss"}, "value must be one of 'accuracy' or 'neg_loss', got 'loss'"),
        ({"sample": 3}, "Did you mean 'samples'"),
    ],
)
def test_wrong_options_are_named(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        Shapley.parse_options(wrong)


# ---------------------------------------------------------------- the supernet as a game


@pytest.fixture(scope="module")
def trained():
    """A harness that trained the toy, its probe, and a fixed batch of its valid split."""
    harness = Harness(Shapley, {"warmup": 1, "samples": 1}, trainer_options={"epochs": 2})
    (branch,) = harness.run()
    probe = harness.trainer.probe(branch)
    return harness, probe, probe.valid.view("test", 48, False).at(0)


def test_none_is_null_to_the_bit_and_the_walk_telescopes_to_the_silent_network(trained):
    harness, probe, batch = trained
    players = probe.subspace.alive_operations()
    mixture = Mixture.softmax(
        torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), probe.subspace
    )
    null = null_players(harness.space.edges, players)
    assert len(players) == 18 and len(null) == 5
    order = random_orders(18, 1, torch.Generator().manual_seed(2))
    game = supernet_game(probe, mixture, players, lambda sample: batch, "neg_loss")
    found = monte_carlo(game, order)
    assert [float(found.values[number]) for number in null] == [0.0] * 5
    full, silent = probe.scores([mixture, mixture.without_all(players)], [batch], of="loss")
    assert float(found.values.sum()) == pytest.approx(silent - full, abs=1e-6)
    known = supernet_game(probe, mixture, players, lambda sample: batch, "neg_loss", null)
    skipped = monte_carlo(known, order)
    assert (
        torch.equal(skipped.values, found.values) and skipped.evaluations == found.evaluations - 5
    )


def test_with_frozen_norms_coalitions_have_the_statistics_of_the_grand_one(trained):
    _, probe, batch = trained
    players, mixture = probe.subspace.alive_operations(), Mixture.uniform(probe.subspace)
    removals = [(), (0, 1), (0, 1, 7)]
    worth = {
        norms: list(
            supernet_game(
                probe, mixture, players, lambda sample: batch, "neg_loss", norms=norms
            ).values(0, removals)
        )
        for norms in ("batch", "frozen")
    }
    assert worth["frozen"][0] == pytest.approx(worth["batch"][0], abs=1e-6)
    assert abs(worth["frozen"][2] - worth["batch"][2]) > 1e-4
    (again,) = supernet_game(probe, mixture, players, lambda sample: batch, "neg_loss").values(
        0, removals[:1]
    )
    assert again == worth["batch"][0]


@pytest.mark.parametrize("norms, strategy", [("batch", {}), ("frozen", {"frozen norms": 1})])
def test_how_coalitions_were_measured_is_in_the_cost(norms, strategy):
    harness = Harness(Shapley, {"samples": 2, "warmup": 1, "batch_size": 16, "norms": norms})
    harness.run()
    spent = harness.trainer.ledger.cost().phases["updater"]
    assert spent.strategies == dict.fromkeys(strategy, spent.images_forward)


def test_renormalised_mixtures_would_break_the_null_player(trained):
    _, probe, batch = trained
    whole = Mixture.uniform(probe.subspace)
    fewer = Mixture.uniform(probe.subspace.drop(0, 0))
    full, masked, renormalised = probe.scores(
        [whole, whole.without(0, 0), fewer], [batch], of="loss"
    )
    assert full == masked != renormalised


def test_skipping_equals_a_weight_of_zero(trained):
    _, probe, batch = trained
    mixture = Mixture.uniform(probe.subspace).without_all([(0, 2), (1, 1), (4, 2)])
    computed = Mixture(mixture.weights, probe.subspace.mask)
    torch.testing.assert_close(
        probe.logits(mixture, batch.images), probe.logits(computed, batch.images)
    )


def test_tied_operations_with_tied_weights_have_equal_values():
    harness = Harness(Shapley, {})
    branch = harness.trainer.root()
    for cell in branch.supernet.cells:
        if 0 in cell.edges:
            cell.operations[0][3] = copy.deepcopy(cell.operations[0][2])
    probe = harness.trainer.probe(branch)
    batch = probe.valid.at(0)
    players = [(0, 2), (0, 3), (1, 2)]
    game = supernet_game(
        probe, Mixture.uniform(probe.subspace), players, lambda sample: batch, "neg_loss"
    )
    values = monte_carlo(game, ALL_ORDERS).values
    assert float(values[0]) == pytest.approx(float(values[1]), abs=1e-9) != 0.0
    assert float(values[2]) != pytest.approx(float(values[0]), abs=1e-4)
    torch.testing.assert_close(exact(game).values, values)


def test_whole_batches_leave_out_the_small_rest_of_each_pass(trained):
    _, probe, _ = trained
    stream = probe.valid.view("test", 20, False)
    assert len(stream) == 3 and stream.images == 48
    assert [len(whole_batch(stream, 20, number).labels) for number in range(6)] == [20] * 6
    assert torch.equal(whole_batch(stream, 20, 2).images, stream.at(3).images)


# ---------------------------------------------------------------- the updater


class TestShapley(ShortContract):
    updater, options = Shapley, {"samples": 2, "warmup": 1, "batch_size": 24}


@pytest.mark.slow
class TestOfficial(ShortContract):
    updater = Shapley
    options = {"variant": "official", "samples": 2, "warmup": 1, "batch_size": 24}  # noqa: RUF012


@pytest.mark.slow
class TestByPhi(ShortContract):
    updater = Shapley
    options = {"samples": 2, "warmup": 3, "discretise_by": "phi", "mixing": "uniform"}  # noqa: RUF012


def reports(harness):
    return [event for event in harness.events if isinstance(event, UpdaterReported)]


def test_alpha_rests_in_the_warm_up_and_then_moves_once_an_epoch():
    harness = Harness(
        Shapley,
        {"samples": 2, "warmup": 3, "batch_size": 16, "value": "neg_loss"},
        trainer_options={"epochs": 6},
    )
    branches = [harness.trainer.root()]
    alphas = [branches[0].updater.alpha.clone()]
    for moment in harness.trainer.run(branches):
        if moment == "epoch":
            alphas.append(branches[0].updater.alpha.clone())
    alphas.append(branches[0].updater.alpha.clone())
    # alphas[e] is what epoch e (1-based) trained with; the update of finished epoch 3 shows in
    # epoch 4.
    assert torch.equal(alphas[0], alphas[3])
    moved = [bool((after - before).abs().max() > 0) for before, after in itertools.pairwise(alphas)]
    assert moved == [False, False, False, True, True, True, False]
    assert [event.epoch for event in reports(harness)] == [3, 4, 5]
    for rows in cell_types(harness.space.edges):
        step = (alphas[4] - alphas[3])[rows]
        assert float(step.norm()) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"variant": "official"}, {"value": "neg_loss", "min_ratio": 1.0}]
)
def test_forward_passes_are_counted_and_none_goes_backward(options):
    harness = Harness(Shapley, {"samples": 3, "warmup": 1, "batch_size": 16, **options})
    (branch,) = harness.run()
    spent = harness.trainer.ledger.cost().phases["updater"]
    counted = [event.values for event in reports(harness)]
    assert len(counted) == 2
    assert all(values["evaluations"] == 3 + sum(values["removals"]) for values in counted)
    assert spent.images_forward == 16 * sum(values["evaluations"] for values in counted)
    assert spent.images_backward == 0
    assert spent.images_forward <= branch.updater.max_cost(harness.plan).images_forward


@pytest.mark.parametrize(
    ("exact_mode", "evaluations"), [("always", 64), ("auto", 64), ("never", 70)]
)
def test_few_players_are_enumerated_where_asked(exact_mode, evaluations):
    options = {"samples": 10, "warmup": 1, "batch_size": 8, "min_ratio": 0.0, "exact": exact_mode}
    harness = Harness(Shapley, options)
    (branch,) = harness.until("epoch")
    alive = torch.zeros(5, 4, dtype=torch.bool)
    alive[:3, :3] = alive[3:, 0] = True
    branch.subspace = Subspace.of(alive)
    estimate = branch.updater.estimate(harness.trainer.probe(branch))
    assert (len(estimate.values), estimate.evaluations) == (11, evaluations)


def test_forecast_is_samples_times_players_and_one():
    updater = Harness(Shapley, {"samples": 10}).trainer.root().updater
    assert updater.max_cost(Plan(50, 98, 256, 25000, 25000)).images_forward == 35 * 10 * 14 * 1024
    assert updater.max_cost(Plan(50, 98, 256, 25000, 600)).images_forward == 35 * 10 * 14 * 600


def test_an_estimate_is_reported_with_its_errors_and_progress():
    harness = Harness(
        Shapley, {"samples": 3, "warmup": 1, "batch_size": 16}, trainer_options={"epochs": 2}
    )
    harness.run()
    (report,) = reports(harness)
    assert report.topic == "shapley"
    values = report.values
    assert values["values"][3][3] is None and values["values"][0][0] == 0.0
    assert all(error is None or error >= 0 for row in values["standard_errors"] for error in row)
    assert (
        0 <= values["full_value"] <= 1
        and len(values["removals"]) == 3
        and len(values["update_norms"]) == 2
    )
    json.dumps(report.to_json(), allow_nan=False)
    working = [
        (event.done, event.total) for event in harness.events if isinstance(event, UpdaterWorking)
    ]
    assert working == [(1, 3), (2, 3), (3, 3)]


def test_estimating_changes_nothing_but_the_updaters_own_stream():
    harness = Harness(Shapley, {"samples": 2, "warmup": 1, "batch_size": 16})
    (branch,) = harness.until("epoch")
    probe = harness.trainer.probe(branch)
    rng, alpha = branch.rng.get_state(), branch.updater.alpha.clone()
    everywhere = torch.random.get_rng_state()
    before = fingerprint(branch.state_dict())
    gradients = [
        None if weight.grad is None else weight.grad.clone()
        for weight in branch.supernet.parameters()
    ]
    branch.updater.estimate(probe)
    branch.rng.set_state(rng)
    assert fingerprint(branch.state_dict()) == before
    assert torch.equal(torch.random.get_rng_state(), everywhere) and torch.equal(
        branch.updater.alpha, alpha
    )
    for weight, gradient in zip(branch.supernet.parameters(), gradients, strict=True):
        assert weight.grad is gradient or torch.equal(weight.grad, gradient)


def test_alpha_asks_for_no_gradient():
    harness = Harness(Shapley, {"samples": 2, "warmup": 1})
    (branch,) = harness.until("epoch")
    (mixture,) = branch.updater.mixtures(harness.trainer.probe(branch))
    assert not mixture.weights.requires_grad and branch.updater.alpha.dtype == torch.float32


@pytest.mark.parametrize(("share", "different"), [(False, 3), (True, 1)])
def test_orders_see_fresh_batches_unless_they_share_one(share, different):
    harness = Harness(Shapley, {"samples": 3, "warmup": 1, "batch_size": 8, "share_batch": share})
    (branch,) = harness.until("epoch")
    seen = []
    measuring = branch.supernet.measuring
    branch.supernet.measuring = lambda images: (
        seen.append(fingerprint(images)),
        measuring(images),
    )[1]
    branch.updater.estimate(harness.trainer.probe(branch))
    assert len(set(seen)) == different


def test_phi_decides_where_asked_and_is_estimated_once_more_at_the_end():
    options = {
        "samples": 2,
        "warmup": 3,
        "discretise_by": "phi",
        "batch_size": 48,
        "value": "neg_loss",
    }
    harness = Harness(Shapley, options)
    (branch,) = harness.run()
    updater, probe = branch.updater, harness.trainer.probe(branch)
    assert [event.epoch for event in reports(harness)] == [3] and reports(harness)[0].values[
        "update_norms"
    ] == []
    assert updater.architecture(probe) == harness.space.decide(updater.values, probe.subspace)
    assert float(updater.alpha.abs().max()) < 0.01


def test_variants_start_from_their_own_momentum():
    started = {
        name: Harness(Shapley, {"variant": name}).trainer.root().updater for name in BY_VARIANT
    }
    assert torch.equal(started["paper"].average, torch.zeros(5, 4, dtype=torch.float64))
    assert 0 < float(started["official"].average.std()) < 3e-3
    assert torch.equal(started["paper"].alpha, started["official"].alpha)


def test_values_that_are_not_finite_stop_the_search():
    harness = Harness(Shapley, {"samples": 1, "warmup": 1, "value": "neg_loss"})
    (branch,) = harness.until("epoch")
    with torch.no_grad():
        branch.supernet.head.weight.fill_(math.nan)
    with pytest.raises(DivergenceError, match="no finite value after 0 epochs"):
        branch.updater.estimate(harness.trainer.probe(branch))


# ---------------------------------------------------------------- the page


def test_every_line_of_code_on_the_page_is_in_the_plugin():
    root = Path(__file__).parents[2]
    page = (root / "docs/updaters/shapley.md").read_text(encoding="utf-8")
    code = "".join(
        file.read_text(encoding="utf-8") for file in (root / "plugins/nastk_shapley").glob("*.py")
    )
    quoted = [
        line
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(quoted) >= 8
    assert [line for line in quoted if line not in code] == []
