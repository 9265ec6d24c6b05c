"""What data sources share, and datasets given from Python."""

import numpy as np
import pytest
import torch
from data_kit import Stored, random_images
from PIL import Image

from nastk.data.augment import Augmentation
from nastk.data.pair import PairSource, as_pixels
from nastk.data.source import DataSource
from nastk.data.statistics import statistics
from nastk.data.task import Task
from nastk.errors import ConfigurationError, DataError

# ---------------------------------------------------------------- statistics and sources


@pytest.mark.parametrize("lazy", [False, True])
def test_statistics_are_those_of_the_pixels(lazy: bool) -> None:
    images = random_images(300)
    scaled = images.double() / 255
    mean, std = statistics(Stored(images) if lazy else images)
    assert mean == pytest.approx(scaled.mean((0, 2, 3)).tolist(), abs=1e-4)
    assert std == pytest.approx(scaled.std((0, 2, 3), correction=0).tolist(), abs=1e-4)


def test_a_channel_without_any_spread_can_still_be_normalised() -> None:
    images = torch.stack([torch.full((2, 2), 51), torch.tensor([[0, 255], [255, 0]])]).byte()
    assert statistics(images[None]) == ((0.2, 0.5), (0.0039, 0.5))


@pytest.mark.parametrize("lazy", [False, True])
def test_images_that_show_nothing_are_refused(lazy: bool) -> None:
    images = torch.full((300, 1, 2, 2), 51, dtype=torch.uint8)
    with pytest.raises(DataError, match=r"show nothing: all pixels of 300 of them are equal \(51"):
        statistics(Stored(images) if lazy else images)
    images[299, 0, 1, 1] = 52
    assert statistics(Stored(images) if lazy else images)[0] == (0.2,)


class Constant(DataSource):
    """A source of 8-pixel images that only states its treatment."""

    name, summary = "constant", "for this test"
    task = Task(2, 1, 8)

    def splits(self, seed: int) -> None:  # type: ignore[override]
        """Not used."""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Augmentation((0.5,), (0.2,), 1, True, 0)),
        (
            {"crop_padding": 3, "flip": False, "cutout": 4},
            Augmentation((0.5,), (0.2,), 3, False, 4),
        ),
        ({"crop_padding": 0}, Augmentation((0.5,), (0.2,), 0, True, 0)),
    ],
)
def test_options_take_the_place_of_the_sources_own_treatment(
    options: dict[str, int], expected: Augmentation
) -> None:
    source = Constant(Constant.parse_options(options))
    assert source.augmentation((0.5,), (0.2,), crop_padding=1, flip=True) == expected


@pytest.mark.parametrize("name", ["crop_padding", "cutout"])
def test_a_treatment_as_large_as_the_image_is_refused(name: str) -> None:
    source = Constant(Constant.parse_options({name: 8}))
    with pytest.raises(
        ConfigurationError,
        match=f"{name} must be less than the image's 8 pixels, got 8.*-d {name}=2",
    ):
        source.augmentation((0.5,), (0.2,))


# ---------------------------------------------------------------- datasets from Python


class Listed:
    """A map-style dataset over a list of (image, label)."""

    def __init__(self, items: list[tuple[object, object]], classes: tuple[str, ...] = ()) -> None:
        self.items = items
        self.classes = classes

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[object, object]:
        return self.items[index]


GREY = np.arange(16, dtype=np.uint8).reshape(4, 4)
COLOUR = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def pictures(
    count: int = 12, classes: int = 2, size: int = 4, start: int = 0
) -> list[tuple[object, object]]:
    return [
        (image, start + index % classes)
        for index, image in enumerate(random_images(count, size=size))
    ]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.from_numpy(GREY), GREY[None]),
        (torch.from_numpy(GREY)[None].float() / 255, GREY[None]),
        (torch.from_numpy(COLOUR).permute(2, 0, 1), COLOUR.transpose(2, 0, 1)),
        (GREY, GREY[None]),
        (COLOUR, COLOUR.transpose(2, 0, 1)),
        (COLOUR.astype(np.float64) / 255, COLOUR.transpose(2, 0, 1)),
        (Image.fromarray(GREY), GREY[None]),
        (Image.fromarray(COLOUR), COLOUR.transpose(2, 0, 1)),
        (Image.fromarray(COLOUR).convert("RGBA"), COLOUR.transpose(2, 0, 1)),
    ],
    ids=[
        "tensor-2d",
        "float",
        "tensor-3d",
        "array-2d",
        "array-3d",
        "float-array",
        "pil-grey",
        "pil-colour",
        "pil-alpha",
    ],
)
def test_every_kind_of_image_becomes_the_same_pixels(image: object, expected: np.ndarray) -> None:
    assert torch.equal(as_pixels(image, "Item 0"), torch.from_numpy(expected.copy()))


def test_a_pair_gives_its_task_and_keeps_the_valid_set_whole() -> None:
    train, valid = Listed(pictures(12), ("cat", "dog")), Listed(pictures(6))
    source = PairSource(train, valid)
    assert source.task == Task(2, 3, 4, ("cat", "dog"))
    for seed in (0, 1):
        splits = source.splits(seed)
        assert (len(splits.train), len(splits.valid), len(splits.test)) == (12, 6, 0)
        assert torch.equal(splits.valid.images, random_images(6, size=4))
    assert splits.train.augmentation.flip
    assert splits.train.augmentation.mean == statistics(random_images(12, size=4))[0]


def test_a_single_set_is_divided_and_a_test_set_is_kept() -> None:
    source = PairSource(
        Listed(pictures(12)),
        test=Listed(pictures(4)),
        options=PairSource.parse_options({"limit": 8}),
    )
    splits = source.splits(seed=0)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (4, 4, 4)


@pytest.mark.parametrize(
    ("train", "valid", "message"),
    [
        (Listed([]), None, "The train set is empty"),
        (Listed(pictures()), Listed([]), "The valid set is empty"),
        (Listed(pictures(classes=1)), None, "The train set has the labels 0; expected two or more"),
        (Listed(pictures(start=1)), None, "has the labels 1, 2; expected"),
        (
            Listed(pictures()),
            Listed(pictures(classes=4)),
            "The valid set has the labels 2, 3, which the train set",
        ),
        (
            Listed(pictures()),
            Listed(pictures(size=5)),
            r"valid set has images of form \(3, 5, 5\), the train set \(3, 4, 4\)",
        ),
        (
            Listed([*pictures(), *pictures(1, size=5)]),
            None,
            r"Item 12 of the train set has the form \(3, 5, 5\), item 0",
        ),
        (Listed([(torch.zeros(1, 4, 5), 0)]), None, "expected 1 or 3 channels of a square image"),
        (
            Listed([(torch.full((1, 4, 4), -2.0), 0)]),
            None,
            "pixels from -2 to -2; floats are read as 0..1",
        ),
        (Listed([(torch.full((1, 4, 4), torch.nan), 0)]), None, "pixels from nan to nan"),
        (
            Listed([(torch.zeros(1, 4, 4, dtype=torch.long), 0)]),
            None,
            "pixels of type torch.int64; expected uint8",
        ),
        (
            Listed([(torch.zeros(1, 4, 4), "cat")]),
            None,
            r"Item 0 of the train set is not \(image, label\)",
        ),
        (Listed([torch.zeros(1, 4, 4)]), None, r"Item 0 of the train set is not \(image, label\)"),  # type: ignore[list-item]
    ],
)
def test_datasets_that_cannot_be_used_are_refused(
    train: Listed, valid: Listed | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        PairSource(train, valid).splits(seed=0)
