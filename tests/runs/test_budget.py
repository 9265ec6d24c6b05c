"""Budgets: as many epochs as fit, in images that the run then really takes, or in seconds."""

import shutil
from dataclasses import replace

import pytest
from core_kit import WISHES

import nastk
from nastk import ConfigurationError, Evaluation, PhaseCost, resolve
from nastk.runs import budget
from nastk.runs.budget import Budget

SMALL = {"batch_size": 16}
CANDIDATES = nastk.use("random", candidates=3)
SHAPLEY = nastk.use("shapley", samples=1, warmup=1, batch_size=16, min_ratio=0.0)


def assembled(updater, epochs=1000, **changes):
    trainer = {**SMALL, "epochs": epochs}
    return nastk.assemble(resolve({**WISHES, "updater": updater, "trainer": trainer, **changes}))


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("images=500", "images", 500.0),
        ("images=400k", "images", 4e5),
        ("images=2.5M", "images", 2.5e6),
        ("seconds=90", "seconds", 90.0),
        ("seconds=15m", "seconds", 900.0),
        ("seconds=2h", "seconds", 7200.0),
        ("cpu_seconds=15m", "cpu_seconds", 900.0),
    ],
)
def test_a_budget_is_read(text, unit, amount):
    assert Budget.parse(text) == Budget(unit, amount)


@pytest.mark.parametrize(
    "text",
    ["", "images", "images=", "images=k", "images=0", "images=-3", "images=nan", "images=inf",
     "images=3h", "seconds=3M", "cpu_seconds=3k", "epochs=3", "400k", "images=4 k k",
     "images=4_0", "images=\u0664", "images=1e999"],
)  # fmt: skip
def test_what_is_no_budget_is_refused(text):
    with pytest.raises(ConfigurationError, match="A budget is written as images=400k"):
        Budget.parse(text)


def test_a_budget_without_an_end_is_refused():
    with pytest.raises(ConfigurationError, match="allows 'darts' more than 1,000,000 epochs here"):
        Budget("images", 1e30).epochs(assembled("darts"))


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("updater", ["darts", CANDIDATES, SHAPLEY, "fair"], ids=str)
def test_the_epochs_are_the_most_that_fit_and_the_run_takes_what_was_forecast(updater, tmp_path):
    if updater == "fair":
        updater = nastk.use("fair", choice="sample", candidates=3)
    amount = 1_200.0
    epochs = Budget("images", amount).epochs(assembled(updater))
    spent = []
    for number in (epochs, epochs + 1):
        request = {**WISHES, "updater": updater, "trainer": {**SMALL, "epochs": number}}
        cost = nastk.search(**request, out=tmp_path / str(number)).cost.search
        spent.append(cost.images_forward + cost.images_backward)
    assert spent[0] <= amount < spent[1]


def test_a_budget_below_the_shortest_run_says_what_that_takes():
    with pytest.raises(
        ConfigurationError,
        match=r"A budget of 400 images is too small for 'shapley': its shortest run \(epochs: 2\)",
    ):
        Budget("images", 400.0).epochs(assembled(SHAPLEY))


def test_a_method_without_a_forecast_has_no_budget():
    with pytest.raises(ConfigurationError, match="'toy-split' does not forecast"):
        Budget("images", 4e5).epochs(assembled("toy-split"))


@pytest.mark.parametrize("unit", ["seconds", "cpu_seconds"])
def test_more_seconds_are_more_epochs(unit, monkeypatch):
    monkeypatch.setattr(budget, "PATIENCE", 0.01)
    few, many = (Budget(unit, amount).epochs(assembled("darts")) for amount in (2.0, 2000.0))
    assert 1 <= few < many


@pytest.fixture
def clock(monkeypatch):
    """The seconds of the clock that budgets of CPU seconds look at, in a list of one."""
    now = [0.0]
    monkeypatch.setitem(budget.CLOCKS, "cpu_seconds", lambda: now[0])
    return now


def timed_evaluations(monkeypatch, clock, batches):
    """A search by synflow that takes ten seconds for each of its batches of one image."""

    def evaluate(self, architecture, probe):
        for _ in range(batches):
            self.context.run.check()
            clock[0] += 10.0
            self.context.run.charge(1, 1)
        return Evaluation("synflow", {"synflow": 1.0})

    run = assembled(nastk.use("random-search", evaluator="synflow"))
    evaluator = type(run.trainer.criterion.evaluator)
    monkeypatch.setattr(evaluator, "evaluate", evaluate)
    one = PhaseCost(batches, batches)
    return replace(run, plan=replace(run.plan, evaluation=one))


def test_a_short_evaluation_is_timed_whole(monkeypatch, clock):
    run = timed_evaluations(monkeypatch, clock, batches=1)
    assert Budget("cpu_seconds", 105.0).epochs(run) == 10
    with pytest.raises(ConfigurationError, match=r"too small .* \(epochs: 1\) takes about 10\."):
        Budget("cpu_seconds", 5.0).epochs(run)


def test_a_long_evaluation_is_stopped_and_its_images_say_how_long_it_would_have_taken(
    monkeypatch, clock
):
    run = timed_evaluations(monkeypatch, clock, batches=1_000)
    assert Budget("cpu_seconds", 35_000.0).epochs(run) == 3
    assert clock[0] < 100.0


def study(out, **changes):
    request = {"trainer": SMALL, "seeds": [0], "budget": "images=2k", "out": out, **changes}
    return nastk.compare("toy", ["darts", CANDIDATES], "toy", **request)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study with the defaults of `study`."""
    return study(tmp_path_factory.mktemp("finished") / "study")


@pytest.fixture
def copied(finished, tmp_path):
    """The folder of a copy of it, to go on from."""
    return shutil.copytree(finished.folder, tmp_path / "study")


def test_a_study_gives_each_updater_its_epochs_and_writes_the_budget_down(finished):
    found = finished
    epochs = {cell.label: cell.config.trainer.epochs for cell in found.cells}
    assert epochs["darts"] < epochs["random(candidates=3)"]
    for cell in found.cells:
        assert cell.folder.config()["budget"] == "images=2k"
        spent = nastk.Result(cell.folder).cost.search
        assert 0.8 * 2_000 < spent.images_forward + spent.images_backward <= 2_000


def test_more_seeds_get_the_epochs_of_the_first(finished, copied, monkeypatch):
    monkeypatch.setattr(Budget, "epochs", lambda self, assembly: 1)
    more = study(copied, seeds=[0, 1])
    epochs = {cell.label: cell.config.trainer.epochs for cell in finished.cells}
    assert all(cell.config.trainer.epochs == epochs[cell.label] for cell in more.cells)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer": {"epochs": 3}}, "either a budget or a number of epochs"),
        ({"budget": "images=many"}, "A budget is written as"),
        ({"budget": "images=3k"}, "was run with another budget"),
    ],
)
def test_budgets_at_odds_are_refused(copied, tmp_path, changes, message):
    out = copied if changes.get("budget") == "images=3k" else tmp_path / "new"
    with pytest.raises(ConfigurationError, match=message):
        study(out, **changes)
