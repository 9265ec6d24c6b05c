"""Studies whose images have moved go on; other images and other settings are refused."""

import json
import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

import nastk
from nastk import ConfigurationError
from nastk.runs.config import resolve
from nastk.runs.folder import RunFolder
from nastk.runs.moved import only_moved, without_paths
from nastk.runs.protocol import Protocol

RANDOM = nastk.use("random", candidates=2)
REQUEST = {
    "space": nastk.use("toy", channels=3),
    "updaters": [RANDOM],
    "seeds": [0, 1],
    "trainer": {"epochs": 2, "batch_size": 8, "threads": 1},
    "evaluators": ["size"],
}


def pictures(folder, seed=0, classes="ab"):
    colours = np.random.default_rng(seed).integers(0, 256, (len(classes), 10, 8, 8, 3), np.uint8)
    for name, each in zip(classes, colours, strict=True):
        (folder / name).mkdir(parents=True)
        for number, pixels in enumerate(each):
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def study(images, out, **changes):
    data = nastk.use("folder", path=str(images), size=8)
    return nastk.compare(data=data, out=out, **{**REQUEST, **changes})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished study of two runs: its folder and its images."""
    place = tmp_path_factory.mktemp("whole")
    return study(pictures(place / "pictures"), place / "study").folder, place / "pictures"


@pytest.fixture
def copied(whole, tmp_path):
    """The same study and images, copied elsewhere."""
    folder, images = whole
    shutil.copytree(folder, tmp_path / "study")
    shutil.copytree(images, tmp_path / "elsewhere" / "pictures")
    return tmp_path / "study", tmp_path / "elsewhere" / "pictures"


def stopped(images, out):
    """Stop the study in the middle of its second run."""

    @contextmanager
    def around(cell, run):
        if cell.seed == 1:
            run.observers.append(lambda event: run.stop() if event.kind == "epoch-done" else None)
        yield

    with pytest.raises(nastk.StopRequested):
        study(images, out, around=around)
    assert list(out.glob("*seed1/checkpoints/*.safetensors"))


def test_a_finished_study_counts_as_done_and_goes_on_with_more(copied, whole):
    folder, images = copied
    heard = []
    found = study(images, folder, seeds=[0, 1, 2], hear=heard.append)
    assert {report.job for report in heard} == {"random(candidates=2), seed 2"}
    kept, new = (json.loads((cell.folder.path / "config.json").read_text())
                 for cell in found.cells[1:])  # fmt: skip
    assert kept["data"]["options"]["path"] == str(whole[1])
    assert new["data"]["options"]["path"] == str(images)


def test_a_run_that_was_stopped_goes_on_where_the_images_are_now(copied, whole, tmp_path):
    first, out = pictures(tmp_path / "first" / "pictures"), tmp_path / "stopped"
    stopped(first, out)
    shutil.rmtree(first)
    found = study(copied[1], out)
    for cell in found.cells:
        expected = RunFolder(whole[0] / cell.folder.path.name).result()
        assert cell.folder.result()["architecture"] == expected["architecture"]


def test_the_hash_of_a_protocol_is_that_of_the_images_and_not_of_their_place(copied, whole):
    folder, images = copied
    (folder / "protocol.json").unlink()
    study(images, folder)
    again, before = (
        json.loads((each / "protocol.json").read_text()) for each in (folder, whole[0])
    )
    assert again["hash"] == before["hash"] == Protocol.read(folder).hash
    (problem,) = again["problems"].values()
    assert problem["settings"]["data"]["options"]["size"] == 8
    assert "path" not in problem["settings"]["data"]["options"]


def test_a_protocol_of_an_earlier_version_has_the_place_and_still_fits(copied, whole):
    folder, images = copied
    protocol = json.loads((folder / "protocol.json").read_text())
    (problem,) = protocol["problems"].values()
    problem["settings"]["data"]["options"]["path"] = str(whole[1])
    (folder / "protocol.json").write_text(json.dumps(protocol))
    assert len(study(images, folder, seeds=[0, 1, 2]).cells) == 3


@pytest.mark.parametrize("record", ["kept", "lost"])
def test_other_images_at_the_new_place_are_refused(record, copied):
    folder, images = copied
    if record == "kept":
        shutil.rmtree(images)
        pictures(images, seed=1)
    else:
        for file in folder.glob("*/data.json"):
            file.unlink()
    with pytest.raises(ConfigurationError, match="was run with another data"):
        study(images, folder)


def test_another_size_at_the_new_place_is_another_setting(copied):
    folder, images = copied
    run = RunFolder(folder / "random-candidates=2-seed0")
    config = resolve(run.config())
    moved = config.data.model_copy(
        update={"options": {**config.data.options, "path": str(images), "size": 6}}
    )
    assert not only_moved(run, config.model_copy(update={"data": moved}))


def test_only_paths_of_images_are_left_out():
    config = {
        "space": {"options": {"path": 1}},
        "data": {"name": "a", "options": {"path": "b", "x": 1}},
    }
    assert without_paths(config) == {
        "space": {"options": {"path": 1}}, "data": {"name": "a", "options": {"x": 1}}
    }  # fmt: skip
