"""Names of the version before still work, and say what they are called now."""

from dataclasses import dataclass

import pytest

import nastk
from nastk import Architecture, ArchitectureUpdater, Edge, Mixture, Preset, Subspace
from nastk.base.events import BranchContinued, Ranked
from nastk.base.renamed import RenamedMethods, renamed_fields
from nastk.runs.config import resolve
from nastk.runs.earlier import with_present_names
from nastk.runs.stored import read_events
from nastk.testing import Harness, ToySpace

PUBLIC = ["Use", "Setting", "Caution", "Cosine"]


@pytest.mark.parametrize("old", PUBLIC)
def test_a_public_name_of_before_is_the_new_one(old):
    with pytest.warns(DeprecationWarning, match=rf"nastk\.{old} is called (\w+) now"):
        found = getattr(nastk, old)
    assert found.__name__ not in PUBLIC


FIELDS = {
    "Edge": (lambda: Edge("a", ("conv",), "cell", source=0, head=2), ("source", 0, "tail")),
    "Preset": (lambda: Preset("paper", source="here"), ("source", "here", "citation")),
    "BranchContinued": (
        lambda: BranchContinued("0", 1, 2, heirs=["0.1"]),
        ("heirs", ["0.1"], "children"),
    ),
    "Ranked": (lambda: Ranked("0", 1, 2, judge="table"), ("judge", "table", "evaluator")),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_before_is_the_new_one(name):
    make, (old, value, new) = FIELDS[name]
    with pytest.warns(DeprecationWarning, match=f"{old}=.* is called {new}= now"):
        made = make()
    assert getattr(made, new) == value
    with pytest.warns(DeprecationWarning, match=f"{name}.{old} is called {new} now"):
        assert getattr(made, old) == value


def test_the_new_field_names_warn_of_nothing():
    assert Edge("a", ("conv",), "cell", tail=0, head=2) == Edge("a", ("conv",), "cell", 0, 2)


def test_both_names_of_a_field_at_once_are_refused():
    @renamed_fields(old="new")
    @dataclass(frozen=True)
    class Value:
        new: int

    with pytest.raises(TypeError, match="old and new"):
        Value(old=1, new=2)


def test_a_method_of_before_answers_for_the_new_one():
    full = Subspace.full(ToySpace().edges)
    with pytest.warns(DeprecationWarning, match="players is called alive_operations now"):
        assert full.players() == full.alive_operations()


def test_an_updater_written_before_is_asked_by_the_new_names():
    with pytest.warns(DeprecationWarning, match="Before.complaint is called incompatibility now"):

        class Before(ArchitectureUpdater):
            name, summary = "before", "written for the version before"

            def complaint(self, plan):
                assert super().complaint(plan) is None
                return f"not in {plan.epochs} epochs"

            def mixtures(self, probe):
                return [Mixture.uniform(probe.subspace)]

            def architecture(self, probe) -> Architecture:
                return self.space.decide(Mixture.uniform(probe.subspace).weights, probe.subspace)

    harness = Harness(Before)
    updater = harness.trainer.root().updater
    with pytest.warns(DeprecationWarning):
        said = updater.incompatibility(harness.plan)
    assert said == f"not in {harness.plan.epochs} epochs"
    with pytest.warns(DeprecationWarning):
        assert updater.complaint(harness.plan) == said


def test_a_subclass_of_a_plugin_written_anew_wins():
    class Interface(RenamedMethods, renamed={"old": "new"}):
        def new(self):
            return "interface"

    class Anew(Interface):
        def new(self):
            return "anew"

    with pytest.warns(DeprecationWarning, match="Interface.old is called new now"):
        assert Anew().old() == "anew"


def test_configurations_of_before_are_read():
    ranking = {"judge": "size", "metric": "parameters", "judge_options": {}}
    limit = {"metric": "parameters", "at_most": 9e6, "judge": "toy-size", "judge_options": {}}
    given = {"ranking": ranking, "limits": [limit], "leaf_judge": "supernet", "seed": 3}
    assert with_present_names(given) == {
        "ranking": {"evaluator": "size", "metric": "parameters", "evaluator_options": {}},
        "limits": [
            {
                "metric": "parameters",
                "at_most": 9e6,
                "evaluator": "toy-size",
                "evaluator_options": {},
            }
        ],
        "leaf_evaluator": "supernet",
        "seed": 3,
    }
    config = resolve(
        {
            "space": "nasbench201",
            "updater": "random",
            "data": "digits",
            "ranking": {"judge": "size", "metric": "parameters"},
            "leaf_judge": "supernet",
        }
    )
    assert config.ranking is not None and config.ranking.evaluator == "size"
    assert config.leaf_evaluator is not None and config.leaf_evaluator.name == "supernet"


LOG = [
    (b'{"kind": "branch-continued", "branch": "0", "epoch": 1, "step": 4, "heirs": ["0.1"]}',
     "children", ["0.1"]),
    (b'{"kind": "ranked", "branch": "0", "epoch": 1, "step": 4, "judge": "table"}',
     "evaluator", "table"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "name", "value"), LOG)
def test_logs_of_before_are_read(line, name, value):
    (event,), damaged = read_events(line + b"\n")
    assert event[name] == value and damaged == 0
