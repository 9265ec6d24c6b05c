"""Folders of images as a data source: every layout and form, and all that is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from images_kit import flat, opened, save
from PIL import Image

from nastk import ConfigurationError, DataError, Split, Task
from nastk.data.opening import stream
from nastk_images import pictures as pictures_module
from nastk_images import stored as stored_module
from nastk_images.folder import Folder
from nastk_images.form import form_of
from nastk_images.listing import scan
from nastk_images.pictures import PictureFiles


def images_of(split: Split) -> set[bytes]:
    assert isinstance(split.images, torch.Tensor)
    return {image.contiguous().numpy().tobytes() for image in split.images}


def test_class_folders_alone_are_divided_into_three_with_a_fixed_test_part(tmp_path: Path) -> None:
    source = opened(flat(tmp_path, count=20), train_fraction=0.75)
    assert source.task == Task(2, 3, 8, ("a", "b"))
    one, two = source.splits(0), source.splits(1)
    assert (len(one.train), len(one.valid), len(one.test)) == (24, 8, 8)
    assert torch.bincount(one.test.labels).tolist() == [4, 4]
    assert (
        images_of(one.test)
        == images_of(two.test)
        == images_of(opened(tmp_path, limit=4).splits(7).test)
    )
    assert images_of(one.train) != images_of(two.train)
    assert len(images_of(one.train) | images_of(one.valid) | images_of(one.test)) == 40
    assert any("a fifth of the images is held out as test" in note for note in source.notes)


@pytest.mark.parametrize("valid", ["valid", "val", "validation"])
def test_folders_for_each_split_are_kept_as_they_are(tmp_path: Path, valid: str) -> None:
    for name, count in (("train", 10), (valid, 4), ("test", 3)):
        flat(tmp_path / name, count=count)
    source = opened(tmp_path)
    splits = source.splits(0)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (20, 8, 6)
    assert images_of(splits.valid) == images_of(source.splits(1).valid)
    assert any("own valid images are the valid split" in note for note in source.notes)


def test_a_train_folder_without_the_others_is_divided(tmp_path: Path) -> None:
    flat(tmp_path / "train")
    flat(tmp_path / "test", count=2)
    splits = opened(tmp_path, limit=8).splits(0)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (4, 4, 4)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "bus"):
        for number in range(5):
            save(tmp_path / name / f"{number}.png")
    assert opened(tmp_path).task.labels == ("bus", "train")


def test_hidden_and_other_files_are_passed_over_and_subfolders_are_read(tmp_path: Path) -> None:
    flat(tmp_path, count=2)
    save(tmp_path / "a" / "deeper" / "UPPER.PNG")
    for extra in (
        tmp_path / "a" / "notes.txt",
        tmp_path / "a" / ".hidden.png",
        tmp_path / ".cache" / "x.png",
    ):
        extra.parent.mkdir(exist_ok=True)
        extra.write_text("no picture")
    tree = scan(tmp_path)
    assert [Path(file).name for file in tree.train.files] == [
        "0.png",
        "1.png",
        "UPPER.PNG",
        "0.png",
        "1.png",
    ]
    assert tree.train.labels == (0, 0, 0, 1, 1)


def test_labels_belong_to_their_pictures(tmp_path: Path) -> None:
    for label, name in enumerate("abc"):
        for number in range(6):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", (8, 8), 80 * label + number).save(tmp_path / name / f"{number}.png")
    splits = opened(tmp_path).splits(0)
    for split in (splits.train, splits.valid, splits.test):
        assert isinstance(split.images, torch.Tensor)
        assert (split.images[:, 0, 0, 0] // 80).tolist() == split.labels.tolist()


@pytest.mark.parametrize(
    ("mode", "suffix", "channels"),
    [
        ("RGB", "png", 3),
        ("L", "png", 1),
        ("1", "png", 1),
        ("LA", "png", 1),
        ("P", "gif", 3),
        ("RGBA", "png", 3),
        ("CMYK", "jpg", 3),
    ],
)
def test_every_mode_is_read_as_grey_or_colour(
    tmp_path: Path, mode: str, suffix: str, channels: int
) -> None:
    for name in "ab":
        for number in range(3):
            save(tmp_path / name / f"{number}.{suffix}", mode)
    source = opened(tmp_path)
    assert (source.task.channels, source.task.size) == (channels, 8)
    assert source.splits(0).train.images.shape == (2, channels, 8, 8)


def test_grey_and_colour_together_become_colour_with_a_note(tmp_path: Path) -> None:
    flat(tmp_path, count=4)
    save(tmp_path / "a" / "grey.png", "L")
    source = opened(tmp_path)
    source.splits(0)
    source.splits(1)
    notes = [note for note in source.notes if "grey" in note]
    assert notes == ["1 of 9 images are grey and the others have colours; all are read as RGB."]
    assert source.task.channels == 3


@pytest.mark.parametrize(
    ("sizes", "asked", "size", "note"),
    [
        ([(8, 8)], None, 8, ""),
        ([(64, 64)], None, 64, ""),
        ([(96, 96)], None, 64, "have 96x96 pixels (height x width); they are scaled to 64x64"),
        ([(300, 240)], None, 224, "have 240x300 pixels"),
        ([(40, 33), (50, 60), (90, 70)], None, 32, "have 3 sizes"),
        ([(10, 20), (30, 12)], None, 10, "have 2 sizes"),
        ([(8, 8)], 16, 16, "have 8x8 pixels (height x width); they are scaled to 16x16"),
    ],
)
def test_the_size_is_what_the_rule_says(
    tmp_path: Path, sizes: list[tuple[int, int]], asked: int | None, size: int, note: str
) -> None:
    files = [str(save(tmp_path / f"{number}.png", size=each)) for number, each in enumerate(sizes)]
    form = form_of(files, asked)
    assert form.size == size
    assert note in " ".join(form.notes) and bool(note) == bool(form.notes)


def halves(path: Path) -> str:
    """A picture of 40x20 pixels: black margins of ten pixels left and right of a white middle."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 255
    Image.fromarray(pixels).save(path)
    return str(path)


def test_pictures_are_scaled_to_the_shorter_side_and_cut_to_the_middle(tmp_path: Path) -> None:
    read = PictureFiles((halves(tmp_path / "a.png"),), 10, 3).read(0, None)
    assert read.shape == (3, 10, 10)
    assert read.dtype == torch.uint8
    assert (
        bool((read[:, :, 1:-1] == 255).all()) and int(read.min()) > 200
    )  # the filter looks one pixel further


def test_a_photo_that_was_taken_on_its_side_is_put_upright(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=100)
    read = PictureFiles((str(tmp_path / "a.jpg"),), 8, 3).read(0, None)
    assert int(read[:, :4].max()) < 10 and int(read[:, 4:].min()) > 245


def test_a_large_jpeg_is_read_nearly_as_if_decoded_in_full(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    Image.fromarray(np.broadcast_to(ramp[:, None], (1024, 1024)).copy()).save(tmp_path / "a.jpg")
    read = PictureFiles((str(tmp_path / "a.jpg"),), 16, 1).read(0, None)
    assert read[0, :, 8].tolist() == pytest.approx(ramp.reshape(16, 64).mean(1).tolist(), abs=3)


@pytest.mark.parametrize("sides", [(60, 40), (300, 10), (10, 300)])
def test_random_crops_lie_inside_differ_and_depend_on_the_seed_alone(
    sides: tuple[int, int],
) -> None:
    boxes = [pictures_module._random_box(sides, seed, 1.0) for seed in range(300)]
    assert boxes == [pictures_module._random_box(sides, seed, 1.0) for seed in range(300)]
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= sides[0] and 0 <= top < bottom <= sides[1]
        wide, high = right - left, bottom - top
        assert (wide - 1) / (high + 1) <= 4 / 3 and (high - 1) / (wide + 1) <= 4 / 3
    if sides == (60, 40):
        areas = [(right - left) * (bottom - top) / 2400 for left, top, right, bottom in boxes]
        assert len(set(boxes)) > 290 and min(areas) < 0.2 and max(areas) > 0.75


def test_reading_a_crop_is_a_function_of_the_seed(tmp_path: Path) -> None:
    files = PictureFiles((str(save(tmp_path / "a.png", size=(50, 40))),), 16, 3, random_crop=True)
    assert torch.equal(files.read(0, 3), files.read(0, 3))
    assert not torch.equal(files.read(0, 3), files.read(0, 4))
    assert torch.equal(files.read(0, None), files.read(0, None))


@pytest.mark.parametrize("small_file", [0, 10**9], ids=["threads", "one-thread"])
def test_reading_all_is_reading_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_file: int
) -> None:
    monkeypatch.setattr(stored_module, "SMALL_FILE", small_file)
    names = tuple(str(save(tmp_path / f"{number}.png", size=(12, 9))) for number in range(70))
    files = PictureFiles(names, 8, 3)
    assert torch.equal(
        files.read_all(), torch.stack([files.read(index, None) for index in range(70)])
    )


def test_a_set_beyond_the_memory_limit_is_read_as_it_runs_with_the_same_batches(
    tmp_path: Path,
) -> None:
    flat(tmp_path)
    kept, read = opened(tmp_path).splits(0), opened(tmp_path, memory=0).splits(0)
    assert isinstance(kept.train.images, torch.Tensor) and not isinstance(
        read.train.images, torch.Tensor
    )
    assert kept.train.augmentation == read.train.augmentation
    for one, two in zip(kept.__dict__.values(), read.__dict__.values(), strict=True):
        first, second = stream(one, 4, 0, "x").at(0), stream(two, 4, 0, "x", workers=0).at(0)
        assert torch.equal(first.images, second.images) and torch.equal(first.labels, second.labels)


def test_large_pictures_beyond_the_memory_limit_are_cropped_while_they_are_read(
    tmp_path: Path,
) -> None:
    flat(tmp_path, count=3, size=(140, 130))
    splits = opened(tmp_path, memory=0, size=128).splits(0)
    assert splits.train.augmentation.crop_padding == 0 and splits.train.augmentation.flip
    reading = stream(splits.train, 2, 0, "train", workers=0)
    plain = reading.view("train", augment=False)
    assert not torch.equal(reading.view("train").at(0).images, plain.at(0).images)


def test_mean_and_deviation_are_measured_without_the_test_part(tmp_path: Path) -> None:
    flat(tmp_path / "train", count=6)
    for name in "ab":
        (tmp_path / "test" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), (255, 255, 255)).save(tmp_path / "test" / name / "white.png")
    splits = opened(tmp_path).splits(0)
    pixels = torch.cat([splits.train.images, splits.valid.images]).double() / 255  # type: ignore[list-item]
    assert splits.test.augmentation.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-4)


# ---------------------------------------------------------------- folders that cannot be used


def nothing(root: Path) -> None:
    root.rmdir()


def a_file(root: Path) -> None:
    root.rmdir()
    root.write_text("an archive, say")


def empty(root: Path) -> None:
    (root / ".git").mkdir()


def only_loose_images(root: Path) -> None:
    save(root / "a.png")


def one_class(root: Path) -> None:
    flat(root, "a")


def class_without_images(root: Path) -> None:
    flat(root)
    (root / "c").mkdir()
    (root / "c" / "notes.txt").write_text("")


def class_missing_in_test(root: Path) -> None:
    flat(root / "train", "abc")
    flat(root / "test", "ab")


def class_missing_in_train(root: Path) -> None:
    flat(root / "train", "ab")
    flat(root / "valid", "abd")


def two_valid_folders(root: Path) -> None:
    for name in ("train", "val", "valid"):
        flat(root / name, count=2)


def too_few(root: Path) -> None:
    flat(root)
    flat(root, "c", count=2)


def text_as_image(root: Path) -> None:
    flat(root)
    (root / "b" / "bad.jpg").write_text("no picture")


def empty_file(root: Path) -> None:
    flat(root)
    (root / "b" / "bad.png").write_bytes(b"")


def cut_off_png(root: Path) -> None:
    flat(root)
    (root / "b" / "bad.png").write_bytes(save(root / "b" / "bad.png").read_bytes()[:120])


def cut_off_jpeg(root: Path) -> None:
    flat(root)
    (root / "b" / "bad.jpg").write_bytes(
        save(root / "b" / "bad.jpg", size=(64, 64)).read_bytes()[:900]
    )


def floating_point(root: Path) -> None:
    for name in "ab":
        for number in range(3):
            (root / name).mkdir(exist_ok=True)
            Image.fromarray(np.zeros((8, 8), np.float32)).save(root / name / f"{number}.tif")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nothing, "image folder .* does not exist. Expected PATH/<class>/<image>"),
        (a_file, "image folder .* is a file; unpack it first"),
        (empty, "holds no class folders. Expected PATH/<class>"),
        (only_loose_images, "holds images but no class folders"),
        (one_class, "holds the one class 'a', and at least two are needed"),
        (
            class_without_images,
            r"The class folder .*/c holds no images \(.jpg.*Put images into it, or remove it",
        ),
        (
            class_missing_in_test,
            "hold different classes: 'c' is missing in .*/test. Every class needs",
        ),
        (class_missing_in_train, "hold different classes: 'd' is missing in .*/train"),
        (two_valid_folders, r"holds both val/ and valid/. Keep one"),
        (too_few, "divided into train and valid and test: a class needs 3, and 'c' has fewer"),
        (
            text_as_image,
            r"The image .*b/bad.jpg cannot be read \(UnidentifiedImageError.*Remove it",
        ),
        (empty_file, "The image .*b/bad.png cannot be read"),
        (cut_off_png, "The image .*b/bad.png cannot be read"),
        (cut_off_jpeg, "The image .*b/bad.jpg cannot be read"),
        (floating_point, "0.tif cannot be read .*floating-point"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_folders_that_cannot_be_used_are_refused(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    make(folder)
    with pytest.raises(DataError, match=message):
        opened(folder).splits(seed=0)


def test_a_missing_path_is_named() -> None:
    with pytest.raises(ConfigurationError, match="folder: path must be given"):
        Folder.parse_options({})
