"""What every evaluator inherits, and what its callers check."""

import pytest
import torch
from limits_kit import setting_of
from pydantic import Field

import nastk
from nastk import Evaluation, Evaluator, PluginError, StopRequested
from nastk.base.cost import PhaseCost
from nastk.testing import ToySpace
from nastk.train.evaluator import EvaluationContext, RunHandle, evaluated_all

SPACE = ToySpace()
FIRST = SPACE.from_text("conv,skip,pool,conv,skip")
SECOND = SPACE.from_text("skip,skip,pool,skip,conv")


class Counting(Evaluator):
    """Counts convolutions."""

    name, summary = "counting", "counts convolutions"

    class Options(nastk.Options):
        times: int = Field(1, ge=1, description="what a convolution counts")

    def evaluate(self, architecture, probe):
        names = [name for _, name in architecture.links()]
        return Evaluation("counting", {"convolutions": self.options.times * names.count("conv")})


def made(**options):
    return Counting(setting_of(SPACE), Counting.parse_options(options) if options else None)


def test_options_are_the_defaults_unless_given():
    assert made().options == Counting.Options()
    assert made(times=3).evaluate(FIRST, None).metrics == {"convolutions": 6}


@pytest.mark.parametrize(
    ("seconds", "more"), [(0.0, {}), (2.5, {"seconds": 2.5})], ids=["none", "some"]
)
def test_seconds_are_written_where_there_are_any_and_compare_nothing(seconds, more):
    found = Evaluation("x", {"a": 1}, ("a note",), seconds)
    assert found.to_json() == {"evaluator": "x", "metrics": {"a": 1}, "notes": ["a note"], **more}
    assert found == Evaluation("x", {"a": 1}, ("a note",)) != Evaluation("x", {"a": 2})
    assert "seconds" not in Evaluation("x", {"a": 1}).to_json()


def test_a_run_that_is_asked_to_stop_ends_what_is_measured():
    asked = []
    handle = RunHandle(stopping=lambda: bool(asked))
    handle.check()
    asked.append(True)
    with pytest.raises(StopRequested, match="while an evaluator was working"):
        handle.check()


def test_without_a_run_nothing_is_counted_told_or_stopped():
    known = setting_of(SPACE)
    context = EvaluationContext(known.space, known.task, known.splits)
    assert (context.seed, context.device) == (0, torch.device("cpu"))
    context.run.check()
    assert context.run.charge(1, 2) is context.run.tell("half", 1, 2) is None


def test_what_an_evaluator_does_not_say_is_unknown_or_nothing():
    one = made()
    assert (one.criteria, one.advice("runs/a"), one.max_cost()) == (None, (), None)
    assert (Counting.needs_supernet, Counting.needs_images) == (False, True)
    one.needs_images = False
    assert one.max_cost() == PhaseCost()
    named = {"test_accuracy": True, "valid_accuracy": False, "parameters": False}
    assert {name: one.of_test(name) for name in named} == named


def test_several_are_measured_in_their_order_each_with_its_probe():
    found = evaluated_all(made(), [FIRST, SECOND, FIRST], [None] * 3)
    assert [each.metrics["convolutions"] for each in found] == [2, 1, 2]
    with pytest.raises(ValueError, match="zip"):
        evaluated_all(made(), [FIRST, SECOND], [None])


ONE = Evaluation("counting", {"convolutions": 1})


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        ([ONE], "1 answers"),
        ([ONE] * 3, "3 answers"),
        (iter([ONE] * 2), "<list_iterator"),
        (None, "None"),
    ],
    ids=["few", "many", "iterator", "none"],
)
def test_answers_that_are_not_one_for_each_are_refused(answer, got):
    one = made()
    one.evaluate_all = lambda architectures, probes: answer
    with pytest.raises(PluginError, match=f"judged 2 architectures and gave {got}"):
        evaluated_all(one, [FIRST, SECOND], [None, None])


def test_the_names_of_before_are_understood():
    known, handle = setting_of(SPACE), RunHandle()
    with pytest.warns(DeprecationWarning, match=r"caller=.* is called run= now"):
        context = EvaluationContext(known.space, known.task, known.splits, caller=handle)
    assert context.run is handle
    with pytest.warns(DeprecationWarning, match="caller is called run now"):
        assert context.caller is handle
    with pytest.warns(DeprecationWarning, match="setting is called context now"):
        assert made().setting.space is SPACE
