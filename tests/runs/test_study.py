"""Studies: paired by seed, random always there, kept over interruptions, of one protocol."""

import csv
import io
import json
import sys
from statistics import stdev

import pytest
from cli_kit import called

import nastk
from nastk import ConfigurationError, Preset, StopRequested
from nastk.cli.study import _specs, seed_range
from nastk.runs import checkpoint
from nastk.runs.folder import RunFolder
from nastk.runs.run import Run
from nastk.runs.study_plan import plan
from nastk.testing import fingerprint

TOY = {"data": "toy", "trainer": {"epochs": 2, "batch_size": 16}}
RANDOM = nastk.use("random", candidates=3)


def study(out, updaters=("darts", RANDOM), **changes):
    return nastk.compare("toy", updaters, out=out, **{**TOY, **changes})


def test_a_study_tabulates_every_updater_over_the_seeds(tmp_path):
    found = study(tmp_path, seeds=[3, 5])
    assert [(row["updater"], row["seeds"]) for row in found.rows] == [
        ("darts", [3, 5]),
        ("random(candidates=3)", [3, 5]),
    ]
    for row in found.rows:
        accuracy = row["metrics"]["valid_accuracy"]
        results = [nastk.Result(c.folder) for c in found.cells if c.label == row["updater"]]
        values = [result.evaluation["valid_accuracy"] for result in results]
        assert accuracy["values"] == values
        assert accuracy["mean"] == pytest.approx(sum(values) / 2)
        assert accuracy["std"] == pytest.approx(stdev(values))
        assert row["architectures"] == [result.text for result in results]
    assert found.rows[0]["metrics"]["images_backward"]["mean"] == 2 * 2 * 48
    assert json.loads((tmp_path / "study.json").read_text()) == found.rows
    lines = list(csv.DictReader(io.StringIO((tmp_path / "study.csv").read_text())))
    assert [line["updater"] for line in lines] == [row["updater"] for row in found.rows]
    mean = found.rows[0]["metrics"]["parameters"]["mean"]
    assert float(lines[0]["parameters_mean"]) == mean
    single = [float(value) for value in lines[1]["valid_accuracy_values"].split()]
    assert single == found.rows[1]["metrics"]["valid_accuracy"]["values"]


def test_runs_of_one_seed_start_from_the_same_weights(tmp_path):
    shapley = nastk.use("shapley", warmup=1)
    cells = plan({"space": "toy", **TOY}, ["darts", shapley], [4], tmp_path)
    roots = [nastk.assemble(cell.config).trainer.root() for cell in cells]
    prints = {fingerprint(root.supernet.state_dict()) for root in roots}
    batches = {fingerprint(nastk.assemble(cell.config).trainer.train.at(7)) for cell in cells}
    assert (len(cells), len(prints), len(batches)) == (3, 1, 1)


def test_random_is_always_included_and_one_seed_has_no_deviation(tmp_path):
    found = study(tmp_path, ["darts"], seeds=[0])
    assert [row["updater"] for row in found.rows] == ["darts", "random"]
    assert found.rows[0]["metrics"]["parameters"]["std"] is None


def test_a_stopped_study_goes_on_and_keeps_what_is_finished(tmp_path):
    straight = study(tmp_path / "straight", seeds=[0, 1])

    def stop(event):
        stops.append(event) if event.kind == "epoch-done" else None
        if len(stops) == 4:  # inside the second run
            raise StopRequested("enough")

    stops = []
    with pytest.raises((StopRequested, nastk.PluginError)):
        study(tmp_path / "stopped", seeds=[0, 1], observers=[stop])
    first = RunFolder.open(tmp_path / "stopped" / "darts-seed0")
    assert first.state() == "finished"
    before = (first.path / "result.json").stat().st_mtime_ns
    again = study(tmp_path / "stopped", seeds=[0, 1])
    assert (first.path / "result.json").stat().st_mtime_ns == before
    for one, other in zip(straight.cells, again.cells, strict=True):
        states = [checkpoint.newest(cell.folder.checkpoints)[0].branches for cell in (one, other)]
        assert fingerprint(states[0]) == fingerprint(states[1])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished study of three seeds."""
    out = tmp_path_factory.mktemp("study")
    study(out, seeds=[0, 1, 2])
    return out


def test_a_finished_study_is_read_without_the_whole_command(finished):
    found = nastk.Study.load(finished)
    assert found.rows == json.loads((finished / "study.json").read_text())
    comparison = found.comparison()
    assert (comparison.metric, comparison.to) == ("test_accuracy", "random(candidates=3)")
    assert comparison.seeds == (0, 1, 2) and list(comparison.differences) == ["darts"]
    frame = found.frame()
    assert list(frame["updater"]) == ["darts"] * 3 + ["random(candidates=3)"] * 3
    assert {"seed", "test_accuracy", "images_forward"} <= set(frame.columns)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), ["darts", "of test accuracy over 3 seeds", "valid accuracy", "3 pairs cannot show"]),
        (("--metric", "parameters"), ["of parameters over 3 seeds"]),
        (("--csv",), ["updater,seeds,", "valid_accuracy_values"]),
        (("--latex",), [r"\toprule", "darts", "difference", "& -- & --", "% Paired by seed"]),
        (("--markdown",), ["| updater", "| darts", " -- |", "Paired by seed"]),
    ],
)
def test_show_prints_it_in_every_form(finished, flags, words):
    code, out, _ = called("compare", "--show", str(finished), *flags)
    assert code == 0 and all(word in out for word in words), out


def test_show_as_json_has_rows_and_comparison(finished):
    code, out, _ = called("compare", "--show", str(finished), "--json")
    found = json.loads(out)
    assert code == 0 and found["rows"] == json.loads((finished / "study.json").read_text())
    assert found["comparison"]["differences"]["darts"]["pairs"] == 3


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--csv", "--latex"), "in one form, got --csv and --latex"),
        (("--metric", "acuracy"), "No run of the study has the metric 'acuracy'"),
        (("--to", "shapley"), "no updater 'shapley'"),
    ],
)
def test_what_cannot_be_shown_is_said(finished, flags, words):
    code, _, err = called("compare", "--show", str(finished), *flags)
    assert code == 2 and words in err


def test_a_folder_without_a_finished_study_is_refused(tmp_path, finished):
    with pytest.raises(ConfigurationError, match="no finished study"):
        nastk.Study.load(tmp_path)
    (tmp_path / "study.json").write_text((finished / "study.json").read_text())
    with pytest.raises(ConfigurationError, match="darts-seed0 is no finished run"):
        nastk.Study.load(tmp_path)


def test_without_the_libraries_the_metrics_are_still_shown(finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.stats.multitest", None)
    code, out, err = called("compare", "--show", str(finished))
    assert code == 0 and "valid accuracy" in out and "nastk[studies]" in err


def test_a_study_is_extended_by_asking_for_more(tmp_path):
    study(tmp_path, ["darts", RANDOM], seeds=[0])
    heard = []
    found = study(tmp_path, ["darts", RANDOM], seeds=[0, 1], observers=[heard.append])
    assert sum(event.kind == "run-started" for event in heard) == 2
    assert [row["seeds"] for row in found.rows] == [[0, 1], [0, 1]]


def test_two_protocols_are_never_mixed(tmp_path):
    study(tmp_path, seeds=[0])
    with pytest.raises(ConfigurationError, match="was run with another trainer, and a study"):
        study(tmp_path, seeds=[0], trainer={"epochs": 3, "batch_size": 16})


@pytest.mark.parametrize(
    ("updaters", "changes", "message"),
    [
        (["darst"], {}, "Did you mean 'darts'"),
        (["darts", "darts"], {}, "needs at least one updater, and each only once"),
        (["darts"], {"seeds": [0, 0]}, "needs at least one seed, and each only once"),
        (["darts"], {"seeds": []}, "needs at least one seed"),
        ([nastk.use("darts", warmup=9)], {}, "warmup=9 leaves alpha no epoch"),
    ],
)
def test_a_study_that_cannot_work_is_refused_before_any_run(updaters, changes, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        study(tmp_path / "out", updaters, **changes)
    assert not (tmp_path / "out").exists()


def test_whom_to_compare_with_is_known_before_any_run(tmp_path):
    asked = ("compare", "--space", "toy", "--data", "toy", "--updater", "darts")
    code, _, err = called(*asked, "--to", "dart", "--out", str(tmp_path / "out"))
    assert code == 2 and "got 'dart'. Did you mean 'darts'? It has: darts, random." in err
    assert not (tmp_path / "out").exists()


def test_a_name_that_two_updaters_share_is_refused_before_any_run(tmp_path):
    asked = ("compare", "--space", "toy", "--data", "toy", "--out", str(tmp_path / "out"))
    ours = ("--updater", "random,candidates=2", "--updater", "random,candidates=3")
    code, _, err = called(*asked, *ours, "--to", "random")
    assert code == 2 and "--to random may be any of random(candidates=2), random(cand" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0", [0]), ("0-3", [0, 1, 2, 3]), ("0,2,5", [0, 2, 5]), ("1-2,7", [1, 2, 7])],
)
def test_seeds_are_written_as_people_write_them(text, seeds):
    assert seed_range(text) == seeds


@pytest.mark.parametrize(
    "text",
    ["", "a", "-1", "1-", "0;1", "3-1", "\u00b2", "\u0663", "9" * 5000, "1_0", "0-" + "9" * 30],
)
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(ConfigurationError, match="--seeds takes seeds such as"):
        seed_range(text)


@pytest.mark.parametrize("text", ["0-999999999999", "0-999,0-999", "1-1001"])
def test_too_many_seeds_are_refused(text):
    with pytest.raises(ConfigurationError, match="asks for more than 1,000 seeds"):
        seed_range(text)


@pytest.mark.parametrize(
    ("budget", "scored"),
    [("images=6k", 100), ("images=4k", 25), ("images=1k", 6), ("images=230", 1)],
)
def test_random_that_was_added_never_stands_in_the_way_of_a_budget(budget, scored, tmp_path):
    """It scores fewer architectures, and half of the budget is left to train."""
    request = {"space": "toy", "data": "toy", "trainer": {"batch_size": 16}}
    darts, random = plan(request, ["darts"], [0], tmp_path, budget)
    assert (darts.label, random.config.updater.options["candidates"]) == ("darts", scored)
    assert random.folder.path.name == "random-seed0"
    assert random.label == ("random" if scored == 100 else f"random(candidates={scored})")


def test_random_that_was_asked_for_is_as_it_was_asked_for(tmp_path):
    request = {"space": "toy", "data": "toy", "trainer": {"batch_size": 16}}
    with pytest.raises(ConfigurationError, match="too small for 'random'"):
        plan(request, ["random"], [0], tmp_path, "images=1k")


def test_a_study_within_a_budget_goes_on_with_the_random_search_that_it_has(tmp_path):
    request = {"space": "toy", "data": "toy", "trainer": {"batch_size": 16}}
    before = plan(request, ["darts"], [0], tmp_path, "images=1k")[1]
    events = Run.new(before.config, before.folder.path).events()
    next(events)
    events.close()
    after = plan(request, ["darts"], [0, 1], tmp_path, "images=1k")[2:]
    assert [one.config.updater for one in after] == [before.config.updater] * 2
    assert [one.config.trainer for one in after] == [before.config.trainer] * 2


@pytest.mark.parametrize(
    ("pairs", "uses"),
    [
        ([], [nastk.use("darts")]),
        (["random.candidates=10"], [nastk.use("darts"), nastk.use("random", candidates=10)]),
        (["darts.order=1"], [nastk.use("darts", order=1)]),
    ],
)
def test_options_of_random_may_be_given_though_it_was_not_named(pairs, uses):
    assert _specs(["darts"], pairs) == uses


def test_the_command_shows_the_table(workplace):
    command = "compare --space toy --updater darts --updater random --data toy --epochs 1"
    more = ["-t", "batch_size=16", "-u", "random.candidates=2", "--seeds", "0-1", "--out", "s"]
    code, out, err = called(*command.split(), *more)
    assert code == 0
    for words in ("darts", "random  candidates=2", "2 seeds", "valid accuracy", "±", "study.csv"):
        assert words in out
    assert "darts, seed 1 -> s/darts-seed1" in err
    assert (workplace / "s" / "random-candidates=2-seed0" / "result.json").exists()


def test_a_study_reads_its_images_once_and_another_reads_its_own(tmp_path, monkeypatch):
    made, toy = [], nastk.catalogue().load("data", "toy")
    begin = toy.__init__
    monkeypatch.setattr(
        toy, "__init__", lambda self, *given: made.append(self) or begin(self, *given)
    )
    study(tmp_path / "one", ["darts"], seeds=[0, 1])
    assert len(made) == 1
    study(tmp_path / "other", ["darts"], seeds=[0])
    assert len(made) == 2


def test_a_study_that_is_under_way_is_shown_as_far_as_it_has_come(workplace, monkeypatch):
    def stop(event):
        if event.kind == "run-finished":
            finished.append(event)
        if len(finished) == 2 and event.kind == "epoch-done":  # inside the third run
            raise StopRequested("enough")

    finished = []
    with pytest.raises((StopRequested, nastk.PluginError)):
        study("s", seeds=[0, 1], observers=[stop])
    code, out, err = called("compare", "--show", "s")
    assert code == 0 and "s is under way: 2 of 4 runs are done." in err
    assert "darts" in out and "without a run: seed 1 of random" in " ".join(out.split())
    for folder in (workplace / "s").glob("*-seed0"):
        (folder / "result.json").unlink()
    code, _, err = called("compare", "--show", "s")
    assert code == 2 and "No run of s is done yet" in err


def test_one_updater_takes_part_with_several_settings(workplace):
    code, out, _ = called(
        "compare", "--space", "toy", "--data", "toy", "--updater", "random,candidates=2",
        "--updater", "random,candidates=3", "-u", "random.batches=1", "-u", "random.candidates=9",
        "--epochs", "1", "--seeds", "0", "-o", "s", "--json", "-q",
    )  # fmt: skip
    assert code == 0
    assert [row["updater"] for row in json.loads(out)["rows"]] == [
        "random(batches=1, candidates=2)",
        "random(batches=1, candidates=3)",
    ]


def test_an_updater_may_have_a_preset_of_its_own(tmp_path, monkeypatch):
    darts = nastk.catalogue().load("updater", "darts")
    brief = Preset(
        "brief",
        "not published",
        updater_options={"order": 2, "warmup": 0},
        trainer_options={"epochs": 1},
    )
    monkeypatch.setattr(darts, "presets", (*darts.presets, brief))
    own = nastk.use("darts", preset="brief", learning_rate=0.5)
    found = study(tmp_path, ["darts", own], seeds=[0], trainer={"batch_size": 32}, preset="quick")
    configs = [cell.config for cell in found.cells]
    assert [cell.label for cell in found.cells][1] == "darts(preset=brief, learning_rate=0.5)"
    assert (configs[1].updater.options["order"], configs[1].trainer.epochs) == (2, 1)
    assert configs[1].updater.options["learning_rate"] == 0.5
    assert configs[0].updater.options["order"] == 1 and configs[0].trainer.epochs > 1
    assert configs[1].preset == "quick" and configs[1].trainer.batch_size == 32
    with pytest.raises(ConfigurationError, match=r"'darts' has no preset 'breif' .*Did you mean"):
        study(tmp_path / "other", [nastk.use("darts", preset="breif")], seeds=[0])


def test_an_updater_with_options_is_named_first(workplace):
    code, _, err = called("compare", "--space", "toy", "--updater", ",candidates=2", "--seeds", "0")
    assert code == 2 and "An updater is NAME[,OPTION=VALUE...]" in err
