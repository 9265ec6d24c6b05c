"""A study's shared warm-up: trained once for each problem and seed, and begun with by its runs."""

import json
import os
import shutil
import signal
import time

import pytest
from cli_kit import called
from core_kit import answering
from safetensors.torch import load_file
from test_executing import installed, started

import nastk
from nastk import ConfigurationError, Continuation, NastkError, StopRequested
from nastk.runs import checkpoint, run
from nastk.runs.folder import RunFolder
from nastk.runs.protocol import registered
from nastk.runs.search_config import read_warm_up
from nastk.runs.study_plan import plan
from nastk.runs.study_result import Cell
from nastk.runs.warm_up_plan import warm_ups
from nastk.testing import fingerprint

TOY = {"data": "toy", "trainer": {"epochs": 1, "batch_size": 16, "threads": 1}}
RANDOM = nastk.use("random", candidates=2)
WITHOUT = nastk.use("random-search", evaluator="size", metric="parameters")
WARM_UP = "random,epochs=2"
NAME = "random-candidates=1-epochs=2"
SMALL, LARGE = nastk.use("toy", channels=4), nastk.use("toy", channels=6)


def study(out, updaters=(RANDOM,), **changes):
    request = {**TOY, "seeds": [0], "warm_up": WARM_UP, **changes}
    return nastk.compare("toy", updaters, out=out, **request)


def weights(folder):
    """The fingerprint of the supernet's weights in a run's last checkpoint."""
    prefix = "branches.0.supernet."
    newest = load_file(max(folder.checkpoints.glob("*.safetensors")))
    found = {name.removeprefix(prefix): newest[name] for name in newest if name.startswith(prefix)}
    return fingerprint(dict(sorted(found.items())))


def state(cell):
    return fingerprint(checkpoint.newest(cell.folder.checkpoints)[0].branches)


def planned(out, updaters=(RANDOM,), seeds=(0,), budget=None, **changes):
    request = {"space": "toy", **TOY, "warm_up": WARM_UP, **changes}
    return plan(request, updaters, list(seeds), out, budget)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished study of two seeds, and the weights that its runs began with, by folder."""
    out, begun = tmp_path_factory.mktemp("study"), {}
    load = run.load_weights

    def noted(supernet, path):
        load(supernet, path)
        own = {name: weight.clone() for name, weight in supernet.named_parameters()}
        begun.setdefault(path, []).append(fingerprint(dict(sorted(own.items()))))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "load_weights", noted)
        found = study(out, ["darts", RANDOM, WITHOUT], seeds=[0, 1], evaluators=["size"])
    return found, begun


def test_runs_of_a_seed_begin_with_the_weights_of_its_warm_up(finished):
    found, begun = finished
    assert len(found.cells) == 6 and not found.failures
    folders = [RunFolder(found.folder / "warm-up" / f"{NAME}-seed{seed}") for seed in (0, 1)]
    for path, prints in begun.items():
        (folder,) = [each for each in folders if str(each.path) in path]
        # `darts` and `random`; what trains no supernet begins with none.
        assert prints == [weights(folder)] * 2
    assert len({prints[0] for prints in begun.values()}) == 2
    config = folders[0].config()
    assert config["trainer"] == {**found.cells[0].config.trainer.model_dump(), "epochs": 2}
    assert config["evaluators"] == [] and config["ranking"] is None and config["seed"] == 0


def test_its_cost_is_counted_once_and_shown(finished):
    found, _ = finished
    (cost,) = found.warm_ups
    assert (cost["updater"], cost["epochs"], cost["seeds"]) == ("random(candidates=1)", 2, [0, 1])
    assert cost["images_backward"] == [2 * 48, 2 * 48]
    for row in found.rows[:2]:  # one epoch each, without those of the warm-up
        assert row["metrics"]["images_backward"]["values"] in ([2 * 48] * 2, [48] * 2)
    assert json.loads((found.folder / "warm-up.json").read_text()) == [cost]
    assert nastk.Study.load(found.folder).warm_ups == [cost]
    code, out, _ = called("compare", "--show", found.folder, "--json")
    assert code == 0 and json.loads(out)["warm_ups"] == [cost]
    code, out, _ = called("compare", "--show", found.folder)
    assert code == 0 and out.count("Shared warm-up: random(candidates=1), 2 epochs; once a") == 1
    assert "its row does not contain what they cost" in out
    assert not list(found.folder.glob("warm-up*-seed*"))


def test_the_report_has_its_cost_and_a_command_that_begins_alike(finished):
    found, _ = finished
    code, _, err = called("report", found.folder)
    assert code == 0, err
    page = (found.folder / "report.html").read_text()
    assert page.count("Shared warm-up: random(candidates=1), 2 epochs") == 1
    called("report", found.cells[0].folder.path)
    page = (found.cells[0].folder.path / "report.html").read_text()
    assert f"--weights {found.folder}/warm-up/{NAME}-seed0/checkpoints/" in page


def test_a_moved_study_is_the_same_study(finished, tmp_path, monkeypatch):
    found, _ = finished
    shutil.copytree(found.folder, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    shutil.rmtree("elsewhere/darts-seed1")
    heard = []
    again = study("elsewhere", ["darts", RANDOM, WITHOUT], seeds=[0, 1], evaluators=["size"],
                  hear=heard.append)  # fmt: skip
    assert {report.job for report in heard} == {"darts, seed 1"}
    assert [state(cell) for cell in again.cells] == [state(cell) for cell in found.cells]
    assert again.warm_ups == found.warm_ups


def test_a_search_of_its_own_begins_alike_with_the_weights_and_not_without(finished, tmp_path):
    found, begun = finished
    cell = found.cells[0]
    request = {**cell.folder.config(), "evaluators": []}
    with pytest.raises(ConfigurationError, match=r"2 epochs\), which is not in .*--weights FILE"):
        nastk.search(**request, out=tmp_path / "without")
    assert not (tmp_path / "without").exists()
    with pytest.raises(ConfigurationError, match="and no study was named"):
        nastk.session(**request)
    code, _, err = called("search", "--config", cell.folder.path / "config.json", "--dry-run")
    assert code == 2 and "shared warm-up of a study" in err
    result = nastk.search(**{**request, "weights": next(iter(begun))}, out=tmp_path / "with")
    assert weights(result.folder) == weights(cell.folder)


def test_a_study_stopped_inside_a_warm_up_goes_on_to_the_same_bits(tmp_path):
    straight = study(tmp_path / "straight")

    def stop(event):
        if event.kind == "epoch-done":
            raise StopRequested("enough")

    with pytest.raises(StopRequested):
        study(tmp_path / "stopped", observers=[stop])
    (folder,) = (tmp_path / "stopped" / "warm-up").iterdir()
    assert RunFolder(folder).state() == "interrupted"
    assert not list((tmp_path / "stopped").glob("*-seed*"))
    again = study(tmp_path / "stopped")
    assert [state(cell) for cell in again.cells] == [state(cell) for cell in straight.cells]
    undisturbed = tmp_path / "straight" / "warm-up" / folder.name
    assert weights(RunFolder(folder)) == weights(RunFolder(undisturbed))


def test_a_warm_up_that_fails_is_the_failure_of_its_runs(tmp_path, monkeypatch):
    errors = [ValueError("no idea")]

    def after_epoch(probe):
        if errors:
            raise errors.pop()
        return [Continuation(probe.subspace)]

    installed(monkeypatch, "updater", answering(after_epoch=after_epoch))
    request = {"warm_up": "answering,epochs=1", "seeds": [0, 1]}
    found = study(tmp_path, **request)
    (failure,) = found.failures
    assert failure.seed == 0 and [cell.seed for cell in found.cells] == [1]
    assert "warm-up/answering-epochs=1-seed0 failed: " in failure.reason
    assert "no idea" in failure.reason and found.warm_ups[0]["seeds"] == [1]
    again = study(tmp_path, **request, retry_failed=True)
    assert not again.failures and again.warm_ups[0]["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ("random,epochs=2", "random,epochs=3", "warm_up.epochs is 3, was 2"),
        ("random,epochs=2", "fair,epochs=2", 'warm_up.updater.name is "fair", was "random"'),
        ("random,epochs=2", None, "warm_up is null, was {"),
        (None, "random,epochs=2", 'warm_up is {"updater"'),
        ("absent", "random,epochs=2", ", was null"),
    ],
)
def test_another_warm_up_is_another_protocol(before, now, message, tmp_path):
    first = None if before == "absent" else before
    registered(planned(tmp_path, warm_up=first), tmp_path)
    if before == "absent":  # as an earlier version wrote it
        file = tmp_path / "protocol.json"
        value = json.loads(file.read_text())
        for problem in value["problems"].values():
            del problem["settings"]["warm_up"]
        file.write_text(json.dumps(value))
        registered(planned(tmp_path, warm_up=None), tmp_path)
    with pytest.raises(ConfigurationError, match="another protocol") as caught:
        registered(planned(tmp_path, ["snas"], warm_up=now), tmp_path)
    assert message in str(caught.value)


def test_a_budget_is_for_what_comes_after_it(tmp_path):
    request = {"trainer": {"batch_size": 16}, "budget": "images=1k"}
    cells = [planned(tmp_path, ["darts"], warm_up=one, **request) for one in (WARM_UP, None)]
    with_it, without = ([cell.config.trainer.epochs for cell in each] for each in cells)
    assert with_it == without


def test_every_problem_has_its_own_and_keeps_it_when_the_study_grows(tmp_path):
    (alone,) = warm_ups(planned(tmp_path, space=SMALL), tmp_path)
    assert alone.folder.path.name == f"{NAME}-seed0"
    alone.folder.path.mkdir(parents=True)
    (alone.folder.path / "config.json").write_text(json.dumps(alone.config.model_dump(mode="json")))
    both = planned(tmp_path, ["darts", RANDOM, WITHOUT], space=[SMALL, LARGE], evaluators=["size"],
                   problems={"toy(channels=6) on toy": {"warm_up": "fair,epochs=3"}})  # fmt: skip
    found = warm_ups(both, tmp_path)
    assert [cell.folder.path.name for cell in found] == [
        f"{NAME}-seed0",
        "toy-channels=6-on-toy--fair-candidates=1-epochs=3-seed0",
    ]
    assert [cell.label for cell in found] == [
        "warm-up by random(candidates=1)",
        "warm-up by fair(candidates=1)",
    ]
    assert [cell.config.space for cell in found] == [both[0].config.space, both[-1].config.space]
    assert {cell.folder.path.parent for cell in found} == {tmp_path / "warm-up"}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("random,epochs=20", ("random", {}, 20)),
        ("random,candidates=3,epochs=20", ("random", {"candidates": 3}, 20)),
        ({"updater": "fair", "epochs": 2}, ("fair", {}, 2)),
        ({"updater": nastk.use("fair", candidates=3), "epochs": 2}, ("fair", {"candidates": 3}, 2)),
    ],
)
def test_it_is_written_as_people_write_it(given, read):
    spec, epochs = read_warm_up(given)
    assert (spec.name, dict(spec.options), epochs) == read


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("random", r"written as UPDATER,epochs=N\[,OPTION=VALUE...\].*got 'random'"),
        ("random,epochs=", "got 'random,epochs='"),
        ("epochs=3", "got 'epochs=3'"),
        (7, "got 7"),
        ({"updater": "random"}, r"as \{updater: ..., epochs: N\}; got"),
        ("rndom,epochs=2", "Did you mean 'random'"),
        ("random,epochs=0", "warm_up: epochs must be at least 1, got 0"),
        ("random,epochs=2,candidate=3", "Did you mean 'candidates'"),
        ("random-search,epochs=2", "'random-search' trains no supernet, so a warm-up"),
        ("darts,warmup=9,epochs=2", "warmup=9 leaves alpha no epoch"),
    ],
)
def test_what_cannot_be_is_refused_before_anything(given, message, tmp_path):
    with pytest.raises(ConfigurationError, match=message):
        study(tmp_path / "out", warm_up=given)
    assert not (tmp_path / "out").exists()


def test_the_command_takes_it_from_a_flag_or_a_file(workplace):
    (workplace / "study.yaml").write_text("warm_up: {updater: random, epochs: 0}\n")
    words = ["compare", "--space", "toy", "--updater", "darts", "-o", "s"]
    code, _, err = called(*words, "--config", "study.yaml")
    assert code == 2 and "epochs must be at least 1, got 0" in err
    code, _, err = called(*words, "--config", "study.yaml", "--warm-up", "random")
    assert code == 2 and "UPDATER,epochs=N" in err
    assert not (workplace / "s").exists()


def test_updaters_that_train_differently_share_none(tmp_path):
    cells = planned(tmp_path, ["darts", RANDOM])
    trainer = cells[1].config.trainer.model_copy(update={"learning_rate": 0.5, "epochs": 9})
    other = cells[1].config.model_copy(update={"trainer": trainer})
    mixed = [cells[0], Cell("random", 0, other, cells[1].folder, cells[0].problem)]
    with pytest.raises(ConfigurationError, match=r"another learning_rate \(0.025 and 0.5\)"):
        warm_ups(mixed, tmp_path)


def test_a_file_of_weights_and_a_warm_up_exclude_each_other(tmp_path):
    cells = planned(tmp_path)
    config = cells[0].config.model_copy(update={"weights": "a.safetensors"})
    both = Cell("random", 0, config, cells[0].folder)
    with pytest.raises(ConfigurationError, match="not with both"):
        warm_ups([both], tmp_path)


def test_a_warm_up_without_one_set_of_weights_is_refused(finished, tmp_path):
    found = study(tmp_path / "split", warm_up="toy-split,epochs=2")
    assert "ended in" in found.failures[0].reason and "does not split" in found.failures[0].reason
    shutil.copytree(finished[0].folder, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "warm-up" / f"{NAME}-seed0" / "checkpoints")
    shutil.rmtree(tmp_path / "bare" / "darts-seed0")
    config = nastk.resolve(finished[0].cells[0].folder.config())
    with pytest.raises(ConfigurationError, match="has no checkpoint any more"):
        run.Run.new(config, tmp_path / "bare" / "darts-seed0")
    (tmp_path / "bare" / "warm-up" / f"{NAME}-seed0" / "result.json").unlink()
    with pytest.raises(NastkError, match=r"is not finished \(interrupted\)"):
        run.Run.new(config, tmp_path / "bare" / "darts-seed0")


@pytest.mark.slow
def test_two_processes_killed_inside_a_warm_up_and_continued_by_an_executor_equal_one(tmp_path):
    trainer = {"epochs": 4, "batch_size": 16, "threads": 1, "checkpoint_minutes": 0.001}
    request = {"space": "toy", "data": "toy", "updaters": ["darts"], "seeds": [0, 1, 2]}
    request |= {"trainer": trainer, "warm_up": "random,epochs=8"}
    serial = nastk.compare(**request, out=tmp_path / "serial")
    shared = {**request, "out": str(tmp_path / "shared")}
    both = [started(shared), started(shared)]
    begun = [next(line for line in each.stdout if "began" in line) for each in both]
    assert begun[0] != begun[1] and all(line.startswith("warm-up by random") for line in begun)
    time.sleep(0.3)
    for each in both:
        os.killpg(each.pid, signal.SIGKILL)
        each.wait()
        each.stdout.close()
    executor = {"name": "processes", "options": {"workers": 2, "threads": 1}}
    found = nastk.compare(**shared, executor=executor)
    assert not found.failures
    assert [state(cell) for cell in found.cells] == [state(cell) for cell in serial.cells]
