"""Updaters that train no supernet and evaluate architectures instead."""

from dataclasses import asdict, replace
from typing import ClassVar

import pytest
import torch
from core_kit import WISHES, Still, with_classes
from pydantic import Field

import nastk
from nastk import (
    ArchitectureUpdater,
    ConfigurationError,
    Continuation,
    Evaluation,
    Evaluator,
    PhaseCost,
    PluginError,
)
from nastk.base import EvaluationReport
from nastk.base.cost import Cost
from nastk.base.events import EpochDone, RunStarted
from nastk.report.evaluations import searched
from nastk.report.progress import Lines
from nastk.runs.assembly import assemble
from nastk.runs.budget import Budget
from nastk.runs.config import resolve
from nastk.runs.preflight import rehearse
from nastk.testing import Harness, UpdaterContract
from nastk.train import CriterionSpec, SearchedBy, evaluator_option, updater_class


class Draws(ArchitectureUpdater):
    """Evaluates a random architecture in each epoch, and keeps the best."""

    name, summary = "draws", "evaluates random architectures"
    trains_supernet = False

    class Options(nastk.Options):
        evaluator: str = Field("size", description="what is asked")
        metric: str | None = Field(None, description="its metric")

    def setup(self, rng):
        self.found = []

    def criterion(self):
        return CriterionSpec(nastk.use(self.options.evaluator), self.options.metric)

    def max_cost(self, plan):
        one = plan.evaluation
        return None if one is None else PhaseCost(seconds=plan.epochs * one.seconds)

    def mixtures(self, probe):
        raise AssertionError("there is nothing to train")

    def before_step(self, probe, batch):
        raise AssertionError("there are no steps")

    def after_epoch(self, probe):
        architecture = self.space.sample(probe.subspace, probe.rng)
        valued = probe.evaluate(architecture)
        self.found.append([architecture.choices, valued.value])
        text = self.space.to_text(architecture)
        report = EvaluationReport(len(self.found), text, valued.evaluator, valued.metric)
        best = max(value for _, value in self.found)
        probe.report(report.topic, **asdict(replace(report, value=valued.value, best=best)))
        return [Continuation(probe.subspace)]

    def architecture(self, probe):
        inside = [
            self.space.architecture(choices)
            for choices, _ in sorted(self.found, key=lambda pair: -pair[1])
        ]
        zeros = torch.zeros(probe.subspace.mask.shape)
        alive = [one for one in inside if probe.subspace.contains(nastk.Subspace(one.table()))]
        return alive[0] if alive else self.space.decide(zeros, probe.subspace)

    def state_dict(self):
        return {"found": self.found}

    def load_state_dict(self, state):
        self.found = [list(pair) for pair in state["found"]]


class TestDraws(UpdaterContract):
    updater = Draws


class Recorded(Evaluator):
    """Knows the size of a network, and that it took seven seconds to find out elsewhere."""

    name, summary, needs_images = "recorded", "looks up", False
    seen: ClassVar[list] = []

    def max_cost(self):
        return PhaseCost(seconds=7.0)

    def evaluate(self, architecture, probe):
        self.seen.append((len(self.context.splits.test), probe))
        links = len({operation for _, operation in architecture.links()})
        return Evaluation(self.name, {"test_kinds": links, "kinds": links}, recorded_seconds=7.0)


def assembled(**request):
    """A run of `Draws` by `Recorded`, unless `request` says otherwise."""
    Recorded.seen = []
    known = with_classes(updater=Draws, evaluator=Recorded)
    asked = {"name": "draws", "options": {"evaluator": "recorded", **request.pop("options", {})}}
    return assemble(resolve({**WISHES, "updater": asked, **request}, known), installed=known)


def run(assembly):
    branches = [assembly.trainer.root()]
    with assembly.trainer.ledger.phase("train"):
        moments = list(assembly.trainer.run(branches))
    return branches[0], moments


def test_an_epoch_has_no_steps_and_nothing_is_trained_or_held():
    assembly = assembled(trainer={"epochs": 4})
    assert (assembly.plan.steps_per_epoch, assembly.weight_bytes) == (0, 0)
    branch, moments = run(assembly)
    assert moments == ["epoch"] * 4 + ["end"]
    assert (branch.epoch, branch.step, dict(branch.supernet.state_dict())) == (4, 0, {})


def test_each_evaluation_is_booked_and_gets_neither_test_images_nor_a_supernet():
    assembly = assembled(trainer={"epochs": 3})
    assert len(assembly.splits.test) > 0
    run(assembly)
    assert Recorded.seen[-3:] == [(0, None)] * 3
    spent = assembly.trainer.ledger.cost()
    assert spent.phases["updater"].recorded_seconds == 21.0
    assert 21.0 <= spent.search.seconds < 22.0 + 21.0
    assert Cost.from_json(spent.to_json()) == spent
    assert "recorded_seconds" not in Cost({"train": PhaseCost(3)}).to_json()["train"]


def test_the_first_metric_that_is_not_of_the_test_split_is_searched_by():
    valued = assembled().trainer.probe(assembled().trainer.root()).evaluate
    architecture = nastk.testing.ToySpace().from_text("conv,skip,pool,conv,skip")
    assert (valued(architecture).metric, valued(architecture).value) == ("kinds", 3.0)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"options": {"metric": "test_kinds"}}, "'test_kinds' of 'recorded', to search by, is of "
         "the test split, which chooses nothing.*Set -u metric to one of: kinds"),
        ({"options": {"metric": "kind"}}, "'kind' of 'recorded', to search by, does not exist"),
        ({"options": {"evaluator": "supernet"}}, "'draws' trains no supernet, and evaluator "
         "'supernet' needs one"),
        ({"weights": "/a.safetensors"}, "'draws' trains no supernet that could begin with"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_by_is_refused_before_anything_runs(request_, message):
    with pytest.raises(ConfigurationError, match=message):
        assembled(**request_)


def test_what_needs_a_supernet_is_left_out_and_said_so():
    assembly = assembled(evaluators=["supernet", "size"])
    assert [one.name for one in assembly.evaluators] == ["size"]
    assert assembly.notes == [
        "Evaluator 'supernet' is left out: updater 'draws' trains no supernet to measure."
    ]
    assert not assembly.trainer.watchers


def test_an_updater_that_names_no_evaluator_cannot_evaluate():
    harness = Harness(Still)
    probe = harness.trainer.probe(harness.trainer.root())
    with pytest.raises(PluginError, match="still evaluates and names no evaluator"):
        probe.evaluate(harness.space.sample(harness.space.full(), torch.Generator()))


def test_asking_for_a_supernet_that_is_not_there_says_so():
    harness = Harness(Draws)
    branch = harness.trainer.root()
    with pytest.raises(ConfigurationError, match="no supernet, because its updater trains none"):
        branch.supernet(torch.zeros(2, 3, 8, 8), nastk.Mixture.uniform(branch.subspace))


def test_such_an_updater_is_refused_inside_another(monkeypatch):
    monkeypatch.setattr("nastk.train.wrapper.catalogue", lambda: with_classes(updater=Draws))
    with pytest.raises(ConfigurationError, match="'draws' trains no supernet, so it cannot train"):
        updater_class("draws")


# ---------------------------------------------------------------- forecasts and budgets


def test_a_dry_run_forecasts_the_evaluations():
    found = rehearse(assembled(trainer={"epochs": 5}), memory=True)
    assert (found.epochs, found.steps, found.images_forward, found.parameters) == (5, 0, 0, 0)
    assert (found.updater_images_forward, found.seconds) == (0, 35.0)


def test_a_budget_of_seconds_counts_recorded_ones_and_one_of_images_is_refused():
    assert Budget("seconds", 100.0).epochs(assembled()) == 14
    with pytest.raises(ConfigurationError, match="cost no images here, so no budget of images"):
        Budget("images", 1e4).epochs(assembled())


# ---------------------------------------------------------------- what is said of it


def test_evaluations_are_lines_and_a_summary():
    harness = Harness(Draws)
    harness.run()
    lines = Lines(epochs=3)
    said = [line for event in harness.events if (line := lines.line(event))]
    assert said[1] == "evaluation 2/3  parameters 127  best 991  pool,skip,pool,skip,skip"
    assert len(said) == 3
    assert lines.line(RunStarted("0", 0, 0, 3, 0)) == "3 evaluations, no supernet"
    done = [event for event in harness.events if isinstance(event, EpochDone)]
    assert {(event.loss, event.accuracy, event.learning_rate) for event in done} == {(None,) * 3}
    history = [event.to_json() for event in harness.events]
    cells = [list(column.cells) for column in searched(history).columns]
    assert cells[0] == ["evaluations", "best parameters", "found by evaluation"]
    assert cells[2][0] == "3"
    assert searched([]) is None


# ---------------------------------------------------------------- the option that names it


class Options(nastk.Options):
    evaluator: SearchedBy = Field("size", validate_default=True, description="what is asked")


def test_the_option_is_completed_and_read_back():
    completed = Options(evaluator="retrain,epochs=2").evaluator
    assert completed["name"] == "retrain" and completed["options"]["epochs"] == 2
    assert Options(evaluator=completed).evaluator == completed
    assert Options().evaluator == {"name": "size", "options": {}}
    assert evaluator_option("retrain", epochs=2) == {"evaluator": completed}
    assert evaluator_option("none_such", a=1) == {
        "evaluator": {"name": "none_such", "options": {"a": 1}}
    }


def test_a_preset_of_the_evaluator_is_filled_in_where_it_is_for_anything():
    quick = Options(evaluator="retrain,preset=quick,epochs=3").evaluator["options"]
    assert (quick["epochs"], quick["batch_size"]) == (3, 32)
    with pytest.raises(ConfigurationError, match=r"no preset 'paper' for any space and .*quick"):
        Options(evaluator="retrain,preset=paper")
