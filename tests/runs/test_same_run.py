"""A run that goes on is the same one: its images, its configuration, its states."""

import json
import shutil

import numpy as np
import pytest
import torch
from cli_kit import called
from core_kit import Still, rewrite
from PIL import Image

import nastk
from nastk import (
    Augmentation,
    CheckpointError,
    ConfigurationError,
    DataError,
    Split,
    Splits,
    Task,
    compare,
)
from nastk.base.events import EpochDone
from nastk.data.inventory import Inventory
from nastk.data.splits import ImageFile
from nastk.runs import checkpoint
from nastk.runs.folder import CONFIG, DATA, EVENTS, RESULT, RunFolder
from nastk.runs.run import Run

TRAINER = {"epochs": 2, "batch_size": 8, "workers": 0}


def pictures(place, classes="ab", images=12, seed=0):
    rng = np.random.default_rng(seed)
    for name in classes:
        (place / name).mkdir(parents=True)
        for number in range(images):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / name / f"{number:02d}.bmp")  # all of one size
    return place


def left(out, data, **request):
    """A run on `data`, left after its first epoch."""
    asked = {"space": "toy", "updater": "darts", "data": data, "trainer": TRAINER, **request}
    for event in nastk.stream(asked, out=out):
        if isinstance(event, EpochDone):
            break
    return RunFolder.open(out)


@pytest.fixture(scope="module", params=[2.0, 0], ids=["in memory", "on the disk"])
def begun(request, tmp_path_factory):
    """A folder with pictures and a run on them that is to go on; to be copied."""
    place = tmp_path_factory.mktemp("begun")
    data = {
        "name": "folder",
        "options": {"path": str(pictures(place / "d")), "memory": request.param},
    }
    left(place / "run", data)
    return place


@pytest.fixture
def place(begun, tmp_path):
    """A copy of both; the run knows its pictures at their new place by an edited path."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    path = {"path": str(tmp_path / "d")}
    rewrite(tmp_path / "run" / CONFIG, lambda config: config["data"]["options"].update(path))
    return tmp_path


# ---------------------------------------------------------------------- images


def added(d):
    shutil.copy(d / "a" / "03.bmp", d / "a" / "00a.bmp")


def removed(d):
    (d / "b" / "05.bmp").unlink()


def renamed(d):
    (d / "a").rename(d / "z")


def another_class(d):
    shutil.copytree(d / "a", d / "c")


def longer(d):
    with open(d / "a" / "07.bmp", "ab") as file:
        file.write(b"more")


def swapped(d):
    for one, other in (("a", "t"), ("b", "a"), ("t", "b")):
        (d / one).rename(d / other)


def painted(d):
    pictures(d.with_name("other"), seed=1)
    shutil.copy(d.with_name("other") / "a" / "02.bmp", d / "a" / "02.bmp")


CHANGES = {
    added: r"a/00a\.bmp is new \(25 images in all; there were 24\)",
    removed: r"b/05\.bmp is gone \(23 images in all; there were 24\)",
    renamed: r"the classes are b, z; they were a, b",
    another_class: r"the classes are a, b, c; they were a, b",
    longer: r"a/07\.bmp is another image than it was",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_does_not_go_on_with_other_images(change, place):
    change(place / "d")
    before = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    with pytest.raises(DataError, match=rf"run began with: {CHANGES[change]}\. Splits are drawn"):
        nastk.resume(place / "run")
    after = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("change", [swapped, painted])
def test_pictures_of_the_same_size_are_told_apart_where_they_are_read_whole(change, place):
    """Names and sizes are all that is looked at of sets that are read while the run goes on."""
    change(place / "d")
    if json.loads((place / "run" / CONFIG).read_text())["data"]["options"]["memory"]:
        with pytest.raises(DataError, match=r"a/0.\.bmp is another image than it was"):
            nastk.resume(place / "run")


def test_the_same_images_elsewhere_are_the_same(place):
    (place / "d").rename(place / "e")
    rewrite(
        place / "run" / CONFIG,
        lambda config: config["data"]["options"].update(path=str(place / "e")),
    )
    assert nastk.resume(place / "run").architecture


def test_a_run_without_a_checkpoint_begins_anew_with_the_images_of_now(place):
    shutil.rmtree(place / "run" / "checkpoints")
    added(place / "d")
    assert nastk.resume(place / "run").architecture
    assert sum(map(sum, counts(place / "run"))) == 25


def counts(run):
    splits = json.loads((run / DATA).read_text())["splits"]
    return [splits[name]["counts"] for name in ("train", "valid", "test")]


def test_an_old_run_goes_on_with_a_warning(place):
    """As nastk 0.1 left it: no record of the images, none in the checkpoint."""
    folder = RunFolder.open(place / "run")
    (folder.path / DATA).unlink()
    for path in folder.checkpoints.iterdir():
        old = checkpoint.read(path)
        checkpoint.write(
            folder.checkpoints,
            checkpoint.Checkpoint(old.branches, old.cost, old.events, old.version),
            path.stem,
        )
    run = Run.resumed(folder)
    assert any("kept no record of its images" in notice for notice in run.notices)
    list(run.events())
    assert folder.state() == "finished" and folder.data() is not None


def test_where_the_record_is_lost_the_checkpoint_still_tells(place):
    (place / "run" / DATA).unlink()
    added(place / "d")
    with pytest.raises(DataError, match=r"data\.json, which would tell where, is missing"):
        nastk.resume(place / "run")


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("splits"),
        lambda value: value.update(labels=["a", "c"]),
        lambda value: value.update(splits=[]),
        lambda value: value["splits"]["train"].update(counts=None),
    ],
)
def test_a_damaged_record_is_named(change, place):
    rewrite(place / "run" / DATA, change)
    removed(place / "d")
    with pytest.raises(DataError, match=r"data\.json is damaged: it"):
        nastk.resume(place / "run")


class Bytes:
    """A set of somebody's own, that is read one by one."""

    def __len__(self):
        return 4

    def read(self, index, seed):
        return torch.zeros((1, 2, 2), dtype=torch.uint8)


def splits(images=None, labels=(0, 1, 0, 1)):
    images = torch.arange(16, dtype=torch.uint8).reshape(4, 1, 2, 2) if images is None else images
    split = Split(images, torch.tensor(labels), Augmentation((0.0,), (1.0,)))
    return Splits(split, split.select([]), split.select([0, 1]))


def test_images_in_memory_are_known_by_their_pixels():
    task = Task(2, 1, 2, ("no", "yes"))
    before = Inventory.of(splits(), task)
    assert Inventory.from_json(json.loads(json.dumps(before.to_json()))) == before
    assert Inventory.of(splits(), task).difference(before) is None
    other = torch.arange(16, dtype=torch.uint8).reshape(4, 1, 2, 2)
    other[3] += 1
    coloured = Task(2, 3, 2, task.labels)
    cases = {
        "split train has other images of class 'yes' (the first is image 3)": (splits(other), task),
        "split train has 1 images of class 'no'; it had 2": (splits(labels=(0, 1, 1, 1)), task),
        "images are read as 3 x 2 x 2 pixels; they were 1 x 2 x 2": (splits(), coloured),
        "the classes are 0, 1; they were no, yes": (splits(), Task(2, 1, 2)),
    }  # fmt: skip
    for words, (changed, as_task) in cases.items():
        assert Inventory.of(changed, as_task).difference(before) == words
    assert isinstance(Bytes(), ImageFile)
    assert Inventory.of(splits(Bytes()), task).digest == Inventory.of(splits(Bytes()), task).digest


def test_of_many_images_each_class_has_a_digest(monkeypatch):
    monkeypatch.setattr("nastk.data.inventory.LISTED", 3)
    task = Task(2, 1, 2)
    before = Inventory.of(splits(), task)
    assert before.parts["train"].images is None
    other = torch.arange(16, dtype=torch.uint8).reshape(4, 1, 2, 2).flip(0)
    assert Inventory.of(splits(other), task).difference(before) == (
        "split train has other images of class '0'"
    )


def test_other_datasets_from_python_are_refused(tmp_path):
    def pairs(seed):
        rng = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (24, 1, 8, 8), generator=rng).byte()
        return [(image, number % 2) for number, image in enumerate(images)]

    config = {"space": "toy", "updater": Still.name, "data": "pair", "trainer": TRAINER}
    config["updater"] = "darts"
    for event in nastk.stream(config, out=tmp_path / "run", data=(pairs(0), pairs(1))):
        if isinstance(event, EpochDone):
            break
    with pytest.raises(DataError, match=r"split valid has other images of class '0'"):
        nastk.resume(tmp_path / "run", data=(pairs(0), pairs(2)))
    assert nastk.resume(tmp_path / "run", data=(pairs(0), pairs(1))).architecture


# ---------------------------------------------------------------------- evaluating later


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run on pictures beside it, begun with a relative path; to be copied."""
    place = tmp_path_factory.mktemp("finished")
    pictures(place / "d")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        data = {"name": "folder", "options": {"path": "d"}}
        nastk.search("toy", "darts", data, trainer=TRAINER, evaluators=["supernet"], out="run")
    return place


@pytest.fixture
def done(finished, tmp_path):
    """A copy of it whose path is the copy's."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    path = {"path": str(tmp_path / "d")}
    rewrite(tmp_path / "run" / CONFIG, lambda config: config["data"]["options"].update(path))
    return tmp_path


def evaluate(run, *words):
    """(exit code, stderr) of `nastk evaluate`."""
    code, _, err = called("evaluate", run, *words)
    return code, err


def test_a_relative_path_is_kept_whole(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = json.loads((finished / "run" / CONFIG).read_text())
    assert config["data"]["options"]["path"] == str(finished / "d")
    run = shutil.copytree(finished / "run", tmp_path / "run")
    code, said = evaluate(run, "-e", "supernet")
    assert code == 0, said


def test_other_images_do_not_judge(done):
    before = (done / "run" / RESULT).read_bytes()
    renamed(done / "d")
    code, said = evaluate(done / "run", "-e", "supernet")
    assert code == 2 and "the classes are b, z; they were a, b" in " ".join(said.split())
    assert (done / "run" / RESULT).read_bytes() == before


def test_an_evaluator_without_images_needs_none(done):
    shutil.rmtree(done / "d")
    code, said = evaluate(done / "run", "-e", "size")
    assert code == 0, said
    assert nastk.resume(done / "run").evaluation["parameters"] > 0
    code, said = evaluate(done / "run", "-e", "supernet")
    assert code == 2 and "does not exist" in said


def test_a_supernet_of_before_the_end_does_not_judge(done):
    last = max((done / "run" / "checkpoints").iterdir())
    last.write_bytes(b"damaged")
    code, said = evaluate(done / "run", "-e", "supernet")
    assert code == 1 and "at the end of the run is lost" in " ".join(said.split())


def test_a_study_goes_on_whatever_its_place(tmp_path, monkeypatch):
    pictures(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    data = {"name": "folder", "options": {"path": "d"}}
    for _ in range(2):
        study = compare(
            "toy", ["random"], data, seeds=[0], out="study", trainer={**TRAINER, "epochs": 1}
        )
    assert len(study.rows) == 1


# ---------------------------------------------------------------------- configuration, states


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return left(tmp_path_factory.mktemp("toy") / "run", "toy", seed=3).path


@pytest.fixture
def run(toy, tmp_path):
    return shutil.copytree(toy, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.update(seed=9), r"seed is 9, was 3"),
        (lambda config: config["trainer"].update(epochs=4), "trainer option epochs is 4, was 2"),
        (lambda config: config["space"]["options"].update(channels=6), "option channels is 6"),
        (lambda config: config.update(updater={"name": "random", "options": {}}),
         r"updater is 'random', was 'darts'"),
        (lambda config: config.update(limits=["params=4M"]), r"limits is \[\('parameters', 4000"),
    ],
)  # fmt: skip
def test_a_configuration_that_was_changed_is_noticed(change, message, run):
    rewrite(run / CONFIG, change)
    with pytest.raises(ConfigurationError, match=rf"config\.json was changed after its.*{message}"):
        nastk.resume(run)


def test_what_does_not_train_may_change(run):
    def change(config):
        config["evaluators"] = [{"name": "size", "options": {}}]
        config["trainer"].update(log_every=3, checkpoint_minutes=1.0)

    rewrite(run / CONFIG, change)
    assert set(nastk.resume(run).evaluation) == {"parameters", "multiply_adds"}


def test_before_anything_is_trained_everything_may_change(run):
    shutil.rmtree(run / "checkpoints")
    rewrite(run / CONFIG, lambda config: config.update(seed=9))
    nastk.resume(run)
    (first, *_) = (run / EVENTS).read_text().splitlines()
    assert json.loads(first)["config"]["seed"] == 9


def test_an_old_run_is_compared_with_its_first_event(run):
    folder = RunFolder.open(run)
    for path in folder.checkpoints.iterdir():
        old = checkpoint.read(path)
        checkpoint.write(
            folder.checkpoints, checkpoint.Checkpoint(old.branches, old.cost, old.events), path.stem
        )
    rewrite(run / CONFIG, lambda config: config.update(seed=9))
    with pytest.raises(ConfigurationError, match="seed is 9, was 3"):
        nastk.resume(run)


def test_a_wrong_setting_names_the_file(run):
    rewrite(run / CONFIG, lambda config: config["trainer"].update(momentum="many"))
    with pytest.raises(ConfigurationError, match=r"run/config\.json: .*momentum.*'many'"):
        nastk.resume(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["updater"].clear(),
        lambda state: state["supernet"].popitem(),
        lambda state: state.pop("rng"),
        lambda state: state.update(supernet=None),
    ],
    ids=["updater", "weights", "key", "type"],
)
def test_states_that_do_not_fit_say_what_changed(change, run):
    folder = RunFolder.open(run)
    found, _ = checkpoint.newest(folder.checkpoints)
    change(found.branches[0])
    packages = {**found.origin["packages"], "updater": "Updater 'darts' (nastk 0.0.1)"}
    stored = checkpoint.Checkpoint(
        found.branches,
        found.cost,
        found.events,
        found.version,
        {**found.origin, "packages": packages},
    )
    checkpoint.write(folder.checkpoints, stored, found.path.stem)
    message = r"does not fit the run's .*Since it was written, Updater 'darts' \(nastk 0\.0\.1\) is"
    with pytest.raises(CheckpointError, match=message):
        nastk.resume(run)
    assert checkpoint.newest(folder.checkpoints)[1] == []
