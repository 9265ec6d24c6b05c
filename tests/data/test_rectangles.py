"""Images of any height, width and number of channels: sizes, tasks, datasets, augmentation."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from nastk import Augmentation, ConfigurationError, DataError, Objective, Task
from nastk.data import read_size, statistics
from nastk.data.augment import augment
from nastk.data.inventory import Inventory
from nastk.data.items import as_pixels
from nastk.data.pair import PairSource

FORMS = [(1, 20, 28), (2, 28, 20), (4, 9, 33), (13, 20, 28)]


def pictures(form: tuple[int, ...], count: int = 12, seed: int = 0) -> list[tuple[Tensor, int]]:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *form), dtype=torch.uint8, generator=rng)
    return [(image, index % 2) for index, image in enumerate(images)]


# ---------------------------------------------------------------- sizes and tasks


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (32, 32), (32.0, 32), ("32", 32), ("24x32", (24, 32)), (" 24 x 32 ", (24, 32)),
        ([24, 32], (24, 32)), ((24, 32), (24, 32)), ("32x32", 32), ([32, 32], 32),
    ],
)  # fmt: skip
def test_a_size_is_read_as_people_write_it(value: object, size: object) -> None:
    assert read_size(value, 4, 1024) == size


@pytest.mark.parametrize(
    "value",
    [3, 1025, "24x3", "24x1025", "24x", "x24", "24x32x3", "big", [24], [24, 32, 3], [24, "x"],
     True, [True, 24], 32.5, None, {}, "-24x32", "9999999999x4"],
)  # fmt: skip
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"4 to 1024 pixels a side.*HEIGHTxWIDTH, such as 24x32"):
        read_size(value, 4, 1024)


def test_a_square_task_is_what_it_was() -> None:
    task = Task(3, 1, 8, ("a", "b", "c"))
    assert (task.size, task.height, task.width, task.shorter, task.shape) == (8, 8, 8, 8, (1, 8, 8))
    assert task == Task(3, 1, (8, 8), ("a", "b", "c"))
    stored = {"classes": 3, "channels": 1, "size": 8, "labels": ["a", "b", "c"]}
    assert task.to_json() == stored and Task.from_json(stored) == task
    assert list(task.to_json()) == list(stored)


def test_a_rectangular_task_knows_both_sides_and_is_kept_in_json() -> None:
    task = Task(2, 13, (20, 28), objective=Objective(0.1, (0.5, 1.5)))
    assert (task.size, task.height, task.width, task.shorter) == ((20, 28), 20, 28, 20)
    assert (task.shape, task.form, task.names) == ((13, 20, 28), "13 x 20 x 28", ("0", "1"))
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task


# ---------------------------------------------------------------- datasets in Python


@pytest.mark.parametrize("form", FORMS)
def test_a_pair_takes_any_form_and_measures_each_channel(form: tuple[int, int, int]) -> None:
    items = pictures(form)
    for number, (image, _) in enumerate(items):
        image[0] = image[0] // 4 + number  # a channel of another spread
    source = PairSource(items, items[:4])
    splits = source.splits(0)
    assert source.task == Task(2, form[0], form[1:])
    assert splits.train.images.shape == (12, *form)
    pixels = torch.stack([image for image, _ in items]).double() / 255
    treatment = splits.train.augmentation
    assert treatment.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-4)
    spread = pixels.transpose(0, 1).flatten(1).std(1, correction=0).tolist()
    assert treatment.std == pytest.approx(spread, abs=1e-4)
    assert treatment.crop_padding == min(form[1:]) // 8
    assert [note for note in source.notes if "channels of" in note] == (
        []
        if form[0] == 1
        else [
            f"The images are read as {form[0]} channels of {form[1]}x{form[2]} pixels (height x "
            "width): tensors have channels first, arrays last."
        ]
    )


@pytest.mark.parametrize("form", FORMS)
def test_arrays_have_channels_last_and_tensors_first(form: tuple[int, int, int]) -> None:
    image, _ = pictures(form)[0]
    as_array = image.permute(1, 2, 0).numpy()
    assert torch.equal(as_pixels(as_array, "Item 0"), image)
    assert torch.equal(as_pixels(image, "Item 0"), image)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_at_the_other_end_are_refused(channels: int) -> None:
    last = torch.zeros(20, 28, channels)
    with pytest.raises(DataError, match=rf"form \(20, 28, {channels}\).*use permute\(2, 0, 1\)"):
        as_pixels(last, "Item 0")
    first = np.zeros((channels, 20, 28))
    with pytest.raises(DataError, match=rf"form \({channels}, 20, 28\).*use transpose\(1, 2, 0\)"):
        as_pixels(first, "Item 0")


@pytest.mark.parametrize("form", [(13, 4, 4), (13, 3, 4), (5, 4, 30), (3, 4, 4)])
def test_small_images_of_many_channels_are_no_mistake(form: tuple[int, int, int]) -> None:
    assert as_pixels(torch.zeros(form), "Item 0").shape == form


@pytest.mark.parametrize("form", [(2, 3, 4, 5), (0, 4, 4), (3, 0, 4), (3, 4, 0)])
def test_what_has_no_form_of_an_image_is_refused(form: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="expected channels, height and width of an image"):
        as_pixels(torch.zeros(form), "Item 0")


@pytest.mark.parametrize(("name", "pixels"), [("cutout", 20), ("crop_padding", 24)])
def test_cutout_and_padding_are_less_than_the_shorter_side(name: str, pixels: int) -> None:
    source = PairSource(pictures((2, 20, 28)), options=PairSource.parse_options({name: pixels}))
    with pytest.raises(
        ConfigurationError, match=rf"{name} must be less than.* 20 pixels of the sho"
    ):
        source.splits(0)


def test_an_inventory_tells_rectangles_apart_and_squares_as_ever() -> None:
    made = {}
    for form in ((3, 20, 28), (3, 28, 20), (3, 20, 20)):
        source = PairSource(pictures(form))
        made[form] = Inventory.of(source.splits(0), source.task)
        assert Inventory.from_json(json.loads(json.dumps(made[form].to_json()))) == made[form]
    assert made[3, 20, 20].form == (3, 20)
    assert made[3, 28, 20].difference(made[3, 20, 28]) == (
        "images are read as 3 x 28 x 20 pixels; they were 3 x 20 x 28"
    )
    assert made[3, 20, 20].difference(made[3, 20, 28]) == (
        "images are read as 3 x 20 x 20 pixels; they were 3 x 20 x 28"
    )


# ---------------------------------------------------------------- augmentation


PIXELS = Augmentation(mean=(0.0,) * 2, std=(1 / 255,) * 2)


@pytest.mark.parametrize(("height", "width"), [(5, 9), (9, 5)])
def test_crop_and_flip_give_a_window_of_the_padded_image(height: int, width: int) -> None:
    images = torch.arange(1, 1 + 2 * height * width, dtype=torch.uint8).view(1, 2, height, width)
    padded = torch.nn.functional.pad(images, [2, 2, 2, 2]).float()
    windows = {
        tuple(padded[0, :, top : top + height, left : left + width].flatten().tolist())
        for top in range(5)
        for left in range(5)
    }
    plain = windows | {
        tuple(torch.tensor(each).view(2, height, width).flip(2).flatten().tolist())
        for each in windows
    }
    treated = replace(PIXELS, crop_padding=2, flip=True)
    found = {
        tuple(augment(images, treated, seed, train=True).round().flatten().tolist())
        for seed in range(400)
    }
    assert found == plain  # every window and its mirror image, and nothing else


@pytest.mark.parametrize(("height", "width"), [(6, 11), (11, 6)])
def test_cutout_is_a_square_with_its_centre_anywhere_in_the_image(height: int, width: int) -> None:
    images = torch.full((300, 2, height, width), 200, dtype=torch.uint8)
    treated = augment(images, replace(PIXELS, cutout=3), 0, train=True)
    gone = (treated == 0).all(1)
    assert bool(((treated == 0).any(1) == gone).all())
    rows, columns = gone.any(2).sum(1), gone.any(1).sum(1)
    assert torch.equal(gone.sum((1, 2)), rows * columns)
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3}  # clipped at a border, or whole
    assert bool(gone.any(0).all())


def test_statistics_are_those_of_every_channel() -> None:
    images = torch.stack([image for image, _ in pictures((13, 5, 9), count=40)])
    images[:, 4] = 7
    mean, std = statistics(images)
    assert mean == pytest.approx((images.double() / 255).mean((0, 2, 3)).tolist(), abs=1e-4)
    assert len(std) == 13 and std[4] == round(1 / 255, 4)
