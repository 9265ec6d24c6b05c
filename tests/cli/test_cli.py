"""The command line as a user meets it: what goes to stdout, what to stderr, and the exit codes."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from cli_kit import called
from PIL import Image
from run_kit import write_run

TOY = [
    "search",
    "--space",
    "toy",
    "--updater",
    "darts",
    "--data",
    "toy",
    "-t",
    "batch_size=16",
    "--epochs",
    "2",
]


@pytest.fixture
def nastk(monkeypatch, tmp_path):
    """Runs the command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    # Looked at in test_convolutions.py; a process of its own takes seconds.
    monkeypatch.setattr("nastk.cli.convolutions.faults", lambda kinds: [])
    return called


def test_a_search_ends_with_the_cell_its_evaluation_its_cost_and_what_to_type_next(nastk, tmp_path):
    code, out, err = nastk(*TOY, "--out", "a")
    assert code == 0
    for words in (
        "first",
        "second",
        "conv",
        "parameters",
        "accuracy",
        "images",
        "a",
        "nastk draw a",
    ):
        assert words in out
    assert "searching toy with darts on toy" in err
    assert "epoch 2/2" in err
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names >= {
        "config.json",
        "events.jsonl",
        "checkpoints",
        "architecture.json",
        "result.json",
    }


def test_json_goes_to_stdout_alone(nastk):
    code, out, _ = nastk(*TOY, "--out", "a", "--json")
    assert code == 0
    result = json.loads(out)
    assert result["run"] == "a"
    assert {one["evaluator"] for one in result["evaluations"]} == {"supernet", "size"}
    assert result["cost"]["train"]["images_backward"] == 2 * 48


def test_the_config_of_a_run_runs_again_to_the_same_architecture(nastk):
    _, first, _ = nastk(*TOY, "--out", "a", "--json")
    code, second, _ = nastk("search", "--config", "a/config.json", "--out", "b", "--json")
    assert code == 0
    assert json.loads(first)["architecture"] == json.loads(second)["architecture"]


def test_flags_are_stronger_than_the_config_file(nastk, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "space: toy\nupdater: darts\ndata: toy\nseed: 4\ntrainer: {epochs: 1, batch_size: 16}\n"
    )
    code, _, _ = nastk(
        "search", "--config", "c.yaml", "--seed", "5", "-u", "warmup=0", "--out", "a", "-q"
    )
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert (code, config["seed"], config["trainer"]["epochs"]) == (0, 5, 1)


def test_dry_run_forecasts_and_writes_nothing(nastk, tmp_path):
    code, out, _ = nastk(*TOY, "--dry-run", "--json")
    assert code == 0
    forecast = json.loads(out)["forecast"]
    assert forecast["steps"] == 2 * 3
    assert forecast["updater_images_backward"] == 2 * 3 * 16
    assert forecast["seconds"] > 0 and forecast["peak_memory"] > 0
    assert list(tmp_path.iterdir()) == []
    code, out, _ = nastk(*TOY, "--dry-run")
    assert code == 0 and "time" in out and "memory" in out
    assert "images       3 x 8 x 8, 3 classes; trained on cross-entropy\n" in out
    assert "in train     48 images: 16 of each class\n" in out


def test_what_training_minimises_is_asked_for_written_down_and_shown(nastk, tmp_path):
    asked = [*TOY, "-d", "label_smoothing=0.1", "-d", "class_weights=[1,1,2]"]
    code, out, _ = nastk(*asked, "--dry-run")
    assert code == 0
    said = "trained on cross-entropy, label smoothing 0.1, class weights from 0.75 to 1.5\n"
    assert said in out
    assert nastk(*asked, "--out", "a", "-q")[0] == 0
    options = json.loads((tmp_path / "a" / "config.json").read_text())["data"]["options"]
    assert (options["label_smoothing"], options["class_weights"]) == (0.1, [1.0, 1.0, 2.0])
    task = json.loads((tmp_path / "a" / "result.json").read_text())["task"]
    assert task["objective"] == {"label_smoothing": 0.1, "class_weights": [0.75, 0.75, 1.5]}
    assert nastk("show", "a")[0] == 0
    code, out, _ = nastk("search", "--config", "a/config.json", "--dry-run")
    assert code == 0 and said in out
    code, _, err = nastk(*TOY, "-d", "class_weights=[1,2]", "--dry-run")
    assert code == 2 and "2 numbers for 3 classes (zero, one, two)" in " ".join(err.split())


def test_show_runs_and_evaluate(nastk):
    nastk(*TOY, "--out", "runs/a", "-q")
    code, out, _ = nastk("show", "runs/a")
    assert code == 0 and "conv" in out
    code, out, _ = nastk("show", "runs/a", "--json")
    shown = json.loads(out)
    assert shown["state"] == "finished" and shown["history"][0]["kind"] == "run-started"
    code, out, _ = nastk("runs", "--json")
    (row,) = json.loads(out)
    assert (row["state"], row["epoch"], row["epochs"], row["updater"]) == (
        "finished",
        2,
        2,
        "darts",
    )
    code, out, _ = nastk("runs")
    assert code == 0 and "finished" in out
    code, out, _ = nastk("evaluate", "runs/a", "--evaluator", "size", "--json")
    assert code == 0 and json.loads(out)["metrics"]["parameters"] > 0
    code, out, _ = nastk("evaluate", "runs/a", "--evaluator", "supernet", "--json")
    evaluation = json.loads(out)
    stored = next(one for one in shown["evaluations"] if one["evaluator"] == "supernet")
    assert evaluation["metrics"] == stored["metrics"], (
        "the checkpoint gives the supernet that was trained"
    )


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_draw(nastk, tmp_path, suffix):
    nastk(*TOY, "--out", "a", "-q")
    code, _, err = nastk("draw", "a", "-o", f"cell.{suffix}")
    assert code == 0 and f"cell.{suffix}" in err
    if suffix == "png":
        with Image.open(tmp_path / "cell.png") as image:
            assert min(image.size) > 200
    else:
        assert "<svg" in (tmp_path / "cell.svg").read_text()
    code, out, _ = nastk("draw", "a/architecture.json")
    assert code == 0 and "conv" in out


def test_plugins_describe_and_doctor(nastk):
    code, out, _ = nastk("plugins")
    assert code == 0
    for name in ("darts", "shapley", "random", "size", "supernet", "digits", "folder"):
        assert name in out
    code, out, _ = nastk("describe", "shapley")
    assert code == 0 and "samples" in out and "min_ratio" in out
    code, out, _ = nastk("describe", "darts", "--json")
    assert {one["kind"] for one in json.loads(out)} == {"space", "updater"}
    code, out, _ = nastk("doctor", "--json")
    assert code == 0 and {"torch", "nastk", "plugins"} <= {one["what"] for one in json.loads(out)}


BAD = {
    "a space with a slip": (
        ["search", "--space", "dart", "--updater", "darts"],
        2,
        "Did you mean 'darts'",
    ),
    "an updater with a slip": (
        ["search", "--space", "toy", "--updater", "shaply"],
        2,
        "Did you mean 'shapley'",
    ),
    "data with a slip": ([*TOY[:5], "--data", "cifar11"], 2, "Did you mean 'cifar10'"),
    "no updater": (["search", "--space", "toy"], 2, "No updater was named"),
    "an unknown option": ([*TOY, "-u", "learning_rat=1"], 2, "Did you mean 'learning_rate'"),
    "an option out of range": (
        [*TOY, "-u", "learning_rate=-1"],
        2,
        "learning_rate must be more than 0",
    ),
    "an option of the wrong type": ([*TOY, "-u", "learning_rate=fast"], 2, "learning_rate"),
    "no assignment": ([*TOY, "-u", "learning_rate"], 2, "-u takes name=value"),
    "no epochs": ([*TOY, "--epochs", "0"], 2, "epochs must be at least 1"),
    "epochs within the warm-up": ([*TOY, "-u", "warmup=5"], 2, "warmup"),
    "no valid split": (
        [*TOY, "-d", "train_fraction=1"],
        2,
        "learns on the validation split, which is empty",
    ),
    "an unknown preset": ([*TOY, "--preset", "papr"], 2, "quick"),
    "a paper setting that does not exist": ([*TOY, "--preset", "paper"], 2, "It has: quick"),
    "no such device": ([*TOY, "--device", "gpu"], 2, "Expected a device"),
    "a device this machine lacks": ([*TOY, "--device", "cuda:99"], 2, "CUDA devices"),
    "no such precision": ([*TOY, "--precision", "fp16"], 2, "precision must be one of"),
    "no such evaluator": ([*TOY, "-e", "siz"], 2, "Did you mean 'size'"),
    "no config file": (["search", "--config", "none.yaml"], 2, "cannot be read"),
    "no image folder": ([*TOY[:5], "--data", "folder:nowhere"], 2, "nowhere"),
    "a folder without a path": ([*TOY[:5], "--data", "folder"], 2, "path"),
    "data that only Python has": ([*TOY[:5], "--data", "pair"], 2, "Python"),
    "no run to show": (["show", "nowhere"], 2, "is no run folder"),
    "no run to resume": (["resume", "nowhere"], 2, "is no run folder"),
    "no run to draw": (["draw", "nowhere"], 2, "No installed space reads 'nowhere'"),
    "nothing called so": (["describe", "shaply"], 2, "Did you mean 'shapley'"),
    "no such command": (["serch"], 2, "No such command"),
    "a space option out of range": (
        ["search", "--space", "darts", "--updater", "random", "-s", "channels=0"],
        2,
        "channels must be at least 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_in_one_clear_message(nastk, tmp_path, case):
    arguments, code, words = BAD[case]
    got, out, err = nastk(*arguments)
    assert (got, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert not ("Did you mean" in err and "A class of your own" in err)
    assert list(tmp_path.iterdir()) == [], "nothing was written"


def test_the_doctor_calls_nothing_fine_that_has_advice(nastk):
    lines = nastk("doctor")[1].splitlines()
    advised = [lines[n - 1] for n, line in enumerate(lines) if line.startswith("      -> ")]
    assert not [line for line in advised if line.startswith("ok")]
    assert any(line.startswith("ok ") for line in lines)


def test_a_config_file_with_a_slip_names_it(nastk, tmp_path):
    (tmp_path / "c.yaml").write_text("space: toy\nupdatr: darts\n")
    code, _, err = nastk("search", "--config", "c.yaml")
    assert code == 2 and "unknown key 'updatr'. Did you mean 'updater'?" in err
    (tmp_path / "c.yaml").write_text("space: [toy\n")
    code, _, err = nastk("search", "--config", "c.yaml")
    assert code == 2 and "as YAML or JSON" in err


def test_a_folder_that_holds_a_run_is_not_overwritten(nastk):
    nastk(*TOY, "--out", "a", "-q")
    code, _, err = nastk(*TOY, "--out", "a")
    assert code == 2 and "already holds a finished search" in err


def test_a_disk_without_room_for_the_checkpoints_is_seen_before_training(
    nastk, monkeypatch, tmp_path
):
    monkeypatch.setattr(
        "shutil.disk_usage", lambda path: __import__("types").SimpleNamespace(free=1000)
    )
    code, _, err = nastk(*TOY, "--out", "a")
    assert code == 2 and "Make room, or choose another --out" in err
    assert list(tmp_path.iterdir()) == []


def test_branches_are_shown_and_drawn(nastk, tmp_path):
    nastk(*TOY[:4], "toy-split", *TOY[5:], "--out", "a", "-q")
    code, shown, _ = nastk("show", "a")
    assert code == 0 and "Branches" in shown and "first:0->1" in shown
    code, out, _ = nastk("draw", "a", "--branches")
    assert code == 0 and "none, skip" in out
    code, _, err = nastk("draw", "a", "--branches", "-o", "tree.svg")
    assert code == 0 and "tree.svg" in err and "<svg" in (tmp_path / "tree.svg").read_text()


def test_a_run_without_splits_has_no_branches_to_draw(nastk):
    nastk(*TOY, "--out", "a", "-q")
    assert "Branches" not in nastk("show", "a")[1]
    code, _, err = nastk("draw", "a", "--branches")
    assert code == 2 and "did not split" in err and "nastk draw a" in err


def test_the_draw_suffix_is_checked(nastk):
    nastk(*TOY, "--out", "a", "-q")
    code, _, err = nastk("draw", "a", "-o", "cell.gif")
    assert code == 2 and "svg" in err


def test_ctrl_c_stops_with_a_checkpoint_and_says_how_to_go_on(tmp_path):
    command = [
        sys.executable,
        "-c",
        "from nastk.cli import main; main()",
        *TOY[:-1],
        "5000",
        "--out",
        "a",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    events = tmp_path / "a" / "events.jsonl"
    while not (events.exists() and "epoch-done" in events.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == (
        "stopped: Everything is kept in a. Continue with `nastk resume a`."
    )
    assert "Traceback" not in err
    assert list((tmp_path / "a" / "checkpoints").glob("*.safetensors"))


# ---------------------------------------------------------------- where output is no terminal

LOOKING = {
    "show": ["show", "leaves-of-a-folder-with-a-long-name"],
    "runs": ["runs", "."],
    "draw": ["draw", "leaves-of-a-folder-with-a-long-name"],
    "branches": ["draw", "leaves-of-a-folder-with-a-long-name", "--branches"],
    "plugins": ["plugins"],
    "describe": ["describe", "retrain"],
    "doctor": ["doctor"],
}


@pytest.mark.parametrize("case", LOOKING)
def test_a_pipe_gets_whole_lines_without_padding_whatever_the_width(
    nastk, monkeypatch, tmp_path, case
):
    write_run(tmp_path / "leaves-of-a-folder-with-a-long-name")
    found = []
    for columns in ("30", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        code, out, _ = nastk(*LOOKING[case])
        assert code == 0
        found.append(out)
    assert found[0] == found[1]
    lines = found[0].splitlines()
    assert lines and not [line for line in lines if line != line.rstrip()]


def test_a_description_is_one_line_in_a_pipe_and_wrapped_at_a_terminal(nastk, monkeypatch):
    whole = describe_rows(nastk("describe", "retrain", "--json")[1])
    assert max(map(len, whole)) > 80
    assert all(
        any(text in line for line in nastk("describe", "retrain")[1].splitlines()) for text in whole
    )
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", nastk("describe", "retrain")[1])
    assert max(map(len, plain.splitlines())) <= 80


def describe_rows(text):
    (found,) = json.loads(text)
    return [one["description"] for one in found["options"]]


def test_messages_in_a_log_are_whole_lines(nastk, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "30")
    place = "a-folder-with-quite-a-long-name/run"
    code, out, err = nastk(*TOY, "--epochs", "1", "--out", place)
    assert code == 0
    assert f"  nastk draw {place} -o cell.svg" in out.splitlines()
    assert f"searching toy with darts on toy, seed 0, on cpu -> {place}" in err.splitlines()
    assert "1 epoch of 3 steps" in err.splitlines()
    (line,) = [line for line in err.splitlines() if line.startswith("epoch ")]
    assert line.startswith("epoch 1/1  loss ") and "images" in line


def test_counts_are_whole_numbers_in_json(nastk):
    _, out, _ = nastk(*TOY, "--out", "a", "--json")
    metrics = {
        name: value
        for one in json.loads(out)["evaluations"]
        for name, value in one["metrics"].items()
    }
    assert {type(metrics[name]) for name in ("parameters", "multiply_adds")} == {int}
    assert type(metrics["valid_accuracy"]) is float
    (found,) = json.loads(nastk("describe", "shapley", "--json")[1])
    defaults = {one["name"]: one["default"] for one in found["options"]}
    assert defaults["samples"] == 10 and defaults["step_size"] == 0.1
    assert defaults["normalise_momentum"] is None and defaults["exact"] == "never"
