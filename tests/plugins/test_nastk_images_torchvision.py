"""Data sets of torchvision by their class name, with FakeData and locally made ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from images_kit import random_pixels
from PIL import Image
from torchvision import datasets

from nastk import ConfigurationError, DataError, Task
from nastk.testing import DataSourceContract, fingerprint
from nastk_images.torchvision_set import Torchvision, _parameters

FAKE = {"size": 24, "image_size": [3, 8, 8], "num_classes": 2}


def opened(path: str, **options: object) -> Torchvision:
    return Torchvision(Torchvision.parse_options({"path": path, **options}))


class TestTorchvision(DataSourceContract):
    source, options = Torchvision, {"path": "FakeData", "arguments": FAKE}


class Made(datasets.VisionDataset):
    """Splits train, val and test of 12, 6 and 6 pictures."""

    def __init__(self, root: str, split: str = "train", download: bool = False) -> None:
        counts = {"train": 12, "val": 6, "test": 6, "extra": 4}
        if split not in counts:
            raise ValueError(f"Unknown value '{split}' for argument split.")
        if not download:
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        super().__init__(root)
        self._labels = [number % 2 for number in range(counts[split])]
        self.classes = ["cat", "dog", "owl"]
        self.split = split

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return Image.new("RGB", (8, 8), (index, len(self), 7 * index)), self._labels[index]


class Whole(Made):
    """No splits; labels are only in the items, as tensors."""

    def __init__(self) -> None:
        super().__init__("", "train", True)
        self._kept, self._labels = self._labels, [7] * 12

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return super().__getitem__(index)[0], torch.tensor(self._kept[index])


class Trained(Made):
    """As MNIST does: train is True or False."""

    def __init__(self, train: bool = True) -> None:
        super().__init__("", "train" if train else "test", True)


@pytest.fixture(autouse=True)
def offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [made.__name__ for made in (Made, Whole, Trained)]
    for made in (Made, Whole, Trained):
        monkeypatch.setattr(datasets, made.__name__, made, raising=False)
    monkeypatch.setattr(datasets, "__all__", (*datasets.__all__, *names))
    monkeypatch.setenv("NASTK_DATA", str(tmp_path / "data"))


def sizes(source: Torchvision) -> list[int]:
    return [len(split) for split in vars(source.splits(0)).values()]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("Made", {}, [12, 6, 6]),
        ("Made", {"test": "val"}, [6, 6, 6]),
        ("Made", {"valid": "extra"}, [12, 4, 6]),
        ("Made", {"arguments": {"split": "extra"}, "train_fraction": 1}, [2, 0, 2]),
        ("Whole", {"train_fraction": 0.8}, [8, 2, 2]),
        ("Trained", {}, [6, 6, 6]),
    ],
)
def test_splits_are_found(name: str, options: dict[str, Any], expected: list[int]) -> None:
    source = opened(name, **options)
    assert source.task == Task(2, 3, 8, ("cat", "dog"))
    assert sizes(source) == expected
    assert any("left out: 'owl'" in note for note in source.notes)


def test_items_are_read_as_they_are() -> None:
    train = opened("Made").splits(0).train
    assert sorted(train.images[:, 0, 0, 0].tolist()) == list(range(12))
    for pixels, label in zip(train.images, train.labels, strict=True):
        assert pixels[:, 3, 4].tolist() == [index := int(pixels[0, 0, 0]), 12, 7 * index]
        assert label == index % 2


def test_a_set_read_as_the_run_goes_on_gives_the_same_pixels() -> None:
    whole = opened("FakeData", arguments=FAKE).splits(1).train
    lazy = opened("FakeData", arguments=FAKE, memory=0).splits(1).train
    assert not isinstance(lazy.images, torch.Tensor) and lazy.files is None
    read = torch.stack([lazy.images.read(index, 3) for index in range(len(lazy))])
    assert fingerprint(read) == fingerprint(whole.images)


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (datasets.EMNIST, {"train", "split", "download", "root"}),
        (datasets.Flowers102, {"split", "download", "root"}),
        (datasets.FakeData, {"size", "image_size", "num_classes"}),
    ],
)
def test_arguments_are_also_those_that_a_class_passes_on(made: Any, names: set[str]) -> None:
    assert names <= set(_parameters(made)) and "self" not in _parameters(made)


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("Flower102", {}, DataError, r"no data set 'Flower102'\. Did you mean 'Flowers102'"),
        ("Made", {"valid": "dev"}, DataError, r"no split dev for valid \(ValueError: Unknown"),
        ("Made", {"download": False}, DataError, r"could not be opened in .*not found.*root=PATH"),
        ("Whole", {"valid": "val"}, ConfigurationError, r"no argument for the name of a split"),
        ("Made", {"arguments": {"sprit": 1}}, ConfigurationError, r"no argument 'sprit'"),
        ("FakeData", {"arguments": {"size": "many"}}, DataError, r"of train of FakeData \(TypeErr"),
        ("EMNIST", {}, DataError, r"cannot be made \(TypeError: .*'split'.*-d arguments="),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(
    name: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        opened(name, **options).task  # noqa: B018


def test_labels_and_pictures_of_other_kinds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Made, "__getitem__", lambda self, index: (None, {"boxes": []}))
    with pytest.raises(DataError, match=r"Item 0 of train of Made has the label \"\{'boxes'"):
        opened("Made").task  # noqa: B018
    monkeypatch.setattr(Made, "__getitem__", lambda self, index: (random_pixels(8, 8), index % 2))
    with pytest.raises(DataError, match=r"item 0 of train of Made .*expected a PIL image, got nda"):
        opened("Made").task  # noqa: B018
    monkeypatch.setattr(Made, "__getitem__", lambda self, index: 1 / 0)
    with pytest.raises(DataError, match=r"Item 0 of train of Made cannot be read \(ZeroDivision"):
        opened("Made").task  # noqa: B018


def test_a_real_class_reads_files_that_lie_there(tmp_path: Path) -> None:
    """SVHN's own reader, with files of its form; its labels are kept in an array."""
    scipy = pytest.importorskip("scipy.io")
    root = tmp_path / "svhn"
    root.mkdir()
    for split, count in (("train", 12), ("test", 4)):
        scipy.savemat(
            root / f"{split}_32x32.mat",
            {
                "X": random_pixels(32, 32, 3, count),
                "y": np.arange(count)[:, None] % 2 + 1,
            },
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.SVHN, "__init__", _unchecked(datasets.SVHN.__init__))
        source = opened("SVHN", root=root, download=False)
        assert source.task == Task(2, 3, 32, ("1", "2"))
        assert sizes(source) == [6, 6, 4]


def _unchecked(init: Any) -> Any:
    """SVHN compares checksums; these files have others."""

    def made(self: Any, *given: Any, **named: Any) -> None:
        self._check_integrity = lambda: True
        init(self, *given, **named)

    made.__signature__ = __import__("inspect").signature(init)  # type: ignore[attr-defined]
    return made
