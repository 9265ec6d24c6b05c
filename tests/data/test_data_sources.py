"""What data sources share, and datasets given from Python."""

from typing import Any

import numpy as np
import pytest
import torch
from data_kit import Stored, random_images
from PIL import Image

from nastk import Augmentation, ConfigurationError, DataError, DataSource, Task
from nastk.data.channel_statistics import statistics
from nastk.data.items import as_label, as_pixels
from nastk.data.pair import PairSource
from nastk.data.transparency import BEHIND

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
) -> list[tuple[Any, Any]]:
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
        (Listed([(torch.zeros(8, 9, 3), 0)]), None, "which would be 8 channels of 9 x 3 pixels"),
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
            Listed([(Image.fromarray(GREY.astype(np.uint16)), 0)]),
            None,
            r"pixels of type torch.uint16; expected uint8.*Divide by the largest value",
        ),
        (Listed([(torch.zeros(3, 0, 0), 0)]), None, r"has the form \(3, 0, 0\); expected channels"),
        (None, None, "The train set is of type NoneType; expected a dataset"),
    ],
)
def test_datasets_that_cannot_be_used_are_refused(
    train: Listed, valid: Listed | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        PairSource(train, valid).splits(seed=0)


LABELS = [
    (3, 3), (2.0, 2), (True, 1), (np.int64(4), 4), (np.uint8(4), 4), (np.float32(1), 1),
    (np.array(5), 5), (np.array([5]), 5), (np.array([[5]]), 5), (torch.tensor(6), 6),
    (torch.tensor([6.0]), 6),
]  # fmt: skip


@pytest.mark.parametrize(("label", "expected"), LABELS)
def test_every_whole_number_is_a_label(label: object, expected: int) -> None:
    assert as_label(label, "Item 0") == expected


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (0.25, "label 0.25, which is no whole number"),
        (np.float64(1.7), "label 1.7, which is no whole number"),
        (torch.tensor([0.5]), "label 0.5, which is no whole number"),
        (float("inf"), "label inf, which is no whole number"),
        (float("nan"), "label nan, which is no whole number"),
        pytest.param(10**5000, "label <int>, which is no whole number", id="5,001 digits"),
        (10**400, r"label 1000.*\.\.\., which is no whole number"),
        ("cat", "label 'cat', which is no whole number"),
        ("3", "label '3', which is no whole number"),
        (b"3", "label b'3', which is no whole number"),
        (None, "label None, which is no whole number"),
        ([1], r"label \[1\], which is no whole number"),
        (1 + 0j, r"label \(1\+0j\), which is no whole number"),
        (np.array(["a"]), "label 'a', which is no whole number"),
        (torch.eye(3)[0], r"label of form \(3,\); expected one whole number"),
        (np.zeros((0,)), r"label of form \(0,\); expected one whole number"),
    ],
)
def test_what_is_no_whole_number_is_no_label(label: object, message: str) -> None:
    with pytest.raises(DataError, match=f"Item 0 has (a|the) {message}"):
        as_label(label, "Item 0")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"image": 1, "label": 2}, "a dictionary with the keys 'image', 'label'. Wrap"),
        ((torch.zeros(1, 4, 4), 0, "more"), "it is of type tuple of length 3"),
        (torch.zeros(2, 1, 4, 4), "it is of type Tensor"),
        ("ab", "it is of type str"),
        (None, "it is of type NoneType"),
    ],
)
def test_items_that_are_no_pair_are_named(item: object, message: str) -> None:
    with pytest.raises(
        DataError, match=rf"Item 0 of the train set is not \(image, label\): .*{message}"
    ):
        PairSource(Listed([item])).splits(seed=0)  # type: ignore[list-item]


class Unreadable:
    """Raises when it is made an array of."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise RuntimeError("gone")


@pytest.mark.parametrize(
    "image", [None, "a", b"a", [[1], [2, 3]], {"a": 1}, object(), Unreadable()]
)
def test_what_is_no_image_is_named(image: object) -> None:
    with pytest.raises(DataError, match=r"Item 0 has an image of type \w+ that cannot be read"):
        as_pixels(image, "Item 0")


class Failing(Listed):
    """A dataset whose own code raises; `length` may be absurd."""

    def __init__(self, length: int) -> None:
        super().__init__(pictures())
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[object, object]:
        if index:
            raise OSError("the disk is gone")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (-1, r"The train set has no length \(ValueError: __len__"),
        (12, r"Item 1 of the train set cannot be read \(OSError: the disk is gone\)"),
    ],
)
def test_errors_of_a_dataset_are_passed_on_in_words(length: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        PairSource(Failing(length)).splits(seed=0)


def test_transparency_is_laid_over_grey_and_depth_is_not_cut() -> None:
    shape = np.zeros((4, 4, 4), np.uint8)
    shape[1:3, 1:3, 3] = 255
    read = as_pixels(Image.fromarray(shape), "Item 0")
    assert read[:, 0, 0].tolist() == [BEHIND] * 3 and read[:, 1, 1].tolist() == [0] * 3
    deep = Image.fromarray(np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4))
    assert as_pixels(deep, "Item 0").flatten().tolist() == [17 * step for step in range(16)]


def test_a_train_set_of_few_levels_is_told() -> None:
    items = [(0.1 * image.float() / 255, label) for image, label in pictures()]
    source = PairSource(Listed(items))
    source.splits(0)
    source.splits(1)
    assert source.notes == [
        "All pixels of the train set lie between 0 and 26 of 0 to 255: at most 27 levels are left "
        "of them. Scale the images to the whole range."
    ]
    plain = PairSource(Listed(pictures()))
    plain.splits(0)
    assert not plain.notes


def test_a_train_set_that_shows_nothing_is_refused() -> None:
    items = [(np.full((4, 4), 9, np.uint8), index % 2) for index in range(6)]
    with pytest.raises(DataError, match="show nothing: all pixels of 6 of them are equal"):
        PairSource(Listed(items)).splits(0)
