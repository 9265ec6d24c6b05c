"""Folders of pictures read as rectangles: sizes, cuts, random crops, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from images_kit import flat, opened, save
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from nastk import ConfigurationError, Task
from nastk.data import stream
from nastk_images import pictures as pictures_module
from nastk_images.form import form_of
from nastk_images.imagenet import ImageNet
from nastk_images.pictures import PictureFiles


def striped(path: Path, height: int, width: int) -> str:
    """A picture whose red says the row and whose green says the column."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(height)[:, None], np.arange(width)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("picture", "size", "rows", "columns"),
    [
        ((24, 40), (24, 40), (0, 23), (0, 39)),  # as it is
        ((40, 40), (24, 40), (8, 31), (0, 39)),  # rows cut off, above and below alike
        ((24, 80), (24, 40), (0, 23), (20, 59)),  # columns cut off
        ((80, 40), (40, 24), (7, 72), (0, 39)),  # a tall one of a taller one
        ((40, 40), 40, (0, 39), (0, 39)),
        ((40, 60), 40, (0, 39), (10, 49)),
    ],
)
def test_the_largest_middle_part_in_the_proportions_of_the_size_is_read(
    tmp_path: Path, picture: tuple[int, int], size: object, rows: object, columns: object
) -> None:
    read = PictureFiles((striped(tmp_path / "a.png", *picture),), size, 3).read(0, None)  # type: ignore[arg-type]
    assert tuple(read.shape) == (3, *(size if isinstance(size, tuple) else (size, size)))
    found = [read[0, 0, 0], read[0, -1, 0], read[1, 0, 0], read[1, 0, -1]]
    assert [int(each) for each in found] == pytest.approx([*rows, *columns], abs=1.01)  # type: ignore[misc]


@pytest.mark.parametrize("sides", [(300, 240), (900, 40), (40, 900)])
@pytest.mark.parametrize("ratio", [2.0, 0.5])
def test_random_parts_have_nearly_the_proportions_of_the_size(
    ratio: float, sides: tuple[int, int]
) -> None:
    boxes = [pictures_module._random_box(sides, seed, ratio) for seed in range(300)]
    forms = [(right - left) / (bottom - top) / ratio for left, top, right, bottom in boxes]
    assert min(forms) > 0.7 and max(forms) < 1.4
    if sides == (300, 240):
        assert min(forms) < 0.85 and max(forms) > 1.2
    assert all(
        0 <= left < right <= sides[0] and 0 <= top < bottom <= sides[1]
        for left, top, right, bottom in boxes
    )


def test_the_middle_seven_eighths_keep_the_proportions_of_the_size(tmp_path: Path) -> None:
    file = striped(tmp_path / "a.png", 80, 80)
    read = PictureFiles((file,), (24, 40), 3, random_crop=True).read(0, None)
    found = [read[0, 0, 0], read[0, -1, 0], read[1, 0, 0], read[1, 0, -1]]
    assert [int(each) for each in found] == pytest.approx([19.5, 59.5, 5.5, 73.5], abs=1.01)


def test_a_jpeg_is_decoded_for_the_width_and_the_height_that_it_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(save(tmp_path / "a.jpg", size=(60, 40)))
    asked, drawn = [], []
    monkeypatch.setattr(
        JpegImageFile, "draft", lambda picture, mode, sides: asked.append((mode, sides))
    )
    real = pictures_module._random_box
    monkeypatch.setattr(
        pictures_module, "_random_box", lambda *given: drawn.append(given[2]) or real(*given)
    )
    files = PictureFiles((file,), (16, 40), 3, random_crop=True)
    assert tuple(files.read(0, None).shape) == tuple(files.read(0, 7).shape) == (3, 16, 40)
    assert (asked, drawn) == ([(None, (160, 64))], [2.5])


@pytest.mark.parametrize(("bytes_allowed", "kept"), [(34_559, False), (34_560, True)])
def test_what_fits_in_memory_is_counted_by_both_sides(
    tmp_path: Path, bytes_allowed: int, kept: bool
) -> None:
    source = opened(
        flat(tmp_path, size=(40, 24), count=6), size="24x40", memory=bytes_allowed / 2**30
    )
    assert isinstance(source.splits(0).train.images, torch.Tensor) == kept


@pytest.mark.parametrize(
    ("sides", "asked", "note"),
    [
        ((40, 24), (24, 40), ""),
        ((80, 48), (24, 40), "have 48x80 pixels (height x width); they are scaled to 24x40"),
        ((80, 80), (24, 40), "have 80x80 pixels (height x width); they are scaled and cut to 24x4"),
        ((40, 24), None, "have 24x40 pixels (height x width); they are scaled and cut to 24x24"),
    ],
)
def test_a_note_says_what_is_cut(
    tmp_path: Path, sides: tuple[int, int], asked: tuple[int, int] | None, note: str
) -> None:
    form = form_of([str(save(tmp_path / "a.png", size=sides))], asked)
    assert note in " ".join(form.notes) and bool(note) == bool(form.notes)
    assert not form.notes or "-d size=HEIGHTxWIDTH" in form.notes[0]


@pytest.mark.parametrize("size", ["24x40", [24, 40]])
def test_a_folder_is_a_task_of_rectangles(tmp_path: Path, size: object) -> None:
    source = opened(flat(tmp_path, size=(40, 24), count=6), size=size)
    assert source.task == Task(2, 3, (24, 40), ("a", "b"))
    assert source.options.model_dump(mode="json")["size"] == [24, 40]
    splits = source.splits(0)
    assert tuple(splits.train.images.shape[1:]) == (3, 24, 40)  # type: ignore[union-attr]
    assert splits.train.augmentation.crop_padding == 3
    read = opened(tmp_path, size=size, memory=0).splits(0)
    one, two = (stream(each.train, 4, 0, "x", workers=0).at(1) for each in (splits, read))
    assert torch.equal(one.images, two.images) and tuple(one.images.shape[1:]) == (3, 24, 40)


def test_large_rectangles_are_cropped_while_they_are_read(tmp_path: Path) -> None:
    flat(tmp_path, count=3, size=(200, 140))
    splits = opened(tmp_path, memory=0, size="128x160").splits(0)
    assert splits.train.augmentation.crop_padding == 0
    images = stream(splits.train, 2, 0, "train", workers=0).at(0).images
    assert tuple(images.shape[1:]) == (3, 128, 160)


@pytest.mark.parametrize("size", [3, "24x2000", "24x", "2x24", "large", [24]])
def test_a_size_that_is_none_is_refused(tmp_path: Path, size: object) -> None:
    with pytest.raises(ConfigurationError, match=r"folder: size: expected 4 to 1024 pixels a side"):
        opened(tmp_path, size=size)


def test_imagenet_takes_rectangles_too() -> None:
    assert ImageNet.parse_options({"size": "192x256"}).size == (192, 256)
    with pytest.raises(ConfigurationError, match="imagenet: size: expected 32 to 1024 pixels"):
        ImageNet.parse_options({"size": "16x256"})
