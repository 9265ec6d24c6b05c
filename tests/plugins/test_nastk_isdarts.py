"""IS-DARTS without a supernet: the measure on hand-made features, the schedule, the prune rules."""

import doctest
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import nastk_isdarts.shrinking
from nastk import ConfigurationError, Edge, Plan, SearchSpace, Subspace, resolve
from nastk.testing import Harness, ToySpace
from nastk_isdarts.measure import MEASURES, channel_variance, flatness
from nastk_isdarts.mixing import constant_mixture
from nastk_isdarts.shrinking import contests, prune, quota, ranked, scores, shrink_epochs
from nastk_isdarts.updater import IsDarts
from nastk_spaces_darts.space import DartsSpace

# ---------------------------------------------------------------- the measure


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def measured(features, measure="official"):
    return flatness(channel_variance(features), features.shape[1], measure)


def by_definition(features):
    """Mean over channels and positions of 3 (f - mu)^2 / sd^6, what is no number being infinite."""
    mean = features.mean(1, keepdim=True)
    deviation = features.std(1, keepdim=True)
    values = 3 * (features - mean) ** 2 / deviation**6
    values = torch.where(values.isnan(), torch.inf, values)
    return values.mean((1, 2, 3))


SHAPES = [(1, 2, 1, 1), (3, 5, 4, 4), (7, 16, 3, 5), (2, 64, 2, 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_closed_form_equals_the_definition(shape):
    features = drawn(*shape)
    torch.testing.assert_close(measured(features), by_definition(features), rtol=1e-12, atol=0)


@given(st.integers(0, 100), st.floats(-1e3, 1e3), st.floats(0.1, 10.0))
def test_order_and_offset_change_nothing_and_scale_counts_to_minus_four(seed, offset, scale):
    features = drawn(4, 6, 3, 3, seed=seed)
    rng = torch.Generator().manual_seed(seed)
    images, channels, rows = (torch.randperm(size, generator=rng) for size in (4, 6, 3))
    expected = measured(features)

    def same(found, wanted, tolerance=1e-11):
        torch.testing.assert_close(found, wanted, rtol=tolerance, atol=0)

    same(measured(features[:, channels]), expected)
    same(measured(features[:, :, rows]), expected)
    same(measured(features[:, :, :, rows]), expected)
    same(measured(features[images]), expected[images])
    same(measured(features + offset), expected, 1e-8)
    same(measured(scale * features), expected * scale**-4)


def test_doubled_features_are_a_sixteenth_as_flat():
    features = drawn(2, 8, 4, 4).float()
    torch.testing.assert_close(measured(2 * features), measured(features) / 16)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e5])
@pytest.mark.parametrize("channels", [2, 3, 7, 16])
def test_features_that_do_not_vary_are_infinitely_flat(measure, value, channels):
    for kind in (torch.float32, torch.float64):
        features = torch.full((2, channels, 3, 3), value, dtype=kind)
        assert measured(features, measure).tolist() == [torch.inf] * 2


@pytest.mark.parametrize(("measure", "infinite"), [("official", True), ("median", False)])
def test_one_flat_position_decides_the_mean_and_not_the_median(measure, infinite):
    features = drawn(1, 4, 3, 3)
    features[0, :, 1, 1] = 0.0
    assert bool(measured(features, measure).isinf()) is infinite


@pytest.mark.parametrize("a", [1.0, 0.5, 3.0])
def test_two_opposite_channels(a):
    features = torch.tensor([a, -a], dtype=torch.float64).view(1, 2, 1, 1)
    assert float(channel_variance(features)) == pytest.approx(2 * a * a)
    assert float(measured(features)) == pytest.approx(3 / (8 * a**4), rel=1e-12)


def test_tiny_features_stay_finite_where_float32_would_not():
    features = 1e-9 * drawn(1, 4, 2, 2).float()
    assert float((features.std(1) ** 6).max()) == 0.0
    assert bool(measured(features).isfinite().all())


@pytest.mark.parametrize(("channels", "expected"), [(16, 4.425), (32, 3.567), (64, 3.257)])
def test_unit_gaussian_features(channels, expected):
    """3 (C-1)/C nu^2 / ((nu-2)(nu-4)) with nu = C - 1: the moment of an inverse chi-square."""
    nu = channels - 1
    exact = 3 * nu / channels * nu**2 / ((nu - 2) * (nu - 4))
    assert exact == pytest.approx(expected, abs=5e-4)
    features = drawn(100, channels, 20, 20)
    assert float(measured(features).mean()) == pytest.approx(exact, rel=0.03)


def test_the_other_measures():
    features = drawn(2, 5, 3, 3)
    variance = features.var(1).flatten(1)
    torch.testing.assert_close(measured(features, "inv_var"), (1 / variance).mean(1))
    torch.testing.assert_close(measured(features, "log"), -variance.sqrt().log().mean(1))
    middle = (3 * 4 / 5 / variance**2).median(1).values
    torch.testing.assert_close(measured(features, "median"), middle)
    even = features[:, :, :2, :2]
    low, high = (3 * 4 / 5 / even.var(1).flatten(1) ** 2).sort(1).values[:, 1:3].unbind(1)
    torch.testing.assert_close(measured(even, "median"), (low + high) / 2)


def test_one_channel_is_refused():
    with pytest.raises(ConfigurationError, match=r"features of 1 channel\. Use space options"):
        channel_variance(torch.randn(2, 1, 3, 3))


# ---------------------------------------------------------------- spaces to shrink


class Chain(SearchSpace):
    """One operation an edge, as in NAS-Bench-201: six edges of five operations, or as told."""

    name, summary = "chain", "for tests"

    def __init__(self, widths=(5,) * 6):
        super().__init__()
        names = ("none", "skip", "one", "three", "pool")
        self.edges = tuple(
            Edge(f"e{row}", names[:width], "cell", row, row + 1) for row, width in enumerate(widths)
        )

    def supernet(self, task):
        raise NotImplementedError

    network = to_text = from_text = supernet

    def decide(self, scores, subspace):
        best = self.readable(scores, subspace).argmax(1).tolist()
        return self.architecture(
            [edge.operations[column]] for edge, column in zip(self.edges, best, strict=True)
        )


def darts(**options):
    return DartsSpace(
        DartsSpace.Options(**{"include_none": True, "distinct_inputs": False, **options})
    )


def random_measures(space, seed=0, none=torch.inf):
    """Positive measures; those of `none` are infinite."""
    mask = space.full().mask
    rng = torch.Generator().manual_seed(seed)
    table = torch.rand(mask.shape, generator=rng, dtype=torch.float64) + 1
    if space.edges[0].operations[0] == "none":
        table[:, 0] = none
    return table.masked_fill(~mask, torch.nan)


def shrunk(space, shrinks, measures=None, **options):
    """The subspaces after each of `shrinks`, the full one first, and who was removed in each."""
    field, states, gone = contests(space, options.pop("keep", "auto")), [space.full()], []
    for number in range(shrinks):
        table = random_measures(space, number) if measures is None else measures
        state, removed = prune(space, states[-1], field, table, shrinks - number, **options)
        states.append(state)
        gone.append(removed)
    return states, gone


# ---------------------------------------------------------------- the schedule


@pytest.mark.parametrize(
    ("epochs", "shrinks", "interval", "expected"),
    [
        (30, 4, 2, [22, 24, 26, 28]),
        (50, 7, 3, [29, 32, 35, 38, 41, 44, 47]),
        (5, 4, 1, [1, 2, 3, 4]),
    ],
)
def test_the_epochs_that_shrink(epochs, shrinks, interval, expected):
    assert list(shrink_epochs(epochs, shrinks, interval)) == expected


def test_examples_in_docstrings():
    assert doctest.testmod(nastk_isdarts.shrinking).failed == 0


# ---------------------------------------------------------------- who competes with whom


@pytest.mark.parametrize("space", [Chain(), ToySpace()])
def test_spaces_of_one_operation_an_edge_shrink_edge_by_edge(space):
    assert [(c.edges, c.keep) for c in contests(space)] == [
        ((row,), 1) for row in range(len(space.edges))
    ]


@pytest.mark.parametrize("distinct", [True, False])
def test_spaces_of_two_operations_a_node_shrink_node_by_node(distinct):
    found = contests(darts(distinct_inputs=distinct))
    assert [c.keep for c in found] == [2] * 8
    assert [c.edges for c in found][:4] == [(0, 1), (2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12, 13)]
    assert sorted(row for c in found for row in c.edges) == list(range(28))


def test_the_rule_can_be_chosen():
    assert [c.keep for c in contests(darts(), "edge")] == [1] * 28
    assert [(c.edges, c.keep) for c in contests(ToySpace(), "node")] == [
        ((0,), 1),
        ((1, 2), 2),
        ((3,), 1),
        ((4,), 1),
    ]


# ---------------------------------------------------------------- pruning


def test_an_edge_loses_one_operation_at_each_shrink():
    states, gone = shrunk(Chain(), 4)
    assert [[sum(row) for row in state.alive] for state in states] == [
        [left] * 6 for left in (5, 4, 3, 2, 1)
    ]
    assert gone[0] == [(row, 0) for row in range(6)]


NODE_COUNTS = [
    (2, [2, 2, 2, 2, 2, 2, 2]),
    (3, [4, 3, 3, 3, 3, 3, 3]),
    (4, [5, 5, 4, 4, 4, 4, 4]),
    (5, [6, 6, 6, 5, 5, 5, 5]),
]


@pytest.mark.parametrize(("node", "counts"), NODE_COUNTS)
def test_a_darts_node_loses_the_published_numbers(node, counts):
    space = darts()
    _, gone = shrunk(space, 7)
    for group in ("normal", "reduce"):
        here = {
            row for row, edge in enumerate(space.edges) if (edge.group, edge.head) == (group, node)
        }
        assert [sum(edge in here for edge, _ in removed) for removed in gone] == counts


@pytest.mark.parametrize("seed", range(5))
def test_darts_shrinks_for_good_to_two_operations_a_node(seed):
    space = darts()
    measures = random_measures(space, seed)
    states, gone = shrunk(space, 7, measures)
    for before, after in pairwise(states):
        assert before.contains(after) and before != after
    assert [len(c.alive_operations(states[-1])) for c in contests(space)] == [2] * 8
    assert {(row, 0) for row in range(28)} <= {player for each in gone[:1] for player in each}
    # Fixed measures: the two flattest-last of each node stay, whatever the bites.
    for contest in contests(space):
        best = ranked(contest.alive_operations(space.full()), measures, "largest")[-2:]
        assert sorted(best) == contest.alive_operations(states[-1])


@pytest.mark.parametrize("shrinks", [1, 2, 7, 20])
def test_any_number_of_shrinks_ends_at_two_a_node(shrinks):
    states, _ = shrunk(darts(), shrinks)
    assert [len(c.alive_operations(states[-1])) for c in contests(darts())] == [2] * 8


def test_nothing_goes_below_what_is_kept():
    assert [quota(4, 2, left) for left in (7, 3, 1)] == [1, 1, 2]
    assert quota(2, 2, 1) == quota(1, 2, 1) == 0
    space = darts(nodes=1)
    few = space.full().only(0, [3, 4]).only(1, [3, 4]).only(2, [3, 4]).only(3, [3, 4])
    for left in range(7, 0, -1):
        few, _ = prune(space, few, contests(space), random_measures(space), left)
    assert [sum(map(sum, few.alive[rows])) for rows in (slice(2), slice(2, 4))] == [2, 2]


def test_edges_of_fewer_operations_are_done_earlier():
    states, _ = shrunk(Chain((5, 3, 1)), 4)
    assert [[sum(row) for row in state.alive] for state in states] == [
        [5, 3, 1],
        [4, 2, 1],
        [3, 1, 1],
        [2, 1, 1],
        [1, 1, 1],
    ]


def test_equals_go_by_edge_and_then_by_column():
    space = darts(nodes=1)
    measures = torch.ones(space.full().mask.shape, dtype=torch.float64)
    measures[:, 0] = torch.inf
    _, (removed, *_) = shrunk(space, 2, measures)
    assert removed == [(0, 0), (1, 0), *((0, c) for c in range(1, 6)), (2, 0), (3, 0)] + [
        (2, c) for c in range(1, 6)
    ]


@pytest.mark.parametrize("order", ["largest", "smallest"])
def test_what_is_infinitely_flat_goes_first_in_either_order(order):
    measures = torch.tensor([[torch.inf, 1.0, 2.0, 3.0, torch.inf]], dtype=torch.float64)
    players = [(0, column) for column in range(5)]
    middle = [3, 2, 1] if order == "largest" else [1, 2, 3]
    assert [c for _, c in ranked(players, measures, order)] == [0, 4, *middle]
    found = scores(measures, Subspace(((True,) * 5,)), order)
    assert found[0].tolist() == (
        [-3.0, 0.0, -1.0, -2.0, -3.0] if order == "largest" else [-3.0, -2.0, -1.0, 0.0, -3.0]
    )


def test_scores_put_equal_measures_in_one_place_and_leave_out_the_dead():
    measures = torch.tensor([[5.0, 5.0], [7.0, torch.nan]], dtype=torch.float64)
    alive = Subspace(((True, True), (True, False)))
    assert scores(measures, alive, "largest").tolist() == [[0.0, 0.0], [-1.0, 0.0]]


# ---------------------------------------------------------------- the oracle: measures by hand


def oracle(space, architecture):
    """Measures under which `architecture` should be found: its operations vary most."""
    chosen = torch.tensor(architecture.table())
    measures = random_measures(space) + 10
    return torch.where(chosen, random_measures(space, 1, none=1.0), measures)


@pytest.mark.parametrize("name", ["ISDARTS", "DARTS_V2", "EVNAS_C"])
def test_the_published_cells_are_found_also_where_survivors_share_an_input(name):
    space = darts()
    wanted = space.from_text(name)
    states, _ = shrunk(space, 7, oracle(space, wanted))
    assert space.decide(torch.zeros(28, 8), states[-1]) == wanted
    shared = [chosen for chosen in wanted.choices if len(chosen) == 2]
    assert shared == ([("sep_conv_5x5", "dil_conv_5x5")] if name == "ISDARTS" else [])


def test_the_published_string_is_found_edge_by_edge():
    space = Chain()
    wanted = space.architecture(
        [[name] for name in ("three", "three", "three", "skip", "three", "three")]
    )
    states, _ = shrunk(space, 4, oracle(space, wanted))
    assert space.decide(torch.zeros(6, 5), states[-1]) == wanted


@pytest.mark.parametrize(
    ("space_options", "options"),
    [({"distinct_inputs": True}, {}), ({}, {"distinct_inputs": True})],
)
def test_distinct_inputs_are_kept_where_the_space_or_the_option_asks(space_options, options):
    space = darts(**space_options)
    wanted = space.from_text("ISDARTS")
    states, _ = shrunk(space, 7, oracle(space, wanted), **options)
    for contest in contests(space):
        players = contest.alive_operations(states[-1])
        assert len(players) == len({edge for edge, _ in players}) == 2
    found = space.decide(torch.zeros(28, 8), states[-1])
    different = [
        edge.name
        for edge, a, b in zip(space.edges, found.choices, wanted.choices, strict=True)
        if a != b
    ]
    # Of the two that shared an input the flatter one gives way to the best of another input.
    assert len(different) == 2 and all(name.endswith("->3") for name in different)


@pytest.mark.parametrize("keep", ["edge", "node"])
@pytest.mark.parametrize(
    "space", [darts(nodes=2), darts(nodes=2, distinct_inputs=True), Chain(), ToySpace()]
)
@pytest.mark.parametrize("order", ["largest", "smallest"])
def test_every_rule_leaves_an_architecture_of_every_space(space, keep, order):
    states, _ = shrunk(space, 4, keep=keep, order=order)
    for state in states:
        assert space.why_empty(state) is None
    field = contests(space, keep)
    assert [len(c.alive_operations(states[-1])) for c in field] == [c.keep for c in field]


# ---------------------------------------------------------------- the mixture


@pytest.mark.parametrize(
    ("mix", "weights"),
    [
        ("original", [[0.25, 0.0, 0.25, 0.0], [1 / 3, 1 / 3, 0.0, 0.0]]),
        ("remaining", [[0.5, 0.0, 0.5, 0.0], [0.5, 0.5, 0.0, 0.0]]),
    ],
)
def test_the_living_weigh_the_same(mix, weights):
    edges = tuple(ToySpace().edges[2:4])
    subspace = Subspace(((True, False, True, False), (True, True, False, False)))
    mixture = constant_mixture(edges, subspace, mix)
    torch.testing.assert_close(mixture.weights, torch.tensor(weights))
    assert torch.equal(mixture.active, subspace.mask)


# ---------------------------------------------------------------- options and plans


def updater_of(options, space=None):
    harness = Harness(IsDarts, options, space or ToySpace())
    return harness.updater(harness.space, harness.updater.parse_options(options), torch.Generator())


@pytest.mark.parametrize(
    ("options", "space", "epochs", "message"),
    [
        ({}, ToySpace(), 3, r"3 shrinks, 1 epoch\(s\) apart, need more than 3 .* `--epochs 4`"),
        ({"interval": 2}, Chain(), 8, "need more than 8 epochs, got 8. Use `--epochs 9` or more"),
        ({"shrinks": 7, "interval": 3}, darts(), 21, "7 shrinks.*got 21"),
        ({"shrinks": 3}, Chain(), 30, "this space needs 4 shrinks, got 3. Leave out `-u shrinks`"),
        ({"shrinks": 5}, Chain(), 30, "needs 4 shrinks, got 5"),
        ({"shrinks": 4, "keep": "edge"}, darts(), 30, "needs 7 shrinks, got 4"),
    ],
)
def test_plans_that_cannot_work_are_refused(options, space, epochs, message):
    incompatibility = updater_of(options, space).incompatibility(Plan(epochs, 3, 16, 48, 0))
    assert incompatibility is not None and re.search(message, incompatibility)


@pytest.mark.parametrize(
    ("options", "space", "epochs"),
    [
        ({}, ToySpace(), 4),
        ({"interval": 2}, Chain(), 9),
        ({"shrinks": 7, "interval": 3}, darts(), 22),
        ({"shrinks": 2}, darts(), 3),
        ({"shrinks": 4, "interval": 2}, Chain(), 30),
    ],
)
def test_plans_that_can_work_are_taken(options, space, epochs):
    assert updater_of(options, space).incompatibility(Plan(epochs, 3, 16, 48, 0)) is None


@pytest.mark.parametrize(("space", "shrinks"), [(Chain(), 4), (darts(), 7), (ToySpace(), 3)])
def test_left_to_itself_it_shrinks_as_often_as_published(space, shrinks):
    assert updater_of({}, space).options.shrinks_on(space.edges) == shrinks


@pytest.mark.parametrize(
    ("options", "images"),
    [
        ({}, 50_000),
        ({"batches": 10}, 640),
        ({"batches": 10, "batch_size": 128}, 1280),
        ({"batches": 1000}, 50_000),
    ],
)
def test_forecast_is_a_pass_for_each_shrink(options, images):
    updater = updater_of({"shrinks": 4, **options}, Chain())
    forecast = updater.max_cost(Plan(30, 782, 64, 50_000, 0))
    assert (forecast.images_forward, forecast.images_backward) == (2 + 4 * images, 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shrinks": 0}, "shrinks must be at least 1, got 0"),
        ({"measure": "fisher"}, "measure must be one of 'official', 'inv_var', 'log' or 'median'"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"shrink": 3}, "Did you mean 'shrinks'"),
    ],
)
def test_wrong_options_are_named(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        IsDarts.parse_options(wrong)


@pytest.mark.parametrize(
    ("space", "data", "fits"),
    [
        ("darts", "cifar10", ["paper", "quick"]),
        ("darts", "cifar100", ["paper", "quick"]),
        ("darts", "imagenet", ["paper", "quick"]),
        ("nasbench201", "cifar10", ["paper", "quick"]),
        ("nasbench201", "cifar100", ["paper", "quick"]),
        ("darts", "folder", ["quick"]),
    ],
)
def test_presets_speak_of_what_was_published(space, data, fits):
    assert [preset.name for preset in IsDarts.presets if preset.fits(space, data)] == fits


@pytest.mark.parametrize(
    ("data", "batch", "rate", "clip", "limit"),
    [
        ("cifar10", 64, 0.025, 5.0, None),
        ("cifar100", 64, 0.025, 5.0, None),
        ("imagenet", 256, 0.05, None, 1_281_167 // 10),
    ],
)
def test_the_search_in_the_darts_space_has_the_settings_of_each_data_set(
    data, batch, rate, clip, limit
):
    config = resolve({"space": "darts", "updater": "isdarts", "data": data, "preset": "paper"})
    trainer, images = config.trainer, config.data.options
    assert (trainer.batch_size, trainer.learning_rate, trainer.gradient_clip) == (batch, rate, clip)
    assert (trainer.epochs, trainer.minimum_learning_rate) == (50, 0.001)
    assert (images["limit"], images["train_fraction"]) == (limit, 1.0)


# ---------------------------------------------------------------- the page


def test_every_line_of_code_on_the_page_is_in_the_plugin():
    root = Path(__file__).parents[2]
    page = (root / "docs/updaters/isdarts.md").read_text(encoding="utf-8")
    code = "".join(
        file.read_text(encoding="utf-8") for file in (root / "plugins/nastk_isdarts").glob("*.py")
    )
    quoted = [
        line
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(quoted) >= 6
    assert [line for line in quoted if line not in code] == []
