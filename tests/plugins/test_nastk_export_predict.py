"""Exported programs read pictures as the data source does, to the bit, and say what they see."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from cli_kit import called
from export_kit import trained
from PIL import Image

from nastk import Augmentation
from nastk.data.augment import augment
from nastk_export.predicting import predictor
from nastk_export.programs import predict_program
from nastk_export.standalone import predict as program
from nastk_images.folder import Folder
from nastk_images.levels import Levels
from nastk_images.pictures import PictureFiles
from nastk_training.joined import joined

RNG = np.random.default_rng(0)


def noise(*shape, high=256, kind=np.uint8):
    return RNG.integers(0, high, shape).astype(kind)


def stored(folder, name):
    """The path of a picture of a kind."""
    path = folder / name
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    match path.stem:
        case "colour":
            Image.fromarray(noise(40, 30, 3)).save(path)
        case "large":
            Image.fromarray(noise(300, 500, 3)).save(path, quality=90)
        case "sideways":
            Image.fromarray(noise(20, 36, 3)).save(path, exif=exif)
        case "grey":
            Image.fromarray(noise(17, 23)).save(path)
        case "clear":
            Image.fromarray(noise(19, 33, 4), "RGBA").save(path)
        case "palette":
            picture = Image.fromarray(noise(24, 24, 3)).quantize(16)
            picture.save(path, transparency=3)
        case "deep":
            Image.fromarray(noise(21, 21, high=4096, kind=np.uint16)).save(path)
        case "exact":
            Image.fromarray(noise(16, 12, 3)).save(path)
    return path


PICTURES = (
    "colour.png",
    "large.jpg",
    "sideways.jpg",
    "sideways.tif",
    "grey.png",
    "clear.png",
    "palette.png",
    "palette.gif",
    "deep.png",
    "exact.bmp",
)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("middle", [1.0, 7 / 8])
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_read_as_the_source_reads_them(name, middle, channels, tmp_path):
    path = str(stored(tmp_path, name))
    levels = Levels(100, 4000)
    source = PictureFiles((path,), (16, 12), channels, middle < 1, levels)
    form = {
        "channels": channels,
        "height": 16,
        "width": 12,
        "middle": middle,
        "levels": (100, 4000),
    }
    pixels = program.read_picture(path, form)
    assert torch.equal(torch.from_numpy(pixels).permute(2, 0, 1), source.read(0, None))


def test_what_was_done_to_the_pictures_of_a_set_is_kept_with_its_split(tmp_path):
    for index in range(12):
        path = tmp_path / "set" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(150, 140, high=4096, kind=np.uint16)).save(path)
    source = Folder(Folder.Options(path=tmp_path / "set", size=128, memory=0))
    splits = source.splits(0)
    both = joined(splits.train, splits.valid)
    prepared = both.preparation
    assert prepared == splits.test.preparation
    assert prepared.middle == 7 / 8
    low, high = prepared.levels
    assert 0 <= low < 100
    assert 4000 < high < 4096
    form = {"channels": 1, "height": 128, "width": 128, **asdict(prepared)}
    first = splits.train.files.paths[0]
    pixels = program.read_picture(tmp_path / "set" / first, form)
    expected = both.images.read(0, None)
    assert torch.equal(torch.from_numpy(pixels).permute(2, 0, 1), expected)


def test_pixels_are_normalised_to_the_bits_of_training():
    pixels, mean, std = noise(5, 9, 7, 3), (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    expected = augment(images, Augmentation(mean, std), 0, False)
    assert torch.equal(torch.from_numpy(program.normalised(pixels, mean, std)), expected)


@pytest.fixture
def model(tmp_path):
    return trained(tmp_path / "model" / "seed-0", "toy")


def test_probabilities_are_those_of_the_network(model, tmp_path):
    path = stored(tmp_path, "colour.png")
    found = predictor(model.folder)(path)
    image = model.image
    source = PictureFiles((str(path),), (image.height, image.width), image.channels)
    inputs = augment(source.read(0, None)[None], Augmentation(model.mean, model.std), 0, False)
    with torch.no_grad():
        expected = model.network()(inputs).double().softmax(1)[0]
    assert sorted(found.values(), reverse=True) == list(found.values())
    for name, chance in zip(model.classes, expected.tolist(), strict=True):
        assert found[name] == pytest.approx(chance, abs=1e-6)


def test_the_command_names_unreadable_pictures_and_goes_on(model, tmp_path):
    good, cut = stored(tmp_path, "colour.png"), tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:60])
    code, out, err = called("predict", tmp_path / "model", cut, good, tmp_path / "no.jpg")
    assert code == 1
    assert f"{cut} cannot be read" in err
    assert "no.jpg cannot be read (FileNotFoundError" in err
    assert out.startswith(f"{good}: ")
    assert out.count(" %") == 3
    code, out, _ = called("predict", tmp_path / "model", good, cut, "--json", "--top", 2)
    first, second = json.loads(out)
    assert code == 1
    assert [set(row) for row in first["classes"]] == [{"class", "probability"}] * 2
    assert "classes" not in second
    assert called("predict", tmp_path / "model", good)[0] == 0


def test_a_run_without_a_training_says_what_to_do(tmp_path):
    for words in (("predict", tmp_path, "a.png"), ("export", tmp_path, "-f", "python")):
        code, _, err = called(*words)
        assert code == 2
        assert "holds no trained model" in err
        assert "nastk train" in err


def test_pictures_with_other_channels_are_refused_in_words(tmp_path):
    path = stored(tmp_path, "colour.png")
    with pytest.raises(ValueError, match="images of 4 channels; pictures have 1 or 3"):
        program.read_picture(path, {"channels": 4, "height": 8, "width": 8})


@pytest.mark.parametrize("name", ["python", "safetensors", "torch-export", "onnx", "executorch"])
def test_the_program_of_each_format_is_whole_and_has_its_own_loading(name):
    text = predict_program(name)
    names = {"__name__": "predict"}
    exec(compile(text, "predict.py", "exec"), names)
    assert {"load", "Predictor", "read_picture", "main"} <= set(names)
    assert "nastk_export" not in text
    assert "NotImplementedError" not in text
    assert text.count("def load(") == 1
