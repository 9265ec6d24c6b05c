"""The folder of a trained model: round trips over all spaces, and what damaged ones are told."""

import json
import shutil

import pytest
import torch
from torch import nn

import nastk
from nastk import ConfigurationError, DataError, Task, TrainedModel, catalogue
from nastk.testing import ToySpace

TASK = Task(3, 3, 16, ("ant", "bee", "cat"))
SMALL = {
    "channels": 4, "cells": 3, "network_channels": 4, "network_cells": 3,
    "network_head_channels": 8, "width": 0.25,
}  # fmt: skip


def space_called(name):
    space_class = catalogue().load("space", name)
    fields = space_class.Options.model_fields
    return space_class(
        space_class.parse_options({key: value for key, value in SMALL.items() if key in fields})
    )


def model_of(space, task=TASK, **changes):
    architecture = space.sample(space.full(), torch.Generator().manual_seed(0))
    values = {
        "nastk": nastk.__version__,
        "space": {"name": space.name, "options": space.options.model_dump(mode="json")},
        "architecture": space.to_text(architecture),
        "architecture_id": architecture.id,
        "classes": task.names,
        "image": {"channels": task.channels, "height": task.height, "width": task.width},
        "mean": (0.5,) * task.channels,
        "std": (0.25,) * task.channels,
        "data": {"name": "toy", "options": {"images": 96}, "digests": {"train": "ab"}},
        "epochs": 2,
        "parameters": 7,
    }
    return TrainedModel(**{**values, **changes})


def saved(folder, space=None, seed=0, **changes):
    space = space or ToySpace()
    model = model_of(space, **changes)
    torch.manual_seed(seed)
    network = model.search_space().network(model.decision(space), model.task)
    return model.save(folder, network), network


@pytest.mark.parametrize("name", catalogue().names("space"))
def test_what_was_saved_is_what_is_loaded(name, tmp_path):
    model, network = saved(tmp_path / "seed-0", space_called(name))
    with torch.no_grad():  # running statistics that are not the initial ones
        for number, value in enumerate(network.state_dict().values()):
            value.add_(number % 3 / 8) if value.is_floating_point() else value.add_(number)
    model = model.save(tmp_path / "seed-0", network)
    loaded = TrainedModel.load(tmp_path / "seed-0")
    assert loaded == model and loaded.folder == tmp_path / "seed-0"
    assert loaded.decision().id == loaded.architecture_id
    copy = loaded.network()
    assert not copy.training
    images = torch.rand(2, *TASK.shape, generator=torch.Generator().manual_seed(1))
    logits = []
    for each in (copy, network.eval()):
        torch.manual_seed(2)  # the operation `noise` of s4 draws
        with torch.no_grad():
            logits.append(each(images))
    assert torch.equal(*logits)


def test_an_auxiliary_head_is_not_kept(tmp_path):
    task = Task(10, 3, 32)
    model, network = saved(
        tmp_path, space_called("darts"), task=task, network={"auxiliary": True, "network_cells": 3}
    )
    assert network.auxiliary is not None
    loaded = TrainedModel.load(tmp_path)
    assert loaded.network_options == {"auxiliary": True, "network_cells": 3}
    assert loaded.network().auxiliary is None
    assert model.to_json()["network"] == loaded.network_options


def test_a_space_that_is_not_installed_can_be_given(tmp_path):
    class Own(ToySpace):
        name = "own"

    model = model_of(Own())
    network = Own().network(model.decision(Own()), model.task)
    model.save(tmp_path, network)
    loaded = TrainedModel.load(tmp_path)
    with pytest.raises(ConfigurationError, match="No search space is named 'own'"):
        loaded.network()
    assert isinstance(loaded.network(Own()), nn.Module)


def test_the_first_seed_of_a_training_and_of_a_run_is_found(tmp_path):
    for seed in (10, 2):
        saved(tmp_path / "trained" / "train" / f"seed-{seed}", seed=seed)
    (tmp_path / "trained" / "train" / "seed-1").mkdir()  # began, did not finish
    for folder in (tmp_path, tmp_path / "trained" / "train"):
        assert TrainedModel.load(folder).folder.name == "seed-2"
    saved(tmp_path / "trained" / "longer" / "seed-0")
    with pytest.raises(ConfigurationError, match=r"several trainings. Name one of: .*longer, .*"):
        TrainedModel.load(tmp_path)


def test_classes_may_have_no_names(tmp_path):
    model = model_of(ToySpace(), classes=(None, None))
    assert model.task.classes == 2 and model.task.labels == ()
    assert TrainedModel.model_validate(json.loads(json.dumps(model.to_json()))) == model


def test_a_model_without_a_folder_has_no_weights():
    with pytest.raises(ConfigurationError, match=r"Save it first"):
        model_of(ToySpace()).network()


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_without_a_model_says_what_was_expected(there, tmp_path):
    with pytest.raises(ConfigurationError, match=r"holds no trained model \(expected model.json"):
        TrainedModel.load(tmp_path if there else tmp_path / "nowhere")


def test_an_unfinished_training_says_so(tmp_path):
    folder = tmp_path / "trained" / "train" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").touch()
    for place in (folder, tmp_path):
        with pytest.raises(ConfigurationError, match=r"train.seed-0 has not finished"):
            TrainedModel.load(place)


DESCRIPTIONS = {
    "no JSON": (lambda text: text[:40], "It should describe a trained model"),
    "a list": (lambda text: "[]", "holds no JSON object"),
    "foreign": (lambda text: "{}", "has format None, expected 1"),
    "newer": (lambda text: text.replace('"format": 1', '"format": 2'), "pip install -U nastk"),
    "a key less": (lambda text: text.replace('"epochs"', '"epoch"'), "is damaged: epochs: Field"),
    "no number": (lambda text: text.replace('"epochs": 2', '"epochs": "x"'), "is damaged: epochs"),
    "no class": (lambda text: text.replace('"ant",', "[],"), "is damaged: classes.0"),
}


@pytest.mark.parametrize("damage", DESCRIPTIONS)
def test_a_damaged_description_is_refused(damage, tmp_path):
    saved(tmp_path)
    file = tmp_path / "model.json"
    change, message = DESCRIPTIONS[damage]
    file.write_text(change(file.read_text()))
    with pytest.raises(DataError, match=message):
        TrainedModel.load(tmp_path)


WEIGHTS = {
    "missing": (lambda file: file.unlink(), "cannot be read: No such file"),
    "a bit": (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"x"), "its digest is not"),
    "cut": (lambda file: file.write_bytes(file.read_bytes()[:50]), "its digest is not"),
}


@pytest.mark.parametrize("damage", WEIGHTS)
def test_damaged_weights_are_refused(damage, tmp_path):
    saved(tmp_path)
    change, message = WEIGHTS[damage]
    change(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=message):
        TrainedModel.load(tmp_path).network()


def test_weights_of_another_network_are_refused(tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "b", ToySpace(ToySpace.Options(channels=5)))
    without_digest(tmp_path / "a")
    shutil.copy(tmp_path / "b" / "model.safetensors", tmp_path / "a")
    with pytest.raises(DataError, match="another network: it has in another shape cells"):
        TrainedModel.load(tmp_path / "a").network()
    (tmp_path / "a" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(DataError, match="is damaged"):
        TrainedModel.load(tmp_path / "a").network()


def without_digest(folder):
    """Takes the digest out of a description, as another program may write it."""
    file = folder / "model.json"
    values = json.loads(file.read_text())
    del values["weights_digest"]
    file.write_text(json.dumps(values))
