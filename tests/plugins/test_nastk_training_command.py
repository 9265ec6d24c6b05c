"""`nastk train`: what it keeps, goes on with, forecasts, books and refuses."""

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from core_kit import searched
from typer.testing import CliRunner

import nastk
from nastk import TrainedModel
from nastk.cli.app import build
from nastk.testing import fingerprint
from nastk_training import seed as one_seed
from nastk_training.trainings import evaluation, spread

RECIPE = ["-o", "epochs=3", "-o", "batch_size=8", "-o", "learning_rate=0.1"]
TEXT = "conv,skip,pool,conv,skip"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    searched(folder, evaluators=["size"])
    return folder


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "a")
    return tmp_path / "a"


def called(*words, code=0):
    done = CliRunner().invoke(build(), ["train", *map(str, words)])
    if code == 0 and done.exception is not None:
        raise done.exception
    return done.stdout


def refused(*words):
    with pytest.raises(nastk.NastkError) as error:
        called(*words)
    return str(error.value)


def weights(folder):
    return fingerprint(TrainedModel.load(folder).network().state_dict())


# ---------------------------------------------------------------- what it keeps


def test_every_seed_is_kept_with_its_log_and_the_run_books_them(run):
    before = nastk.resume(run).cost.phases.get("evaluate", nastk.PhaseCost())
    shown = json.loads(called(run, *RECIPE, "--seeds", "0-1", "--json"))
    folder = run / "trained" / "train"
    assert shown["folder"] == str(folder) and shown["seeds"] == [0, 1]
    models = [TrainedModel.load(folder / f"seed-{seed}") for seed in (0, 1)]
    tests = [model.test_accuracy for model in models]
    assert shown["test_accuracy"] == spread(tests) and weights(folder / "seed-0") != weights(
        folder / "seed-1"
    )
    assert json.loads((folder / "training.json").read_text()) == shown
    for model in models:
        assert model.classes == ("zero", "one", "two") and model.mean == (0.5,) * 3
        assert model.recipe["epochs"] == model.epochs == 3 and model.images == 3 * 48
        assert model.weights_from == "scratch" and model.environment["torch"] == torch.__version__
        log = [json.loads(line) for line in (model.folder / "log.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in log] == [1, 2, 3]
        assert log[-1]["loss"] == model.train_loss
        assert log[-1]["valid_accuracy"] == model.valid_accuracy
        assert not (model.folder / "checkpoint.pt").exists()
    result = nastk.resume(run)
    (booked,) = [each for each in result.evaluations if each.evaluator == "train"]
    assert booked.metrics["trained_test_accuracy"] == sum(tests) / 2
    assert booked.metrics["trained_test_accuracy_std"] == spread(tests)["std"]
    spent = result.cost.phases["evaluate"]
    assert spent.images_backward - before.images_backward == 2 * 3 * 48
    assert spent.images_forward - before.images_forward == 2 * (3 * 48 + 3 * 48 + 48 + 48)


def test_a_loaded_network_has_the_accuracy_that_is_stated(run):
    called(run, *RECIPE, "-o", "ema=0.5")
    model = TrainedModel.load(run)
    images = nastk.resume(run)  # the run knows its images
    from nastk.testing import ToyData

    split = ToyData().splits(0).test
    assert images.task.classes == 3
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (model.mean, model.std))
    with torch.no_grad():
        logits = model.network()((split.images / 255 - mean) / std)
    right = (logits.argmax(1) == split.labels).float().mean().item()
    assert right == pytest.approx(model.test_accuracy, abs=0.03)


def test_what_is_finished_is_not_trained_again_and_more_seeds_join(run, monkeypatch):
    first = json.loads(called(run, *RECIPE, "--json"))
    spent = nastk.resume(run).cost.phases["evaluate"]
    monkeypatch.setattr(one_seed.SeedTraining, "run", lambda *_: pytest.fail("trained again"))
    assert json.loads(called(run, *RECIPE, "--json")) == first
    monkeypatch.undo()
    assert nastk.resume(run).cost.phases["evaluate"] == spent
    more = json.loads(called(run, *RECIPE, "--seeds", "0,3", "--json"))
    assert more["models"][0] == first["models"][0] and more["seeds"] == [0, 3]
    assert "mean" in called(run, *RECIPE, "--seeds", "0,3")


def test_an_architecture_from_elsewhere_is_trained_in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = [TEXT, "--space", "toy", "--data", "toy", *RECIPE, "--json"]
    named = json.loads(called(*common, "--out", "here"))
    assert Path(named["folder"]) == Path("here") and named["models"][0]["architecture"] == TEXT
    default = json.loads(called(*common))
    assert default["folder"] == f"trained/{named['architecture_id']}"
    assert weights("here") == weights(default["folder"])


def test_two_trainings_of_a_run_have_their_names(run):
    called(run, *RECIPE)
    called(run, *RECIPE, "-o", "ema=0.9", "--name", "averaged")
    assert {each.evaluator for each in nastk.resume(run).evaluations} >= {"train", "train/averaged"}
    with pytest.raises(nastk.ConfigurationError, match="has several trainings"):
        TrainedModel.load(run)


def test_all_images_but_the_test_splits_may_train(run):
    called(run, *RECIPE, "-o", "split=train+valid")
    model = TrainedModel.load(run)
    assert model.images == 3 * 96 and model.valid_accuracy is None
    (booked,) = [each for each in nastk.resume(run).evaluations if each.evaluator == "train"]
    assert "trained_valid_accuracy" not in booked.metrics
    assert "trained_test_accuracy_std" not in evaluation([model], "train").metrics


def test_a_preset_fills_in(run):
    called(run, "--preset", "quick", "-o", "epochs=1")
    assert TrainedModel.load(run).recipe["batch_size"] == 32


# ---------------------------------------------------------------- other weights


def test_a_file_or_another_model_may_be_the_beginning(run):
    called(run, *RECIPE)
    folder = run / "trained" / "train" / "seed-0"
    for number, source in enumerate((folder, folder / "model.safetensors")):
        same = ["-o", "epochs=1", "-o", "batch_size=8", "-o", "learning_rate=1e-12"]
        called(run, *same, "--from", source, "--name", f"on{number}")
        model = TrainedModel.load(run / "trained" / f"on{number}")
        assert model.weights_from == str(source)
        for ours, theirs in zip(
            model.network().parameters(), TrainedModel.load(folder).network().parameters(),
            strict=True,
        ):  # fmt: skip
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_supernet_is_the_beginning_of_its_path(tmp_path):
    searched(
        tmp_path / "a",
        space=nastk.use("nasbench201", channels=4, cells=1, network_channels=4, network_cells=1),
        updater="random",
        evaluators=["size"],
        trainer={"epochs": 1, "batch_size": 16},
    )
    same = ["-o", "epochs=1", "-o", "batch_size=8", "-o", "learning_rate=1e-12"]
    called(tmp_path / "a", *same, "--from", "supernet")
    stem = TrainedModel.load(tmp_path / "a").network().stem[0].weight
    (checkpoint,) = sorted((tmp_path / "a" / "checkpoints").glob("*.safetensors"))[-1:]
    from safetensors.torch import load_file

    theirs = load_file(checkpoint)["branches.0.supernet.stem.0.weight"]
    torch.testing.assert_close(stem, theirs, rtol=0, atol=1e-6)
    message = refused(
        tmp_path / "a", *same, "--from", "supernet", "--name", "larger", "-o",
        'network={"network_channels":8}',
    )  # fmt: skip
    assert 'Set network={"network_channels":4,"network_cells":1}' in message


# ---------------------------------------------------------------- forecasts and refusals


def test_a_dry_run_bounds_the_cost_and_writes_nothing(run):
    files = sorted(run.rglob("*"))
    shown = json.loads(called(run, *RECIPE, "--seeds", "0-2", "--dry-run", "--json"))["forecast"]
    assert (shown["seeds"], shown["epochs"], shown["steps"]) == (3, 3, 3 * 3 * 6)
    assert shown["images_backward"] == 3 * 3 * 48 and shown["images_forward"] >= 3 * (6 * 48 + 96)
    assert shown["seconds"] > 0 and shown["parameters"] > 100 and shown["multiply_adds"] > 100
    assert sorted(run.rglob("*")) == files
    assert "3 x 3 epochs, 54 batches" in called(run, *RECIPE, "--seeds", "0-2", "--dry-run")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "seed=1"], "Here it is --seeds 0-2"),
        (["-o", "save=x.pt"], "every trained network is kept"),
        (["-o", "epoch=1"], "Did you mean 'epochs'"),
        (["-o", "batch_size=1000"], "more than the 48 images"),
        (["--preset", "papr"], "no preset 'papr' for space 'toy'"),
        (["--out", "x", *RECIPE], "--out is for an architecture from elsewhere"),
        (["--name", "a/b", *RECIPE], "must be the name of a folder, without"),
        (["--space", "toy"], "--space is for an architecture from elsewhere"),
        (["--from", "nowhere.safetensors", *RECIPE], "--from nowhere.safetensors: "),
        (["--from", "supernet", *RECIPE], "Networks of space 'toy' cannot begin"),
        (["--seeds", "2-1"], "--seeds takes seeds such as"),
    ],
)
def test_a_wrong_request_says_what_to_do(words, message, finished):
    assert message in refused(finished, *words)
    assert not list(finished.glob("trained/*/seed-*/model.json"))


def test_an_architecture_from_elsewhere_needs_images_and_no_name(tmp_path):
    assert "Name them, e.g. --data" in refused(TEXT, "--space", "toy")
    common = [TEXT, "--space", "toy", "--data", "toy", *RECIPE]
    assert "--name is for the architecture of a run" in refused(*common, "--name", "x")
    (tmp_path / "file").touch()
    assert "is a file. Choose a folder" in refused(*common, "--out", tmp_path / "file")


def test_another_recipe_in_the_same_place_is_refused(run):
    called(run, *RECIPE)
    message = refused(run, *RECIPE, "-o", "ema=0.5")
    assert "seed-0 holds one training: recipe.ema is 0.5, was None" in message
    message = refused(run, "-d", "crop_padding=2", *RECIPE)
    assert "data.options.crop_padding is 2, was None" in message


def test_a_damaged_checkpoint_is_named(run):
    folder = run / "trained" / "train" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").write_bytes(b"no checkpoint")
    assert "checkpoint.pt is damaged" in refused(run, *RECIPE)


# ---------------------------------------------------------------- stopped and gone on with


def test_a_stopped_training_goes_on_to_the_same_bits(run, monkeypatch):
    called(run, *RECIPE, "--name", "straight")
    write = one_seed.checkpoint.write

    def stopping(*arguments):
        write(*arguments)
        monkeypatch.undo()
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(one_seed.checkpoint, "write", stopping)
    message = refused(run, *RECIPE)
    assert "stopped after 1 of 3 epochs" in message and "same command goes on" in message
    folder = run / "trained" / "train" / "seed-0"
    with open(folder / "log.jsonl", "a") as log:
        log.write('{"epoch": 2}\n')  # logged, and then killed before the checkpoint
    with pytest.raises(nastk.ConfigurationError, match="has not finished"):
        TrainedModel.load(run / "trained" / "train")
    called(run, *RECIPE)
    assert weights(folder) == weights(run / "trained" / "straight")
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3]


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bits(run):
    recipe = ["-o", "epochs=40", "-o", "batch_size=8", "-o", "ema=0.9", "--quiet"]
    command = [sys.executable, "-m", "nastk", "train", str(run), *recipe]
    subprocess.run([*command, "--name", "straight"], check=True)
    folder = run / "trained" / "train" / "seed-0"
    kills = 0
    for wait in (0.02, 0.1, 0.3, 0.5, math.inf):
        process = subprocess.Popen(command)
        while process.poll() is None and not (folder / "checkpoint.pt").exists():
            time.sleep(0.01)
        if wait < math.inf:
            time.sleep(wait)
            process.kill()
            kills += process.wait() == -signal.SIGKILL
        else:
            assert process.wait() == 0
    assert kills >= 2
    assert weights(folder) == weights(run / "trained" / "straight")
