"""What evaluators and updaters answer is checked before it is written: plain, finite numbers."""

import json
import math

import numpy as np
import pytest
import torch
from core_kit import Still, started, with_classes
from limits_kit import setting_of

import nastk
from nastk import DataError, Evaluation, Evaluator, PluginError, assemble
from nastk.base.events import UpdaterReported
from nastk.base.values import as_json, document, finite, number
from nastk.runs.folder import RESULT, EventLog, RunFolder
from nastk.runs.run import Run
from nastk.testing import ToySpace
from nastk.train.evaluator import checked, evaluated, evaluated_all

ARCHITECTURE = ToySpace().from_text("conv,skip,pool,conv,skip")
TOY = {
    "space": "toy",
    "updater": "toy-split",
    "data": "toy",
    "trainer": {"epochs": 1, "batch_size": 24},
}


def said(answer):
    """An evaluator that answers what `answer` gives."""

    class Said(Evaluator):
        name, summary = "said", "says what it is told"

        def evaluate(self, architecture, probe):
            return answer()

    return Said(setting_of(ToySpace()))


def loose(metrics, notes=(), seconds=0.0, trainings=None):
    """An evaluation of whatever kind of values, as users' own code makes it."""
    made = object.__new__(Evaluation)
    values = {"metrics": metrics, "notes": notes, "seconds": seconds}
    vars(made).update(evaluator="said", trainings=trainings or {}, **values)
    return made


def metric(value):
    return lambda: loose({"fine": 1.0, "accuracy": value})


# ---------------------------------------------------------------------- an evaluator's answer


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (0.5, 0.5),
        (3, 3),
        (True, 1),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.array(0.25), 0.25),
        (torch.tensor(0.5), 0.5),
        (torch.tensor(7), 7),
        (torch.tensor(0.5, requires_grad=True), 0.5),
    ],
    ids=repr,
)
def test_numbers_of_any_kind_become_plain_ones(value, plain):
    found = evaluated(said(metric(value)), ARCHITECTURE, None)
    assert found == Evaluation("said", {"fine": 1.0, "accuracy": plain})
    assert type(found.metrics["accuracy"]) is type(plain), "whole numbers stay whole"


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        "0.5",
        None,
        [0.5],
        1j,
        np.float32("nan"),
        torch.tensor([0.5]),
        torch.tensor(math.nan),
        torch.empty((), device="meta"),
    ],
    ids=repr,
)
def test_what_is_no_finite_number_is_refused_by_evaluator_and_metric(value):
    with pytest.raises(PluginError, match=r"^Evaluator 'said' answered accuracy = .*finite number"):
        evaluated(said(metric(value)), ARCHITECTURE, None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda: None, r"Evaluator 'said' answered NoneType; expected an Evaluation"),
        (lambda: {"accuracy": 1.0}, r"answered dict; expected an Evaluation"),
        (lambda: loose(None), r"answered an Evaluation whose metrics are no mapping"),
        (lambda: loose({}, (), math.nan), r"'said' answered seconds = nan"),
    ],
)
def test_other_answers_are_refused(answer, message):
    with pytest.raises(PluginError, match=message):
        evaluated(said(answer), ARCHITECTURE, None)


def test_notes_are_texts_and_errors_of_nastk_pass():
    found = checked(said(None), loose({}, "one note", np.float32(2)))
    assert (found.notes, found.seconds) == (("one note",), 2.0)
    with pytest.raises(DataError, match="no such row"):
        evaluated(said(lambda: (_ for _ in ()).throw(DataError("no such row"))), ARCHITECTURE, None)


def test_every_answer_of_several_is_checked():
    values = iter([0.5, math.nan])
    with pytest.raises(PluginError, match="accuracy = nan"):
        evaluated_all(said(lambda: metric(next(values))()), [ARCHITECTURE] * 2, [None] * 2)
    few = said(None)
    few.evaluate_all = lambda architectures, probes: []
    with pytest.raises(PluginError, match="judged 2 architectures and gave 0 answers"):
        evaluated_all(few, [ARCHITECTURE] * 2, [None] * 2)


def test_a_search_whose_evaluator_answers_nonsense_is_kept_and_ends_well_once_it_is_mended(
    tmp_path, monkeypatch
):
    evaluator = type(said(metric(math.nan)))
    monkeypatch.setattr("nastk.runs.assembly.catalogue", lambda: with_classes(evaluator=evaluator))
    monkeypatch.setattr("nastk.runs.config.catalogue", lambda: with_classes(evaluator=evaluator))
    run = Run.new(nastk.resolve({**TOY, "evaluators": ["size", "said"]}), tmp_path / "a")
    message = r"Evaluator 'said' answered accuracy = nan; .* The search itself is kept .*resume"
    with pytest.raises(PluginError, match=message):
        list(run.events())
    assert run.folder.state() == "failed" and "accuracy = nan" in run.folder.error()
    monkeypatch.setattr(evaluator, "evaluate", lambda *_: metric(np.float32(0.5))())
    result = nastk.resume(tmp_path / "a")
    assert result.evaluation["accuracy"] == 0.5
    assert json.loads((tmp_path / "a" / RESULT).read_text(), parse_constant=pytest.fail)


def test_limits_and_rankings_ask_by_the_same_check():
    evaluator = type(said(metric(math.nan)))
    for request in ({"limits": ["accuracy=1:said"]}, {"ranking": {"evaluator": "said"}}):
        known = with_classes(evaluator=evaluator)
        with pytest.raises(PluginError, match="'said' answered accuracy = nan"):
            assemble(nastk.resolve({**TOY, **request}, known), installed=known)


# ---------------------------------------------------------------------- what an updater reports


def reported(**values):
    harness, _, probe = started(Still)
    probe.report("scores", **values)
    (event,) = [event for event in harness.events if isinstance(event, UpdaterReported)]
    return event.values


def test_reports_become_json():
    found = reported(
        table=torch.tensor([[1.5, 2.0]]), step=np.int64(3), by={4: (1, None)}, text="a", ok=True
    )
    assert found == {
        "table": [[1.5, 2.0]],
        "step": 3,
        "by": {"4": [1, None]},
        "text": "a",
        "ok": True,
    }
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (math.nan, "value is nan"),
        ([1.0, {"low": -math.inf}], r"value\.1\.low is -inf"),
        (torch.tensor([0.0, math.nan]), r"value\.1 is nan"),
        (object(), "value is a object"),
        ({1, 2}, "value is a set"),
        (b"x", "value is a bytes"),
    ],
)
def test_a_report_that_json_cannot_hold_is_refused_by_its_place(value, where):
    message = rf"^What updater 'still' reports of 'scores', {where}; expected what JSON can hold"
    with pytest.raises(PluginError, match=message):
        reported(value=value)


def test_a_nest_that_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(PluginError, match="a list; expected what JSON can hold"):
        as_json(endless, "it")


# ---------------------------------------------------------------------- files


def test_files_hold_no_number_that_is_none(tmp_path):
    folder = RunFolder(tmp_path)
    log = EventLog(folder)
    log.write({"kind": "epoch-done", "loss": math.inf, "rows": [[math.nan, 1.0]]})
    log.close()
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    event = json.loads(line, parse_constant=pytest.fail)
    assert (event["loss"], event["rows"]) == (None, [[None, 1.0]])
    assert json.loads(document({"a": (math.nan,)}), parse_constant=pytest.fail) == {"a": [None]}
    assert finite({"a": 1, "b": "NaN"}) == {"a": 1, "b": "NaN"}
    assert number(10**400) is None
