"""An interrupted run closed as it is: the decision of its newest checkpoint, nothing trained."""

import io

import pytest
from cli_kit import called
from rich.console import Console

import nastk
from nastk.base.events import StepDone
from nastk.report.summary import summary
from nastk.runs import checkpoint
from nastk.runs.folder import RunFolder
from nastk.runs.run import Run
from nastk.runs.study_plan import plan

WISHES = {
    "space": "toy",
    "data": "toy",
    "seed": 3,
    "evaluators": ["supernet", "size"],
    "trainer": {"epochs": 4, "batch_size": 16, "log_every": 1},
}


def interrupted(out, step, updater="darts", **changes):
    """A run left after so many weight steps; an epoch has three."""
    with nastk.stream({**WISHES, "updater": updater, **changes}, out=out) as events:
        taken = 0
        for event in events:
            taken += isinstance(event, StepDone)
            if taken == step:
                break
    return RunFolder.open(out)


@pytest.mark.parametrize(("step", "epoch"), [(1, 0), (4, 1), (6, 1), (8, 2)])
def test_a_run_ends_with_the_decision_of_its_checkpoint(step, epoch, tmp_path):
    folder = interrupted(tmp_path / "a", step)
    stored, _ = checkpoint.newest(folder.checkpoints)
    run = Run.resumed(folder)
    branch = run.assembly.trainer.restore(stored.branches[0])
    decided = branch.updater.architecture(run.assembly.trainer.probe(branch))
    result = nastk.resume(folder.path, finish=True)
    assert result.architecture == decided
    assert result.finished_early == {"epoch": epoch, "epochs": 4, "step": step}
    assert [one.evaluator for one in result.evaluations] == ["supernet", "size"]
    assert result.cost.phases["train"].images_backward == 16 * step
    kinds = [event["kind"] for event in result.history]
    assert kinds.count("epoch-done") == epoch and kinds[-1] == "run-finished"
    assert folder.state() == "finished"
    assert checkpoint.newest(folder.checkpoints)[0].branches[0]["step"] == step


def test_what_was_finished_stays_so(tmp_path):
    folder = interrupted(tmp_path / "a", 4)
    first = nastk.resume(folder.path, finish=True)
    before = (folder.path / "result.json").read_bytes()
    assert nastk.resume(folder.path).architecture == first.architecture
    assert nastk.resume(folder.path, finish=True).finished_early == first.finished_early
    assert (folder.path / "result.json").read_bytes() == before


def test_a_run_that_split_chooses_among_its_leaves_as_at_the_end(tmp_path):
    folder = interrupted(tmp_path / "a", 11, "toy-split")
    stored, _ = checkpoint.newest(folder.checkpoints)
    assert len(stored.branches) == 2
    result = nastk.resume(folder.path, finish=True)
    (record,) = [each["values"] for each in result.history if each.get("topic") == "leaves"]
    scores = record["valid_accuracy"]
    assert set(scores) == {state["name"] for state in stored.branches}
    chosen = next(one for one in stored.branches if one["name"] == max(scores, key=scores.get))
    assert folder.result()["branch"] == chosen["name"]
    assert result.finished_early == {"epoch": chosen["epoch"], "epochs": 4, "step": chosen["step"]}


def test_a_run_trained_to_its_end_is_not_early(tmp_path):
    whole = nastk.search(**WISHES, updater="darts", out=tmp_path / "a")
    assert whole.finished_early is None
    stored = whole.folder.result()
    (tmp_path / "a" / "result.json").unlink()
    again = nastk.resume(tmp_path / "a", finish=True)
    assert again.finished_early is None
    assert again.folder.result()["evaluations"] == stored["evaluations"]


def test_a_run_without_a_checkpoint_has_nothing_to_finish_with(tmp_path):
    with nastk.stream({**WISHES, "updater": "darts"}, out=tmp_path / "a") as events:
        next(events)
    folder = RunFolder.open(tmp_path / "a")
    for path in folder.checkpoints.glob("*"):
        path.unlink()
    with pytest.raises(nastk.ConfigurationError, match=r"no checkpoint yet.*nastk resume"):
        nastk.resume(folder.path, finish=True)
    assert folder.state() == "interrupted"


def test_who_is_stopped_while_finishing_is_told_to_finish_again(tmp_path):
    folder = interrupted(tmp_path / "a", 4, evaluators=["retrain,epochs=2,batch_size=16"])
    run = Run.resumed(folder, finish=True)
    run.stop()
    with pytest.raises(nastk.StopRequested, match=r"nastk resume \S+ --finish"):
        list(run.events())
    assert nastk.resume(folder.path, finish=True).finished_early["epoch"] == 1


def test_a_study_refuses_a_run_that_was_finished_early(tmp_path):
    request = {**WISHES, "updater": "darts"}
    interrupted(tmp_path / "darts-seed3", 4)
    nastk.resume(tmp_path / "darts-seed3", finish=True)
    del request["updater"], request["seed"]
    with pytest.raises(nastk.ConfigurationError, match="finished after 1 of 4 epochs"):
        plan(request, ["darts"], [3], tmp_path)


def test_the_command_says_how_far_it_had_come(tmp_path):
    folder = interrupted(tmp_path / "a", 4)
    said = [called("resume", folder.path, word) for word in ("--finish", "-q")]
    assert [code for code, _, _ in said] == [0, 0]
    words = "early, after 1 of 4 epochs (step 4)"
    assert "as it is at step 4" in " ".join(said[0][2].split())
    assert "parameters" in said[0][1]
    assert f"finished already ({words})" in " ".join(said[1][2].split())
    shown = io.StringIO()
    Console(file=shown, width=200).print(summary({"run": "a", **folder.result()}, []))
    assert f"finished, {words}" in shown.getvalue()
