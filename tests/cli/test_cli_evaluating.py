"""Evaluating on the command line: what is shown meanwhile and booked, and advice for small runs."""

import json
from pathlib import Path

import pytest
import yaml
from cli_kit import called

from nastk import Result, assemble, resolve
from nastk.base.events import EvaluatorWorking
from nastk.report.progress import WorkLines
from nastk.runs.folder import RunFolder
from nastk.runs.study_plan import plan

TOY = ["search", "--space", "toy", "--updater", "darts", "--data", "toy"]
TOY += ["-t", "batch_size=16", "--epochs", "1", "--out", "a"]
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


@pytest.fixture
def nastk(monkeypatch, tmp_path):
    """Runs the command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return called


def test_a_training_after_a_search_is_shown_kept_and_booked(nastk):
    assert nastk(*TOY, "-q")[0] == 0
    before = Result(RunFolder.open("a")).cost
    asked = "retrain,epochs=2,batch_size=16,baseline=1,save=network.pt"
    code, out, err = nastk("evaluate", "a", "-e", asked, "-o", "epochs=3", "--json")
    assert code == 0 and Path("network.pt").is_file()
    found = json.loads(out)
    assert found["metrics"]["epochs"] == 3
    assert "training the network, epoch 1/3" in err
    after = Result(RunFolder.open("a")).cost
    images = 2 * 3 * 48  # two networks, three epochs
    booked = after.phases["evaluate"]
    assert booked.images_backward == before.phases["evaluate"].images_backward + images
    assert booked.seconds > before.phases["evaluate"].seconds
    assert after.search == before.search
    code, out, _ = nastk("show", "a")
    assert code == 0 and "baseline test accuracy" in out


@pytest.mark.slow
def test_other_options_of_the_data_are_for_judging_alone(nastk):
    nastk(*TOY, "-q")
    asked = ("evaluate", "a", "-e", "retrain,epochs=1,batch_size=8", "--json")
    notes = [json.loads(nastk(*asked, *more)[1])["notes"][0] for more in ((), ("-d", "images=48"))]
    assert "on 48 images" in notes[0] and "on 24 images" in notes[1]
    assert json.loads(Path("a/config.json").read_text())["data"]["options"]["images"] == 96


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["-e", "retrain,preset=papr"], "no preset 'papr' for space 'toy' with data 'toy'"),
        (["-e", "retrain,epoch=1"], "retrain has no option 'epoch'"),
        (["-e", "retrain,"], "An evaluator is named as NAME[,OPTION=VALUE...]"),
        (["-e", "size", "-d", "limti=3"], "Did you mean 'limit'?"),
    ],
)
def test_what_cannot_judge_is_said(asked, message, nastk):
    nastk(*TOY, "-q")
    code, _, err = nastk("evaluate", "a", *asked)
    assert code == 2 and message in err


def test_without_a_preset_a_run_says_what_makes_it_smaller(nastk):
    said = "`--preset quick` is a look in minutes"
    assert said in nastk(*TOY)[2]
    assert said in nastk(*TOY[:-2], "--dry-run")[1]
    code, out, _ = nastk(*TOY[:-2], "--epochs", "2", "--preset", "quick", "--dry-run")
    assert code == 0 and said not in out and "preset       quick" in out


def test_a_dry_run_says_what_judging_takes(nastk):
    judges = ["-e", "retrain,epochs=3,batch_size=16", "-e", "size"]
    code, out, _ = nastk(*TOY, *judges, "--leaf-evaluator", judges[1], "--dry-run")
    assert code == 0
    lines = [line.strip() for line in out.splitlines()]
    start = next(row for row, line in enumerate(lines) if line.startswith("evaluating"))
    assert lines[start : start + 4] == [
        "evaluating   retrain: at most 240 images forward, 144 backward",
        "size: no images",
        "leaves: unknown (retrain evaluates each leaf of a run that splits)",
        *[line for line in lines if "without evaluation, if" in line],
    ]


@pytest.mark.slow
def test_large_images_may_be_taken_smaller(nastk, tmp_path):
    from PIL import Image

    for number in range(24):
        place = tmp_path / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (10 * number, 90, 200)).save(place / f"{number}.png")
    asked = ["search", "--space", "toy", "--updater", "darts", "--data", "folder:photos"]
    asked += ["-t", "batch_size=4", "--epochs", "1", "--dry-run"]
    hint = "`-d size=32` takes smaller images than 40 pixels"
    assert hint in nastk(*asked)[1]
    assert hint not in nastk(*asked, "-d", "size=32")[1]


def working(done, message, total=100):
    return EvaluatorWorking("0", 6, 0, message, done, total)


def test_lines_of_long_work_come_now_and_then_with_the_time_left():
    now = [0.0]
    lines = WorkLines(lambda: now[0])
    heard = []
    for second, done, message in (
        (0, 2, "epoch 1"),
        (5, 4, "epoch 2"),  # too soon
        (10, 6, "epoch 3"),
        (15, 8, "epoch 3"),
        (69, 10, "epoch 3"),  # nothing new
        (70, 12, "epoch 3"),
    ):
        now[0] = second
        heard.append(lines.line(working(done, message)))
    early, late = "epoch 3, 3 min 55 s left", "epoch 3, 10 min 16 s left"
    assert heard == ["epoch 1", None, early, None, None, late]
    assert lines.line(working(1, "something else", 40)) == "something else"


def test_a_study_trains_no_network_of_its_own_accord(tmp_path):
    cells = plan({"space": "nasbench201", "data": "digits"}, ["random"], [0], tmp_path)
    assert [one.name for one in cells[0].config.evaluators] == ["supernet", "size"]
    assert cells[0].config.preset == "quick"


def test_the_file_of_the_tutorial_is_a_matter_of_minutes():
    """Its data, named, is the default: without the preset it would take hours."""
    text = TUTORIAL.read_text()
    config = resolve(yaml.safe_load(text.split("```yaml\n")[1].split("```")[0]))
    assert (config.data.name, config.preset) == ("digits", "quick")
    assembly = assemble(config)
    own = assembly.trainer.root().updater.max_cost(assembly.plan)
    images = config.trainer.epochs * assembly.plan.train_images + own.images_forward
    # Of 8 x 8 pixels; the first search has at most 62,000, of full size this file 5 million.
    assert images < 300_000
    assert config.trainer.threads == 1 and assembly.weight_bytes < 4_000_000
