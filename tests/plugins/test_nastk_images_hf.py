"""Data sets in the form of Hugging Face's library, saved locally; the network is never asked."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from images_kit import random_pixels
from PIL import Image

from nastk import DataError, Task
from nastk.base import MissingExtraError
from nastk.testing import DataSourceContract, fingerprint
from nastk_images.hub import HuggingFace

datasets = pytest.importorskip("datasets")


def png(mode: str = "RGB", size: tuple[int, int] = (8, 8), **more: Any) -> dict[str, Any]:
    """The bytes of a random picture, as such data sets store them."""
    content = io.BytesIO()
    Image.fromarray(random_pixels(size[1], size[0], 3)).convert(mode).save(content, "PNG", **more)
    return {"bytes": content.getvalue(), "path": None}


def part(count: int = 12, names: Any = ("ant", "bee"), **columns: Any) -> Any:
    """A split of pictures whose labels alternate."""
    labels = [number % 2 for number in range(count)]
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))}
    given = {"image": [png() for _ in labels], "label": labels}
    for name, (values, feature) in columns.items():
        given[name], features[name] = values, feature
    return datasets.Dataset.from_dict(given, features=datasets.Features(features))


def saved(folder: Path, **splits: Any) -> Path:
    datasets.DatasetDict(splits).save_to_disk(folder)
    return folder


def opened(path: Path, **options: object) -> HuggingFace:
    return HuggingFace(HuggingFace.parse_options({"path": str(path), **options}))


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets.disable_progress_bars()


class TestHuggingFace(DataSourceContract):
    source = HuggingFace

    @pytest.fixture(autouse=True)
    def _saved(self, tmp_path: Path) -> None:
        self.options = {"path": str(saved(tmp_path, train=part(20)))}


def test_splits_columns_and_classes_are_found(tmp_path: Path) -> None:
    names = ("ant", "bee", "cow")
    folder = saved(tmp_path, train=part(12, names), validation=part(6, names), test=part(4, names))
    source = opened(folder)
    assert source.task == Task(2, 3, 8, ("ant", "bee"))
    assert [len(split) for split in vars(source.splits(0)).values()] == [12, 6, 4]
    notes = " ".join(source.notes)
    assert "images of column 'image', labels of column 'label'" in notes
    assert "without a train image are left out: 'cow'" in notes
    chosen = opened(folder, train="test", test="train")
    assert [len(split) for split in vars(chosen.splits(0)).values()] == [4, 6, 12]


def test_a_single_split_is_divided_and_its_bytes_are_decoded_here(tmp_path: Path) -> None:
    """Turned, transparent and deep grey pictures come out as they do from folders."""
    upright = random_pixels(8, 12, 3)
    turned, content = Image.Exif(), io.BytesIO()
    turned[0x0112] = 6
    Image.fromarray(upright).save(content, "PNG", exif=turned)
    pictures = [{"bytes": content.getvalue(), "path": None}] * 6
    whole = datasets.Dataset.from_dict(
        {"photo": pictures, "class": ["b", "a"] * 3},
        features=datasets.Features({"photo": datasets.Image(), "class": datasets.Value("string")}),
    )
    whole.save_to_disk(tmp_path)
    source = opened(tmp_path, size="12x8", train_fraction=1)
    assert source.task.labels == ("a", "b")
    train = source.splits(0).train
    expected = torch.from_numpy(np.rot90(upright, -1).copy()).permute(2, 0, 1)
    assert all(torch.equal(image, expected) for image in train.images)


def test_a_set_read_as_the_run_goes_on_gives_the_same_pixels(tmp_path: Path) -> None:
    folder = saved(tmp_path, train=part(12))
    whole, lazy = (opened(folder, memory=memory).splits(1).train for memory in (2, 0))
    assert not isinstance(lazy.images, torch.Tensor) and lazy.files is None
    read = torch.stack([lazy.images.read(index, 3) for index in range(len(lazy))])
    assert fingerprint(read) == fingerprint(whole.images)


def test_arrays_have_any_number_of_channels(tmp_path: Path) -> None:
    values = random_pixels(12, 6, 10, 5)
    features = datasets.Features(
        {"cube": datasets.Array3D((6, 10, 5), "uint8"), "label": datasets.Value("int64")}
    )
    cubes = {"cube": list(values), "label": [3, 8] * 6}
    datasets.Dataset.from_dict(cubes, features=features).save_to_disk(tmp_path)
    source = opened(tmp_path)
    assert source.task == Task(2, 5, (6, 10), ("3", "8"))
    images = source.splits(0).test.images
    assert isinstance(images, torch.Tensor)
    stored = torch.from_numpy(values).permute(0, 3, 1, 2)
    assert all(any(torch.equal(image, one) for one in stored) for image in images)


def test_a_test_split_without_labels_is_not_read(tmp_path: Path) -> None:
    hidden = part(4).map(lambda row: {"label": -1})
    source = opened(saved(tmp_path, train=part(20), test=hidden))
    assert len(source.splits(0).test) == 4  # a fifth of train
    assert any("'test' has no labels" in note for note in source.notes)


def test_a_folder_is_known_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "bees", train=part())
    monkeypatch.chdir(tmp_path)
    assert opened(Path("bees")).options.path == str(tmp_path / "bees")
    assert HuggingFace.parse_options({"path": "user/bees"}).path == "user/bees"


WORDS, NUMBERS = (["x"] * 12, "string"), (list(range(12)), "int64")


def typed(values: list[Any], kind: str) -> tuple[list[Any], Any]:
    return values, datasets.Value(kind)


def two_images() -> Any:
    return part(other=([png()] * 12, datasets.Image()))


@pytest.mark.parametrize(
    ("made", "options", "words"),
    [
        (two_images, {}, r"several columns for the image: image, other\. Say `-d image=NAME`"),
        (part, {"label": "lable"}, r"no column 'lable'\. Did you mean 'label'"),
        (lambda: part().remove_columns("label"), {}, r"no column that is known as the label; it"),
        (part, {"test": "tset"}, r"no split 'tset'\. .*It has: train"),
        (lambda: part(half=typed([0.5] * 12, "float64")), {"label": "half"}, r"row 0 of train of "
            r".* has the label '0\.5'; expected a text or a whole number"),
        (lambda: part(2), {}, r"a class needs 3, and .* or name splits of the set"),
        (lambda: part(12, ["one", "two"]).filter(lambda row: row["label"] == 0), {},
            r"has the one class 0 in train"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_what_to_do(
    tmp_path: Path, made: Any, options: dict[str, Any], words: str
) -> None:
    folder = saved(tmp_path / "set", train=made())
    with pytest.raises(DataError, match=words):
        opened(folder, **options).task  # noqa: B018


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, r"row 1 of train of .* cannot be read \(ValueError: the row has no image"),
        ({"bytes": b"not a picture", "path": None}, r"row 1 of train of .* cannot be read"),
    ],
)
def test_a_damaged_image_is_named_by_its_row(tmp_path: Path, value: Any, words: str) -> None:
    pictures = [png(), value, png(), png()]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = datasets.Dataset.from_dict({"image": pictures, "label": [0, 1] * 2}, features=features)
    with pytest.raises(DataError, match=words):
        opened(saved(tmp_path, train=rows), train_fraction=1).task  # noqa: B018


def test_a_name_that_is_nowhere_and_a_missing_library_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"cannot be opened \(.*Give a name on the hub"):
        opened(empty).task  # noqa: B018
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nastk\[hf\]'"):
        opened(empty).task  # noqa: B018
