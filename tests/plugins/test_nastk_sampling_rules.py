"""The rules of RSPS, SPOS and FairNAS: connected paths, evolutionary choice, strict fairness."""

import copy
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from core_kit import ShortContract

import nastk_sampling
from nastk import Architecture, ConfigurationError, Edge, PluginError, Subspace
from nastk.base.events import UpdaterReported
from nastk.testing import Harness, ToySpace
from nastk_sampling.candidates import Ranked, best_first
from nastk_sampling.evolution import Evolution, cross, evolve, mutate
from nastk_sampling.fair import Fair
from nastk_sampling.paths import Sampler, fair_paths
from nastk_sampling.random_path import RandomPath
from nastk_spaces_darts.space import DartsSpace

FEW = {"population": 4, "generations": 2, "parents": 2, "batch_size": 16}
NAMES = ("none", "skip", "conv1", "conv3", "pool")


class Grid(ToySpace):
    """The cell of NAS-Bench-201: four nodes, six edges, any of five operations, `none` too."""

    name = "grid"

    def __init__(self):
        super().__init__()
        pairs = [(source, node) for node in (1, 2, 3) for source in range(node)]
        self.edges = tuple(Edge(f"{s}->{n}", NAMES, "cell", s, n) for s, n in pairs)

    def decide(self, scores, subspace):
        best = self.readable(scores, subspace).argmax(1).tolist()
        return self.architecture([NAMES[column]] for column in best)

    def why_empty(self, subspace):
        return None

    def path(self, *columns):
        return self.architecture([NAMES[column]] for column in columns)


GRID = Grid()
TOY = ToySpace()


@pytest.mark.slow
class TestRandomPathBySPOS(ShortContract):
    updater, options = RandomPath, {"rule": "spos", **FEW}


class TestFair(ShortContract):
    updater, options = Fair, FEW


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def ids(ranking):
    return [each.architecture.id for each in ranking]


# ---------------------------------------------------------------- connected paths


@pytest.mark.parametrize(
    ("columns", "joined"),
    [
        # Edges: 0->1, 0->2, 1->2, 0->3, 1->3, 2->3.
        ((0, 0, 0, 1, 0, 0), True),
        ((1, 0, 0, 0, 1, 0), True),
        ((1, 0, 2, 0, 0, 3), True),
        ((0, 4, 0, 0, 0, 1), True),
        ((0, 0, 0, 0, 0, 0), False),
        ((1, 1, 1, 0, 0, 0), False),
        ((0, 0, 2, 0, 3, 4), False),
        ((0, 2, 2, 0, 3, 0), False),
        ((3, 0, 0, 0, 0, 3), False),
    ],
)
def test_a_path_is_connected_if_the_last_node_is_reached(columns, joined):
    assert GRID.path(*columns).connected() == joined


def test_every_cell_type_must_be_connected():
    first = [["conv"], ["none"], ["skip"]]
    assert TOY.architecture([*first, ["conv"], ["skip"]]).connected()
    assert not TOY.architecture([*first, ["none"], ["skip"]]).connected()
    assert not TOY.architecture([["none"], ["none"], ["skip"], ["conv"], ["skip"]]).connected()


def test_darts_cells_are_always_connected():
    space = DartsSpace(DartsSpace.Options(include_none=True))
    assert all(space.sample(space.full(), rng(seed)).connected() for seed in range(20))


def test_a_connected_sampler_rejects_until_it_fits_and_stays_uniform():
    """Two operations an edge, 64 paths: all connected ones come, each as often, and no other."""
    subspace = GRID.full()
    for edge in range(6):
        subspace = subspace.only(edge, [0, 1])
    every = [GRID.path(*(number >> edge & 1 for edge in range(6))) for number in range(64)]
    joined = {architecture.id for architecture in every if architecture.connected()}
    stream, draws = rng(), 1500
    counts = Counter(Sampler(GRID, subspace, True).draw(stream).id for _ in range(draws))
    assert set(counts) == joined
    expected = draws / len(joined)
    assert all(abs(count - expected) < 4.5 * expected**0.5 for count in counts.values())
    free = Counter(Sampler(GRID, subspace).draw(rng(seed)).id for seed in range(400))
    assert not set(free) <= joined


def test_a_subspace_without_a_connected_path_says_so():
    subspace = GRID.full()
    for edge in (3, 4, 5):
        subspace = subspace.only(edge, [0])
    with pytest.raises(PluginError, match="connected=false"):
        Sampler(GRID, subspace, True).draw(rng())


@pytest.mark.parametrize(
    ("options", "kind", "joined"),
    [
        ({}, "sample", True),
        ({"rule": "spos"}, "evolution", False),
        ({"rule": "spos", "connected": True}, "evolution", True),
        ({"rule": "spos", "choice": "sample"}, "sample", False),
        ({"choice": "evolution", "connected": False}, "evolution", False),
    ],
)
def test_the_rule_decides_what_is_not_given(options, kind, joined):
    updater = RandomPath(GRID, RandomPath.parse_options(options), rng())
    assert (updater.choice.kind, updater.choice.connected) == (kind, joined)


def test_paths_and_the_first_answer_are_connected_if_the_rule_says_so():
    run = Harness(RandomPath)
    branch = run.trainer.root()
    branch.subspace = GRID.full()
    probe = run.trainer.probe(branch)
    for seed in range(20):
        updater = RandomPath(GRID, RandomPath.parse_options({}), rng(seed))
        (mixture,) = updater.mixtures(probe)
        assert GRID.path(*mixture.weights.argmax(1).tolist()).connected()
        assert updater.architecture(probe).connected()


# ---------------------------------------------------------------- SPOS's evolution


def liking(target, evaluated=None):
    """An evaluator that counts the edges on which an architecture agrees with `target`."""

    def evaluator(architectures):
        if evaluated is not None:
            evaluated.append([each.id for each in architectures])
        return best_first(
            [
                Ranked(
                    one, sum(a == b for a, b in zip(one.choices, target.choices, strict=True)) / 6
                )
                for one in architectures
            ]
        )

    return evaluator


@pytest.mark.slow
def test_evolution_finds_what_the_judge_likes_and_judges_nothing_twice():
    target, evaluated = GRID.path(3, 1, 0, 4, 2, 3), []
    rules = Evolution()
    ranking = evolve(liking(target, evaluated), Sampler(GRID, GRID.full()), rules, rng())
    asked = [each for generation in evaluated for each in generation]
    assert [len(generation) for generation in evaluated] == [50] * 20
    assert len(set(asked)) == len(asked) == len(ranking) == 1000
    assert ranking[0].architecture == target
    accuracies = [each.accuracy for each in ranking]
    assert accuracies == sorted(accuracies, reverse=True)


@pytest.mark.parametrize("seed", range(3))
def test_evolution_beats_as_many_random_ones(seed):
    target = GRID.sample(GRID.full(), rng(100 + seed))
    rules = Evolution(population=20, generations=6, parents=5)
    sampler = Sampler(GRID, GRID.full())
    evolved = evolve(liking(target), sampler, rules, rng(seed))
    by_lot = evolve(
        liking(target), sampler, replace(rules, population=120, generations=1), rng(seed)
    )
    assert len(evolved) == len(by_lot) == 120
    assert evolved[0].accuracy > by_lot[0].accuracy


def test_evolution_ends_when_a_small_subspace_is_used_up():
    subspace = GRID.full()
    for edge in range(5):
        subspace = subspace.only(edge, [1])
    ranking = evolve(
        liking(GRID.path(1, 1, 1, 1, 1, 2)), Sampler(GRID, subspace), Evolution(), rng()
    )
    assert len(ranking) == 5
    assert ranking[0].architecture == GRID.path(1, 1, 1, 1, 1, 2)


def test_evolution_keeps_to_connected_paths():
    evaluated = []
    sampler = Sampler(GRID, GRID.full(), only_connected=True)
    ranking = evolve(
        liking(GRID.path(0, 0, 0, 0, 0, 0), evaluated), sampler, Evolution(10, 6, 3, 0.5), rng()
    )
    assert len(ranking) == 60
    assert all(each.architecture.connected() for each in ranking)


def test_a_child_takes_each_edge_from_either_parent_with_equal_chance():
    first, second = GRID.path(*[1] * 6), GRID.path(*[3] * 6)
    stream = rng()
    children = [cross((first, second), Sampler(GRID, GRID.full()), stream) for _ in range(400)]
    taken = torch.tensor([[chosen == ("skip",) for chosen in child.choices] for child in children])
    assert {name for child in children for chosen in child.choices for name in chosen} == {
        "skip",
        "conv3",
    }
    assert ((taken.float().mean(0) - 0.5).abs() < 4 * 0.5 / 400**0.5).all()


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_mutation_draws_edges_anew_uniformly_at_its_rate(rate):
    parent = GRID.path(*[2] * 6)
    stream = rng()
    children = [mutate(parent, rate, Sampler(GRID, GRID.full()), stream) for _ in range(1000)]
    names = Counter(name for child in children for chosen in child.choices for name in chosen)
    # An edge drawn anew may get its old operation: one time in five.
    for name in NAMES:
        share = rate / 5 + (1 - rate) * (name == "conv1")
        assert abs(names[name] / 6000 - share) <= 4 * (share * (1 - share) / 6000) ** 0.5


def test_children_are_architectures_of_the_space_where_edges_compete():
    space = DartsSpace()
    sampler = Sampler(space, space.full())
    stream = rng()
    first, second = (sampler.draw(stream) for _ in range(2))
    assert mutate(first, 0.0, sampler, stream) == first
    assert cross((first, first), sampler, stream) == first
    for _ in range(30):
        for child in (cross((first, second), sampler, stream), mutate(first, 0.3, sampler, stream)):
            assert space.check(child) == child
            assert isinstance(child, Architecture)


def test_children_stay_in_a_smaller_subspace():
    subspace = GRID.full().only(0, [1, 2]).only(5, [4])
    sampler = Sampler(GRID, subspace)
    outside = GRID.path(0, 0, 0, 0, 0, 0)
    for seed in range(20):
        for child in (
            cross((outside, sampler.draw(rng(seed))), sampler, rng(seed)),
            mutate(outside, 0.5, sampler, rng(seed)),
        ):
            assert subspace.contains(Subspace(child.table()))


@pytest.mark.parametrize("updater", [RandomPath, Fair])
def test_the_evolution_of_a_run_is_on_record_and_its_cost_is_the_forecast(updater):
    run = Harness(updater, {**FEW, "choice": "evolution"})
    (branch,) = run.run()
    (report,) = [each for each in run.events if isinstance(each, UpdaterReported)]
    rows = report.values["ranking"]
    assert len({row["id"] for row in rows}) == len(rows) == 8
    assert ids(branch.updater.ranking) == [row["id"] for row in rows]
    assert branch.updater.architecture(run.trainer.probe(branch)).id == rows[0]["id"]
    spent = run.trainer.ledger.cost().phases["updater"].images_forward
    assert spent == branch.updater.max_cost(run.plan).images_forward == 8 * 48


def test_a_last_image_that_no_stream_shows_is_not_forecast():
    options = RandomPath.parse_options({"batch_size": 16})
    assert [options.images(valid) for valid in (10, 16, 17, 18, 33)] == [10, 16, 16, 18, 32]


# ---------------------------------------------------------------- FairNAS


def test_every_operation_of_a_full_table_is_in_exactly_one_path():
    for seed in range(10):
        paths = fair_paths(GRID.full(), rng(seed))
        assert len(paths) == 5
        assert all(path.active.sum(1).tolist() == [1] * 6 for path in paths)
        assert all(torch.equal(path.weights, path.active.float()) for path in paths)
        assert torch.equal(sum(path.active.int() for path in paths), torch.ones(6, 5).int())


def test_permutations_are_uniform_and_independent_between_edges():
    stream = rng()
    first, agree = Counter(), 0
    for _ in range(600):
        columns = fair_paths(GRID.full(), stream)[0].active.int().argmax(1).tolist()
        first[columns[0]] += 1
        agree += columns[0] == columns[1]
    for count in (*first.values(), agree):
        assert abs(count - 120) < 4 * (120 * 0.8) ** 0.5
    assert len(first) == 5


def test_a_narrower_edge_is_fair_up_to_one():
    subspace = GRID.full().only(1, [0, 3]).only(2, [4])
    for seed in range(10):
        paths = fair_paths(subspace, rng(seed))
        total = sum(path.active.int() for path in paths)
        assert len(paths) == 5 and all(path.active.sum(1).tolist() == [1] * 6 for path in paths)
        assert total[0].tolist() == [1] * 5
        assert sorted(total[1].tolist()) == [0, 0, 0, 2, 3] and total[1, [1, 2, 4]].sum() == 0
        assert total[2].tolist() == [0, 0, 0, 0, 5]


def test_an_edge_with_nothing_alive_stays_silent():
    subspace = Subspace.of([[True, True], [False, False]])
    paths = fair_paths(subspace, rng())
    assert sum(path.active.int() for path in paths).tolist() == [[1, 1], [0, 0]]


def test_the_paths_of_the_toy_hold_no_padding():
    paths = fair_paths(TOY.full(), rng())
    assert len(paths) == 4
    assert not any((path.active & ~TOY.full().mask).any() for path in paths)


def test_a_step_moves_the_weights_once_along_the_mean_gradient():
    """FairNAS sums: its step is ours with m times the rate, and 1/m of decay and clipping."""
    paths = 4
    rate, decay, clip = 0.05, 3e-3, 0.5
    settings = {
        "epochs": 1,
        "learning_rate": paths * rate,
        "minimum_learning_rate": paths * rate,
        "weight_decay": decay / paths,
        "gradient_clip": clip / paths,
    }
    run = Harness(Fair, FEW, trainer_options=settings)
    branch = run.trainer.root()
    twin, stream = copy.deepcopy(branch.supernet), torch.Generator()
    stream.set_state(branch.rng.get_state())
    optimizer = torch.optim.SGD(twin.parameters(), rate, momentum=0.9, weight_decay=decay)
    run.run([branch], steps=3)
    for step in range(3):
        batch = run.trainer.train.at(step)
        optimizer.zero_grad()
        for path in fair_paths(branch.subspace, stream):
            F.cross_entropy(twin(batch.images, path), batch.labels).backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), clip)
        optimizer.step()
    for ours, theirs in zip(branch.supernet.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-6)


def test_a_step_costs_as_many_images_as_there_are_paths():
    run = Harness(Fair, FEW)
    run.run(steps=1)
    spent = run.trainer.ledger.cost().phases["train"]
    assert (spent.images_forward, spent.images_backward) == (4 * 16, 4 * 16)


@pytest.mark.parametrize("updater", [RandomPath, Fair])
@pytest.mark.parametrize("options", [{"parents": 0}, {"mutation": 2}, {"population": 1}])
def test_options_have_bounds(updater, options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        updater.parse_options(options)


@pytest.mark.parametrize(("place", "updater"), [(0, RandomPath), (1, Fair)])
def test_the_offers_are_the_classes_and_their_presets_are_valid(place, updater):
    offer = nastk_sampling.updaters()[place]
    assert (offer.name, offer.summary) == (updater.name, updater.summary)
    assert offer.load == f"{updater.__module__}:{updater.__name__}"
    assert all(updater.parse_options(preset.updater_options) for preset in updater.presets)


@pytest.mark.parametrize(("page", "lines"), [("random", 4), ("fair", 2)])
def test_every_line_of_code_on_the_page_is_in_the_plugin(page, lines):
    root = Path(__file__).parents[2]
    text = (root / f"docs/updaters/{page}.md").read_text(encoding="utf-8")
    files = (root / "plugins/nastk_sampling").glob("*.py")
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    quoted = [line for block in blocks for line in block.splitlines()]
    assert len(quoted) == lines
    assert [line for line in quoted if line not in code] == []
