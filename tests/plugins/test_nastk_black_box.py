"""Searches without a supernet: contracts, optima of small truths, and evolution as written out."""

import json
import sys
from itertools import pairwise, product
from typing import ClassVar

import pytest
import torch
from core_kit import with_classes, without_time
from limits_kit import limited_toy

import nastk
from nastk import ConfigurationError, DivergenceError, Evaluation, Evaluator, Plan
from nastk.base import EvaluationReport
from nastk.base.errors import MissingExtraError
from nastk.base.events import UpdaterReported
from nastk.runs.run import Run
from nastk.testing import Harness, ToySpace, UpdaterContract, fingerprint
from nastk_black_box.ask_and_tell import OptunaSearch
from nastk_black_box.encoding import Encoding
from nastk_black_box.evolution import RegularizedEvolution
from nastk_black_box.history import WORST, History
from nastk_black_box.local_search import LocalSearch
from nastk_black_box.neighbours import neighbours
from nastk_black_box.random_search import RandomSearch
from nastk_spaces_darts.space import DartsSpace as Darts

UPDATERS = {
    "random-search": (RandomSearch, {}),
    "local-search": (LocalSearch, {}),
    "local-search, first": (LocalSearch, {"move": "first"}),
    "regularized-evolution": (RegularizedEvolution, {"population": 8, "sample": 3}),
    "optuna, tpe": (OptunaSearch, {"startup": 5}),
    "optuna, nsgaii": (OptunaSearch, {"sampler": "nsgaii", "population": 6}),
    "optuna, random": (OptunaSearch, {"sampler": "random"}),
}
SIZE = {"evaluator": "size"}
NAMES = [
    name if name == "regularized-evolution" else pytest.param(name, marks=pytest.mark.slow)
    for name in UPDATERS
]
"""One of each kind is quick; they share all but how they propose."""


@pytest.mark.slow
class TestRandomSearch(UpdaterContract):
    updater, options = RandomSearch, SIZE


@pytest.mark.slow
class TestLocalSearch(UpdaterContract):
    updater, options = LocalSearch, SIZE


class TestRegularizedEvolution(UpdaterContract):
    updater, options = RegularizedEvolution, {**SIZE, "population": 2, "sample": 2}


@pytest.mark.slow
class TestOptuna(UpdaterContract):
    updater, options = OptunaSearch, {**SIZE, "startup": 1}


@pytest.mark.slow
class TestNsga(UpdaterContract):
    updater, options = OptunaSearch, {**SIZE, "sampler": "nsgaii", "population": 2}


@pytest.mark.slow
class TestFirstPaidTwice(UpdaterContract):
    updater, options = LocalSearch, {**SIZE, "move": "first", "duplicates": "paid"}


# ---------------------------------------------------------------- a truth, and its optimum

SPACE = ToySpace()
RNG = torch.Generator().manual_seed(3)
WORTH = torch.rand(SPACE.full().mask.shape, generator=RNG)
"""What each operation of the toy is worth; an architecture is worth their sum."""


def worth(architecture):
    return float(WORTH[torch.tensor(architecture.table())].double().sum())


def chosen(columns):
    """The architecture of the toy with these operations."""
    return SPACE.architecture(
        (edge.operations[column],) for edge, column in zip(SPACE.edges, columns, strict=True)
    )


def everything(space):
    """The 108 architectures of the toy, which decides for no `none`, within the space's limits."""
    grid = [range(1, len(edge.operations)) for edge in space.edges]
    found = [chosen(columns) for columns in product(*grid)]
    return [one for one in found if getattr(space, "keeps", lambda _: True)(one)]


class Truth(Evaluator):
    """Knows what an architecture is worth; `asked` counts how often it was asked."""

    name, summary, needs_images = "truth", "knows", False
    asked: ClassVar[list] = []
    broken: ClassVar[set] = set()

    def evaluate(self, architecture, probe):
        self.asked.append(architecture.id)
        if architecture.id in self.broken:
            raise DivergenceError("The training diverges.")
        return Evaluation(self.name, {"worth": worth(architecture)})


@pytest.fixture
def truth(monkeypatch):
    known = with_classes(evaluator=Truth)
    for module in ("nastk.testing.harness", "nastk.train.criterion"):
        monkeypatch.setattr(f"{module}.catalogue", lambda: known)
    monkeypatch.setattr(Truth, "asked", [])
    monkeypatch.setattr(Truth, "broken", set())
    return Truth


def searched(name, epochs, space=SPACE, seed=0, **more):
    """The harness and the branch after so many evaluations by the truth."""
    updater, options = UPDATERS[name]
    Truth.asked.clear()
    options = {"evaluator": "truth", **options, **more}
    harness = Harness(updater, options, space, trainer_options={"epochs": epochs}, seed=seed)
    asked = len(Truth.asked)  # the check of its metrics
    (branch,) = harness.run()
    del Truth.asked[:asked]
    return harness, branch


def found_by(harness, branch):
    return branch.updater.architecture(harness.trainer.probe(branch))


@pytest.mark.parametrize("name", NAMES)
def test_every_search_finds_the_optimum_with_enough_evaluations(name, truth):
    best = max(everything(SPACE), key=worth)
    assert found_by(*searched(name, 500 if "random" in name else 70)) == best


@pytest.mark.parametrize("name", NAMES)
def test_a_duplicate_is_not_paid_twice_unless_asked(name, truth):
    _, branch = searched(name, 40)
    # A search that proposes nothing new for long ends early.
    assert len(truth.asked) == len(set(truth.asked)) == branch.epoch - branch.ended
    assert branch.epoch == 40 or (name == "optuna, nsgaii" and branch.ended)
    _, branch = searched(name, 40, duplicates="paid")
    assert len(truth.asked) == 40 == len(branch.updater.history.evaluations)


@pytest.mark.slow
def test_paying_twice_repeats_what_an_evolution_proposes_again(truth):
    searched("regularized-evolution", 120, duplicates="paid")
    assert len(set(truth.asked)) < len(truth.asked) == 120


@pytest.mark.parametrize("name", NAMES)
def test_within_a_limit_the_best_is_that_of_brute_force(name, truth):
    space = limited_toy("params=415")
    allowed = everything(space)
    assert 0 < len(allowed) < len(everything(SPACE))
    harness, branch = searched(name, 500 if "random" in name else 70, space)
    assert set(truth.asked) <= {one.id for one in allowed}
    if name != "optuna, nsgaii":  # its small population may converge before
        assert found_by(harness, branch) == max(allowed, key=worth)


@pytest.mark.slow
def test_a_search_that_finds_nothing_new_ends(truth):
    count = len(everything(SPACE))
    _, branch = searched("random-search", 2 * count)
    assert branch.ended and branch.epoch < 2 * count
    assert len(truth.asked) == count


@pytest.mark.slow
def test_a_training_that_diverges_is_the_worst_and_the_search_goes_on(truth):
    best = max(everything(SPACE), key=worth)
    truth.broken = {best.id}
    second = sorted(everything(SPACE), key=worth)[-2]
    for name in ("regularized-evolution", "optuna, tpe"):
        harness, branch = searched(name, 90)
        assert best.id in truth.asked and found_by(harness, branch) == second
        state = json.loads(json.dumps(branch.updater.history.state_dict()))
        again = History.of_state(state, SPACE)
        assert again.of(best).value == WORST and again.order == branch.updater.history.order


# ---------------------------------------------------------------- evolution as it is written


def written_out(epochs, population, sample, rng):
    """Algorithm 1 of Real et al. on the toy, with the draws of `rng`: choices and fitness."""
    history, alive = [], []
    torch.randint(2**31, (), generator=rng)  # the seed of the first decision
    while len(history) < epochs:
        if len(alive) < population:
            child = SPACE.sample(SPACE.full(), rng)
        else:
            drawn = [alive[i] for i in torch.randint(population, (sample,), generator=rng).tolist()]
            parent = max(drawn, key=worth)
            columns = [edge.operations.index(name) for edge, name in parent.links()]
            mutants = [
                [*columns[:row], new, *columns[row + 1 :]]
                for row, edge in enumerate(parent.edges)
                for new in range(len(edge.operations))
                if new != columns[row]
            ]
            order = torch.randperm(len(mutants), generator=rng).tolist()
            child = chosen(next(mutants[i] for i in order if 0 not in mutants[i]))
        history.append(child)
        alive = [*alive, child][-population:]
    return history


@pytest.mark.parametrize("seed", range(2))
def test_regularized_evolution_is_the_algorithm_written_out(seed, truth):
    _, branch = searched("regularized-evolution", 60, seed=seed, duplicates="paid")
    rng = nastk.base.generator(seed, "updater", "0")
    expected = written_out(60, 8, 3, rng)
    assert [one.architecture for one in branch.updater.history.evaluations] == expected
    parents = [one.parents for one in branch.updater.history.evaluations]
    assert parents[:8] == [()] * 8 and all(len(one) == 1 for one in parents[8:])


def test_an_evolution_that_would_breed_nothing_is_refused():
    made = RegularizedEvolution(
        SPACE, RegularizedEvolution.parse_options({**SIZE, "population": 10}), torch.Generator()
    )
    assert made.incompatibility(Plan(11, 0, 16, 48, 48)) is None
    assert "Set `-u population=2` or less" in made.incompatibility(Plan(10, 0, 16, 48, 48))


# ---------------------------------------------------------------- local search


@pytest.mark.slow
def test_a_local_search_climbs_to_local_optima(truth):
    _, branch = searched("local-search", 120, duplicates="paid")
    history = branch.updater.history.evaluations
    for entry in history:
        if entry.parents:
            place = history[entry.parents[0]].architecture
            assert entry.architecture in neighbours(place, SPACE, SPACE.full())
    places = list(dict.fromkeys(entry.parents[0] for entry in history if entry.parents))
    starts = [entry.number for entry in history if not entry.parents]
    for before, after in pairwise(places):
        if after not in starts:
            around = [one.value for one in history if one.parents == (before,)]
            assert history[after].value == max(around) > history[before].value
    assert len(starts) > 1


# ---------------------------------------------------------------- optuna


def test_every_architecture_of_a_space_of_edges_can_be_asked_for():
    space = Darts(Darts.Options(nodes=2))
    encoding = Encoding.of(space)
    assert encoding.ranked and not Encoding.of(SPACE).ranked
    one = space.sample(space.full(), torch.Generator().manual_seed(1))
    params = {}
    for edge, chosen in zip(one.edges, one.choices, strict=True):
        params[edge.name] = chosen[0] if chosen else edge.operations[1]
        params[f"rank of {edge.name}"] = 1.0 if chosen else 0.0
    assert encoding.architecture(params, space.full()) == one


def test_without_optuna_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nastk\[optuna\]'"):
        OptunaSearch(SPACE, OptunaSearch.parse_options(SIZE), torch.Generator())


# ---------------------------------------------------------------- events, and runs in folders


def test_each_evaluation_is_reported_with_its_lineage(truth):
    harness, _ = searched("regularized-evolution", 30)
    reports = [
        EvaluationReport.read(event.to_json())
        for event in harness.events
        if isinstance(event, UpdaterReported)
    ]
    assert [report.number for report in reports] == list(range(1, 31))
    assert [report.best for report in reports] == sorted(report.best for report in reports)
    last = reports[-1]
    assert (last.evaluator, last.metric) == ("truth", "worth")
    assert last.value == pytest.approx(worth(SPACE.from_text(last.architecture)))
    child = reports[20].individuals[0]
    assert child["number"] == 20 and len(child["parents"]) == 1 and len(child["fresh"]) == 1


REQUEST = {"space": "toy", "data": "toy", "trainer": {"epochs": 6, "checkpoint_minutes": 60}}
RETRAIN = "retrain,epochs=1,batch_size=16"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local-search", "regularized-evolution", "optuna, tpe"])
def test_a_run_that_was_cut_off_and_resumed_equals_a_straight_one(name, tmp_path):
    updater, options = UPDATERS[name]
    options = {**options, "evaluator": RETRAIN, **({"population": 3} if "evol" in name else {})}
    request = {**REQUEST, "updater": {"name": updater.name, "options": options}, "evaluators": []}
    straight = nastk.search(**request, out=tmp_path / "a")
    stream = nastk.stream(request, out=tmp_path / "b")
    for event in stream:
        if event.kind == "epoch-done" and event.epoch == 3:
            break
    stream.close()
    resumed = nastk.resume(tmp_path / "b")
    assert resumed.architecture == straight.architecture
    for key in ("images_forward", "images_backward"):
        assert getattr(resumed.cost.search, key) == getattr(straight.cost.search, key) > 0
    without = [
        [without_time(event) | {"config": None} for event in one.history]
        for one in (straight, resumed)
    ]
    assert without[0] == without[1]


@pytest.mark.slow
def test_a_study_holds_them_beside_a_method_with_a_supernet(tmp_path):
    study = nastk.compare(
        "toy",
        [nastk.use("random-search", evaluator=RETRAIN), nastk.use("random", candidates=2)],
        "toy",
        seeds=[0],
        budget="images=600",
        evaluators=[RETRAIN],
        out=tmp_path,
    )
    names = ["random-search", "random"]
    assert [cell.config.updater.name for cell in study.cells] == names
    for cell in study.cells:
        spent = cell.folder.result()["cost"]
        images = sum(
            spent[phase][f"images_{way}"]
            for phase in ("train", "updater")
            for way in ("forward", "backward")
            if phase in spent
        )
        assert 400 < images <= 600


def test_a_study_that_could_not_compare_them_is_refused(tmp_path):
    updater = nastk.use("random-search", evaluator=RETRAIN)
    with pytest.raises(ConfigurationError, match="random-search and the other updaters of this st"):
        nastk.compare("toy", [updater], "toy", seeds=[0], out=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_metric_of_the_test_split_is_refused(tmp_path):
    options = {"evaluator": "retrain,epochs=1,batch_size=16", "metric": "test_accuracy"}
    config = nastk.resolve({**REQUEST, "updater": {"name": "random-search", "options": options}})
    with pytest.raises(ConfigurationError, match="'test_accuracy' of 'retrain', to search by"):
        Run.new(config, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_dry_run_forecasts_the_images_of_all_evaluations():
    options = {"evaluator": "retrain,epochs=2,batch_size=16"}
    config = nastk.resolve({**REQUEST, "updater": {"name": "random-search", "options": options}})
    assembly = nastk.assemble(config)
    cost = assembly.trainer.root().updater.max_cost(assembly.plan)
    train, valid = len(assembly.splits.train), len(assembly.splits.valid)
    assert (cost.images_forward, cost.images_backward) == (6 * (2 * train + valid), 6 * 2 * train)


@pytest.mark.slow
def test_the_same_seed_searches_alike_and_states_are_plain(truth):
    prints = [
        fingerprint([searched(name, 12)[1].state_dict()])
        for name in ("optuna, nsgaii", "optuna, nsgaii")
    ]
    assert prints[0] == prints[1]
