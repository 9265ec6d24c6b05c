"""From pictures to pixels: deep grey, transparency, palettes, orientation; what losses are told."""

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from images_kit import flat, opened, random_pixels, save
from PIL import Image

from nastk import DataError
from nastk.data.opening import stream
from nastk.data.transparency import BEHIND
from nastk_images.levels import Levels, measured
from nastk_images.pictures import PictureFiles

# ---------------------------------------------------------------- grey with more than 8 bits


def ramp(low: int, high: int, side: int = 32) -> np.ndarray:
    return np.linspace(low, high, side * side).reshape(side, side)


def png(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values.astype(np.uint16)).save(path.with_suffix(".png"))


def tiff(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values.astype(np.uint16)).save(path.with_suffix(".tif"))


def tiff_32(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values.astype(np.int32)).save(path.with_suffix(".tif"))


def pgm(path: Path, values: np.ndarray) -> None:
    head = f"P5 {values.shape[1]} {values.shape[0]} 65535\n".encode()
    path.with_suffix(".pgm").write_bytes(head + values.astype(">u2").tobytes())


def deep_set(
    root: Path, write: Callable[[Path, np.ndarray], None], low: int, high: int, count: int = 5
) -> Path:
    """Two classes whose pictures are ramps over parts of the range; the first of each, over all."""
    for name in "ab":
        (root / name).mkdir(parents=True)
        for number in range(count):
            top = high - number * (high - low) // (2 * count)
            write(root / name / f"{number}", ramp(low, top))
    return root


@pytest.mark.parametrize("write", [png, tiff, tiff_32, pgm])
@pytest.mark.parametrize(("low", "high"), [(0, 250), (0, 4000), (30_000, 34_000), (0, 65_000)])
def test_grey_of_more_than_8_bits_keeps_its_levels(
    tmp_path: Path, write: Callable[[Path, np.ndarray], None], low: int, high: int
) -> None:
    source = opened(deep_set(tmp_path / "x", write, low, high))
    splits = source.splits(0)
    images = torch.cat([splits.train.images, splits.valid.images])  # type: ignore[list-item]
    assert source.task.channels == 1
    assert int(images.min()) == 0 and int(images.max()) > 200
    assert len(images.unique()) > 200
    (note,) = (note for note in source.notes if "more than 8 bits" in note)
    assert f"their values {low} to " in note and "levels" not in note


def test_one_value_is_one_level_in_all_pictures_and_splits(tmp_path: Path) -> None:
    for split, tops in (("train", (1000, 2000, 4000)), ("valid", (3000,)), ("test", (500, 8000))):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            for top in tops:
                png(tmp_path / split / name / str(top), ramp(0, top))
    splits = opened(tmp_path, size=32).splits(0)
    # The range is that of the training images, 0 to 4000: what is brighter in test is clipped.
    tops = [
        sorted(image.max().item() for image in split.images) for split in splits.__dict__.values()
    ]
    assert tops == [[64, 64, 128, 128, 255, 255], [191, 191], [32, 32, 255, 255]]


def test_the_held_out_test_part_has_no_say_in_the_range(tmp_path: Path) -> None:
    root = deep_set(tmp_path / "x", png, 0, 4000)
    source = opened(root)
    held_out = source.splits(0).test
    training = source._tree.train
    pixels = PictureFiles(training.files, 32, 1, levels=Levels(0, 4000)).read_all()
    known = {
        (image.numpy().tobytes(), label): file
        for file, label, image in zip(training.files, training.labels, pixels, strict=True)
    }
    held = zip(held_out.images, held_out.labels.tolist(), strict=True)  # type: ignore[arg-type]
    chosen = [known[image.numpy().tobytes(), label] for image, label in held]
    assert len(chosen) == 2
    for file in chosen:
        png(Path(file), ramp(0, 60_000))
    again = opened(root)
    again.splits(0)
    (note,) = (note for note in again.notes if "more than 8 bits" in note)
    assert "60000" not in note


def test_a_rare_bright_value_that_costs_levels_is_told(tmp_path: Path) -> None:
    root = deep_set(tmp_path / "x", png, 0, 1000)
    for name in "ab":
        for file in sorted((root / name).iterdir()):
            values = np.asarray(Image.open(file)).copy()
            values[0, 0] = 65_535
            png(file, values)
    source = opened(root)
    source.splits(0)
    (note,) = (note for note in source.notes if "more than 8 bits" in note)
    assert "values only 6 levels are left" in note


def test_a_set_read_as_it_runs_has_the_same_levels(tmp_path: Path) -> None:
    root = deep_set(tmp_path / "x", png, 0, 4000)
    kept, read = opened(root).splits(0), opened(root, memory=0).splits(0)
    for one, two in zip(kept.__dict__.values(), read.__dict__.values(), strict=True):
        first, second = stream(one, 4, 0, "x").at(0), stream(two, 4, 0, "x", workers=0).at(0)
        assert torch.equal(first.images, second.images)


def test_grey_of_two_depths_is_read_as_each_says(tmp_path: Path) -> None:
    root = deep_set(tmp_path / "x", png, 0, 4000)
    for name in "ab":
        for number in range(3):
            Image.new("L", (32, 32), 77).save(root / name / f"plain{number}.png")
    splits = opened(root).splits(0)
    flat_ones = [image for image in splits.train.images if len(image.unique()) == 1]
    assert flat_ones and all(int(image[0, 0, 0]) == 77 for image in flat_ones)


@pytest.mark.parametrize(
    ("levels", "values", "expected"),
    [
        (Levels(0, 65_535), [0, 128, 129, 65_535], [0, 0, 1, 255]),
        (Levels(0, 255), [0, 1, 254, 255, 300], [0, 1, 254, 255, 255]),
        (Levels(10, 265), [0, 10, 11, 265, 266], [0, 0, 1, 255, 255]),
        (Levels(-100, 155), [-100, 0, 155], [0, 100, 255]),
        (Levels(7, 7), [6, 7, 8], [0, 0, 0]),
        (Levels(0, 2**31 - 1), [0, 2**30, 2**31 - 1], [0, 128, 255]),
    ],
)
def test_levels_are_equal_steps(levels: Levels, values: list[int], expected: list[int]) -> None:
    assert levels.scaled(np.array([values])).tolist() == [expected]


def test_the_range_of_files_without_such_pictures_is_none(tmp_path: Path) -> None:
    assert measured((str(save(tmp_path / "a.png", "L")), str(save(tmp_path / "b.png"))), 5) is None
    (tmp_path / "c.png").write_text("no picture")
    with pytest.raises(DataError, match=r"The image .*c.png cannot be read"):
        measured((str(tmp_path / "c.png"),), 5)


# ---------------------------------------------------------------- colours of more than 8 bits


def png_of_16_bits(path: Path, kind: int, channels: int) -> None:
    """A PNG that PIL cannot write: 16 bits in each of several channels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    rows = random_pixels(8, 8 * channels * 2)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def ppm_of_16_bits(path: Path) -> None:
    path.write_bytes(b"P6 8 8 65535\n" + random_pixels(8, 8, 6).tobytes())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.png", lambda path: png_of_16_bits(path, 2, 3)),
        ("a.png", lambda path: png_of_16_bits(path, 6, 4)),
        ("a.png", lambda path: png_of_16_bits(path, 4, 2)),
        ("a.ppm", ppm_of_16_bits),
    ],
    ids=["rgb", "rgba", "grey-alpha", "ppm"],
)
def test_colours_that_lose_levels_are_told(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    root = flat(tmp_path / "x", count=3)
    write(root / "a" / name)
    source = opened(root)
    assert source.task.size == 8
    assert any(note.startswith("1 of 7 images have 16 bits in each") for note in source.notes)
    plain = opened(flat(tmp_path / "y", count=3))
    assert plain.task.size == 8 and not any("16 bits" in note for note in plain.notes)


# ---------------------------------------------------------------- transparency and palettes


def shape(colour: int) -> np.ndarray:
    """A square of one grey in the middle of nothing, which has the same colour."""
    pixels = np.full((8, 8, 4), colour, np.uint8)
    pixels[..., 3] = 0
    pixels[2:6, 2:6, 3] = 255
    return pixels


def as_rgba(colour: int, file: Path) -> None:
    Image.fromarray(shape(colour)).save(file)


def as_la(colour: int, file: Path) -> None:
    Image.fromarray(shape(colour)[..., 2:]).save(file)


def as_palette(colour: int, file: Path) -> None:
    picture = Image.fromarray((shape(colour)[..., 3] // 255).astype(np.uint8), mode=None)
    picture = picture.convert("P")
    picture.putpalette([colour] * 6)
    picture.save(file, transparency=0)


def as_keyed_rgb(colour: int, file: Path) -> None:
    pixels = shape(colour)
    pixels[pixels[..., 3] == 0, 0] = 99
    key = (99, colour, colour)
    Image.fromarray(pixels[..., :3]).save(file, transparency=key)


def as_keyed_grey(colour: int, file: Path) -> None:
    pixels = shape(colour)
    grey = np.where(pixels[..., 3] == 0, 99, colour).astype(np.uint8)
    Image.fromarray(grey).save(file, transparency=99)


@pytest.mark.parametrize("write", [as_rgba, as_la, as_palette, as_keyed_rgb, as_keyed_grey])
@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_drawn_in_transparency_are_seen(
    tmp_path: Path, write: Callable[[int, Path], None], colour: int, channels: int
) -> None:
    write(colour, tmp_path / "a.png")
    read = PictureFiles((str(tmp_path / "a.png"),), 8, channels).read(0, None)
    expected = torch.full((channels, 8, 8), BEHIND, dtype=torch.uint8)
    expected[:, 2:6, 2:6] = colour
    assert torch.equal(read, expected)


def test_half_transparent_pixels_are_mixed_and_opaque_ones_kept(tmp_path: Path) -> None:
    pixels = random_pixels(8, 8, 4)
    pixels[..., 3] = 255
    pixels[0, 0] = (255, 0, 128, 128)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = PictureFiles((str(tmp_path / "a.png"),), 8, 3).read(0, None).permute(1, 2, 0).numpy()
    assert np.array_equal(read[1:], pixels[1:, :, :3])
    assert np.abs(read[0, 0].astype(int) - (192, 64, 128)).max() <= 1


def test_transparency_is_told(tmp_path: Path) -> None:
    root = flat(tmp_path, count=3)
    as_rgba(0, root / "a" / "clear.png")
    source = opened(root)
    assert source.task.size == 8
    assert any("1 of 7 images can have transparent parts; they are laid" in n for n in source.notes)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif"])
def test_a_palette_is_looked_up(tmp_path: Path, suffix: str) -> None:
    colours = random_pixels(16, 3)
    indices = np.arange(64, dtype=np.uint8).reshape(8, 8) % 16
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette(colours.flatten().tolist())
    picture.putdata(indices.flatten().tolist())
    picture.save(tmp_path / f"a.{suffix}")
    read = PictureFiles((str(tmp_path / f"a.{suffix}"),), 8, 3).read(0, None)
    assert np.array_equal(read.permute(1, 2, 0).numpy(), colours[indices])


# ---------------------------------------------------------------- orientation


def turned(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How a camera stores an upright picture under each orientation of EXIF."""
    undo: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda x: x,
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: lambda x: np.swapaxes(x, 0, 1),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: np.swapaxes(np.rot90(x, 2), 0, 1),
        8: lambda x: np.rot90(x, 3),
    }
    return np.ascontiguousarray(undo[orientation](upright))


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_put_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = random_pixels(8, 8, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    more = {"lossless": True} if suffix == "webp" else {}
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(turned(upright, orientation)).save(file, exif=exif, **more)
    read = PictureFiles((str(file),), 8, 3).read(0, None)
    assert np.array_equal(read.permute(1, 2, 0).numpy(), upright)


def test_deep_grey_is_put_upright(tmp_path: Path) -> None:
    upright = ramp(0, 4000, side=8).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(turned(upright, 6)).save(tmp_path / "a.tif", exif=exif)
    read = PictureFiles((str(tmp_path / "a.tif"),), 8, 1).read(0, None)
    assert np.array_equal(read[0].numpy(), Levels(0, 4000).scaled(upright.astype(np.int64)))


# ---------------------------------------------------------------- what is said, and refused


def test_training_images_that_show_nothing_are_refused(tmp_path: Path) -> None:
    for split, value in (("train", 51), ("test", 200)):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(3):
                picture = Image.new("L", (8, 8), value + 9 * number * (split == "test"))
                picture.save(tmp_path / split / name / f"{number}.png")
    with pytest.raises(DataError, match=r"show nothing: all pixels of 6 of them are equal \(51"):
        opened(tmp_path).splits(0)


def test_what_pil_warns_of_becomes_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = flat(tmp_path, count=3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # 64 are more, and not twice as many
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        source = opened(root)
        source.splits(0)
        lazy = opened(root, memory=0).splits(0)
        stream(lazy.train, 2, 0, "x", workers=0).at(0)
    assert not shown
    found = [note for note in source.notes if "PIL warned" in note]
    assert found == ["While the images were read, PIL warned: " + found[0].split(": ", 1)[1]]
    assert "64 pixels" in found[0] and ".py" not in found[0]
