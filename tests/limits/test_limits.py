"""Limits as they are written, resolved, checked when a run is assembled, and shown."""

import json

import pytest
import torch
from cli_kit import called
from core_kit import WISHES, searched, with_classes, without_time
from limits_kit import ToySize

import nastk
from nastk import (
    ArchitectureUpdater,
    ConfigurationError,
    PluginError,
    UnknownNameError,
    assemble,
    resolve,
)
from nastk.limits.limit import amount, read
from nastk.runs.config import to_json
from nastk.runs.folder import RunFolder
from nastk.testing import ToySpace

TOY = {**WISHES, "updater": "darts", "device": "cpu"}
LIMIT = "params=415:toy-size"


def installed(**classes):
    return with_classes(evaluator=ToySize, **classes)


# ---------------------------------------------------------------- how a limit is written


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("params=4M", ("parameters", 4e6, "size", {})),
        ("madds=600M", ("multiply_adds", 6e8, "size", {})),
        ("multiply_adds=1.5G", ("multiply_adds", 1.5e9, "size", {})),
        ("parameters=415", ("parameters", 415.0, "size", {})),
        ("latency=20ms", ("latency", 0.02, "latency", {})),
        ("latency=0.5:table=a/b.json", ("latency", 0.5, "latency", {"table": "a/b.json"})),
        ("rank=100:table,epochs=12,split=valid",
         ("rank", 100.0, "table", {"epochs": 12, "split": "valid"})),
        ("rank=5:retrain,rungs=[1,2,4],seed=3",
         ("rank", 5.0, "retrain", {"rungs": [1, 2, 4], "seed": 3})),
        ("params=4M:flags=2", ("parameters", 4e6, "size", {"flags": 2})),
        ("table_latency_pixel3=5ms:table", ("table_latency_pixel3", 0.005, "table", {})),
        ({"metric": "params", "at_most": "4M"}, ("parameters", 4e6, "size", {})),
        ({"metric": "x", "at_most": 3, "evaluator": "me"}, ("x", 3.0, "me", {})),
    ],
)  # fmt: skip
def test_what_people_write_is_read(text, found):
    limit = read(text)
    assert (
        tuple(limit[key] for key in ("metric", "at_most", "evaluator", "evaluator_options"))
        == found
    )
    assert read(limit) == limit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params", r"written as METRIC=VALUE\[:EVALUATOR"),
        ("=4M", r"written as METRIC=VALUE"),
        ("params=4M:", r"written as METRIC=VALUE"),
        ("params=4M:size,fast", r"written as METRIC=VALUE"),
        ("params=4Q", r"limit of parameters is a number, with one of k, M, G or without; got '4Q'"),
        ("params=20ms", r"with one of k, M, G"),
        ("latency=4M", r"with one of s, ms, us or without; got '4M'"),
        ("params=-4", r"is a number"),
        ("speed=4", r"Who knows the metric 'speed'\? .*--limit speed=4:EVALUATOR"),
        ({"metric": "params"}, r"written as METRIC=VALUE"),
        (4, r"written as METRIC=VALUE"),
    ],
)
def test_what_cannot_be_read_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("value", "metric", "found"),
    [("250us", "latency", 2.5e-4), ("2s", "train_seconds", 2.0), ("1e6", "parameters", 1e6)],
)
def test_units(value, metric, found):
    assert amount(value, metric) == pytest.approx(found, rel=1e-15)


# ---------------------------------------------------------------- configuration


def test_limits_are_resolved_and_read_back_from_a_run_folder():
    config = resolve({**TOY, "limits": ["params=415", "madds=40k"]})
    assert [(one.metric, one.at_most, one.evaluator) for one in config.limits] == [
        ("parameters", 415.0, "size"),
        ("multiply_adds", 40000.0, "size"),
    ]
    assert resolve(json.loads(to_json(config))) == config


@pytest.mark.parametrize("given", [None, []])
def test_a_run_without_limits_has_none(given):
    config = resolve({**TOY, "limits": given})
    assert config.limits is None
    assert assemble(config).space.costs is None


@pytest.mark.parametrize(
    ("limits", "error", "message"),
    [
        ("params=4M", ConfigurationError, r"limits is a list, such as \[params=4M\]"),
        (["params=4:sise"], UnknownNameError, r"No evaluator is named 'sise'\. Did you mean"),
        (["params=4:size,deep=1"], ConfigurationError, r"size has no option 'deep'"),
        (["params=4", "parameters=5"], ConfigurationError, r"parameters is limited twice"),
        ([{"metric": "params", "at_most": 4, "less": 1}], ConfigurationError, r"no option 'less'"),
        (["params=0"], ConfigurationError, r"at_most must be more than 0"),
    ],
)  # fmt: skip
def test_limits_that_cannot_be_are_refused_when_resolved(limits, error, message):
    with pytest.raises(error, match=message):
        resolve({**TOY, "limits": limits})


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (["params=126:toy-size"],
         r"No architecture of space 'toy' that was found keeps the limit: the smallest parameters "
         r"is 127, the limit 126\. Raise the limit"),
        (["params=127:toy-size", "skips=0.5:toy-size", "x=1:toy-size"],
         r"Evaluator 'toy-size' has no metric 'x' to limit\. It has: parameters, skips"),
        (["valid_accuracy=1:supernet"], r"evaluator 'supernet' needs a trained supernet"),
    ],
)  # fmt: skip
def test_impossible_limits_are_refused_before_training(limits, message):
    known = installed()
    with pytest.raises(ConfigurationError, match=message):
        assemble(resolve({**TOY, "limits": limits}, known), installed=known)


def test_limits_that_cannot_be_kept_together_say_so():
    known = installed()
    limits = [{"metric": name, "at_most": most, "evaluator": "toy-size"}
              for name, most in (("parameters", 200), ("skips", 1))]  # fmt: skip
    # `second:` edges offer conv or skip (never none), so few convolutions need two skips.
    with pytest.raises(ConfigurationError, match=r"keeps the limits together: .*skips is 0"):
        assemble(resolve({**TOY, "limits": limits}, known), installed=known)


def test_the_assembled_space_is_limited_and_the_judge_is_asked_few_times():
    known = installed()
    found = assemble(
        resolve({**TOY, "limits": [LIMIT, "skips=5:toy-size"]}, known), installed=known
    )
    space = found.space
    assert (space.name, space.edges) == ("toy", ToySpace().edges)
    assert found.trainer.space is space
    assert space.limits[0]._known is space.limits[1]._known
    assert space.limits[0]._known.evaluator.asked <= 40
    assert [one.name for one in found.evaluators] == ["supernet", "size", "limits"]


def test_assembling_leaves_the_random_state_alone():
    before = torch.manual_seed(5).get_state()
    assemble(resolve({**TOY, "limits": ["params=415"]}))
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------- runs


def test_a_run_says_what_its_limits_are(tmp_path):
    result = searched(tmp_path / "a", updater="darts", limits=["params=415", "madds=40k"])
    (said,) = [one for one in result.evaluations if one.evaluator == "limits"]
    assert list(said.metrics) == [
        "parameters", "most_parameters", "multiply_adds", "most_multiply_adds",
    ]  # fmt: skip
    assert said.metrics["parameters"] == result.evaluations[1].metrics["parameters"] <= 415.0
    assert said.metrics["most_multiply_adds"] == 40000.0
    assert "exactly a sum over the operations" in said.notes[0]


def test_a_loose_limit_changes_no_bit(tmp_path):
    runs = [
        searched(tmp_path / str(number), updater="darts", limits=limits)
        for number, limits in enumerate(([], ["params=1M"]))
    ]
    kept = [
        [without_time(event) | {"path": "", "config": 0} for event in run.history
         if event["kind"] != "evaluated"]
        for run in runs
    ]  # fmt: skip
    assert kept[0] == kept[1]


def test_a_limited_run_goes_on_where_it_stopped(tmp_path):
    request = {**TOY, "updater": {"name": "random", "options": {"candidates": 5}},
              "limits": ["params=415"]}  # fmt: skip
    whole = nastk.search(**request, out=tmp_path / "whole")
    for number, _ in enumerate(nastk.stream(resolve(request), out=tmp_path / "part")):
        if number == 8:
            break
    assert RunFolder(tmp_path / "part").state() == "interrupted"
    resumed = nastk.resume(tmp_path / "part")
    assert resumed.text == whole.text
    assert resumed.evaluation == whole.evaluation


class Stubborn(ArchitectureUpdater):
    """Decides by itself and knows of no limit."""

    name, summary = "stubborn", "always convolutions"

    def mixtures(self, probe):
        return [nastk.Mixture.uniform(probe.subspace)]

    def architecture(self, probe):
        return self.space.architecture([("conv",)] * 5)


def test_an_updater_that_decides_by_itself_is_found_out_after_an_epoch():
    known = installed(updater=Stubborn)
    run = assemble(resolve({**TOY, "updater": "stubborn", "limits": [LIMIT]}, known),
                   installed=known)  # fmt: skip
    with pytest.raises(
        PluginError, match=r"Updater 'stubborn' answered .*parameters = 1,279, over"
    ):
        list(run.trainer.run([run.trainer.root()]))


def test_the_command_line_takes_limits_and_shows_them(workplace):
    words = ["search", "--space", "toy", "--updater", "random", "--data", "toy", "-q", "-u",
             "candidates=2", "--epochs", "1", "-o", "a"]  # fmt: skip
    code, out, _ = called(*words, "--limit", "params=415", "--limit", "madds=40k", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["evaluations"][-1]["evaluator"] == "limits"
    code, out, _ = called("show", "a")
    assert code == 0
    shown = " ".join(out.split())
    assert "limits parameters" in shown and "most parameters 415" in shown
    code, _, err = called(*words[:-1], "b", "--limit", "params=4")
    assert code == 2 and "the smallest parameters is" in err


def test_a_study_takes_limits(workplace):
    words = ["compare", "--space", "toy", "--updater", "random", "--data", "toy", "-q", "--json",
             "-u", "random.candidates=2", "--epochs", "1", "--seeds", "0"]  # fmt: skip
    code, out, _ = called(*words, "--limit", "params=415")
    assert code == 0
    (row,) = json.loads(out)["rows"]
    assert row["metrics"]["parameters"]["mean"] <= 415.0
