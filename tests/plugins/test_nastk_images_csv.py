"""Images that a CSV file lists: columns, splits, arrays, and all that is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from images_kit import random_pixels, save
from PIL import Image

from nastk import ConfigurationError, DataError, Task
from nastk.testing import DataSourceContract, fingerprint
from nastk_images.csv_file import Csv
from nastk_images.folder import Folder


def table(root: Path, count: int = 6, header: str = "path,label", **more: object) -> Path:
    """A table of `count` pictures of each of the classes ant and bee, in a folder beside it."""
    lines = [header]
    for name in ("ant", "bee"):
        for number in range(count):
            save(root / "pictures" / name / f"{number}.png", **more)
            lines.append(f"pictures/{name}/{number}.png,{name}")
    return write(root / "all.csv", *lines)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def opened(path: Path, **options: object) -> Csv:
    return Csv(Csv.parse_options({"path": path, **options}))


class TestCsv(DataSourceContract):
    source = Csv

    @pytest.fixture(autouse=True)
    def _table(self, tmp_path: Path) -> None:
        self.options = {"path": str(table(tmp_path, 10))}


def test_a_table_gives_the_images_of_a_folder_with_the_same_classes(tmp_path: Path) -> None:
    source = opened(table(tmp_path, 10))
    assert source.task == Task(2, 3, 8, ("ant", "bee"))
    folder = Folder(Folder.parse_options({"path": tmp_path / "pictures"}))
    for one, other in zip(
        vars(source.splits(3)).values(), vars(folder.splits(3)).values(), strict=True
    ):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
    assert any("The table has no test images: a fifth" in note for note in source.notes)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_columns_are_found_by_name_or_named_and_splits_are_kept(
    tmp_path: Path, delimiter: str
) -> None:
    rows = [["id", "Filename", "Class", "SPLIT"]]
    for split, count in (("training", 4), ("val", 2), ("Test", 3)):
        for number in range(count):
            for name in ("2", "10"):
                file = save(tmp_path / "deep" / f"{split}-{name}-{number}.png")
                rows.append(["7", file.name, name, split])
    path = write(tmp_path / "t.csv", *(delimiter.join(row) for row in rows), "", delimiter * 3)
    source = opened(path, root=tmp_path / "deep")
    # Classes that are all numbers are sorted as numbers.
    assert source.task.labels == ("2", "10")
    splits = source.splits(0)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (8, 4, 6)
    assert any("The table's own valid images" in note for note in source.notes)
    with pytest.raises(DataError, match=r"the one class 7 in train"):
        opened(path, root=tmp_path / "deep", label="id").task  # noqa: B018


def test_pictures_are_treated_as_those_of_folders(tmp_path: Path) -> None:
    """Turned, transparent and deep grey ones."""
    pixels = random_pixels(8, 12, 3)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=turned)
    Image.new("RGBA", (12, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    rows = [f"{name}.png,{name}" for name in ("turned", "clear")]
    for number in range(4):
        for name in ("turned", "clear"):
            copy = tmp_path / f"{name}{number}.png"
            copy.write_bytes((tmp_path / f"{name}.png").read_bytes())
            rows.append(f"{copy.name},{name}")
    path = write(tmp_path / "t.csv", "path,label", *rows)
    source = opened(path, size="12x8", crop_padding=0)
    train = source.splits(0).train
    first = train.images[train.labels == source.task.labels.index("turned")][0]
    upright = np.rot90(pixels, -1)
    assert torch.equal(first, torch.from_numpy(upright.copy()).permute(2, 0, 1))
    clear = train.images[train.labels == source.task.labels.index("clear")][0]
    assert clear.unique().tolist() == [128]
    assert any("transparent" in note for note in source.notes)


def test_a_file_that_is_listed_twice_alike_is_read_once(tmp_path: Path) -> None:
    path = table(tmp_path, 6)
    with open(path, "a", encoding="utf-8") as file:
        file.write("./pictures/ant/0.png,ant\n")
    source = opened(path, train_fraction=1)
    splits = source.splits(0)
    assert len(splits.train) + len(splits.test) == 12
    assert any("1 rows list an image again" in note for note in source.notes)


def arrays(root: Path, form: tuple[int, ...] = (6, 10, 5), dtype: str = "uint8") -> Path:
    rows = ["image;class"]
    for number in range(12):
        values = random_pixels(*form)
        np.save(
            root / f"{number}.npy", values if dtype == "uint8" else (values / 255).astype(dtype)
        )
        rows.append(f"{number}.npy;{'ab'[number % 2]}")
    return write(root / "arrays.csv", *rows)


@pytest.mark.parametrize("memory", [2.0, 0.0])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_arrays_have_any_number_of_channels_and_are_not_scaled(
    tmp_path: Path, memory: float, dtype: str
) -> None:
    source = opened(arrays(tmp_path, dtype=dtype), memory=memory)
    assert source.task == Task(2, 5, (6, 10), ("a", "b"))
    train = source.splits(0).train
    assert isinstance(train.images, torch.Tensor) == (memory > 0)
    assert train.files is not None
    stored = torch.from_numpy(np.load(train.files.paths[0])).permute(2, 0, 1)
    first = train.images[0] if memory else train.images.read(0, 5)
    assert torch.equal(first, stored if dtype == "uint8" else (stored * 255).round().byte())


def test_arrays_of_several_forms_or_with_pictures_are_refused(tmp_path: Path) -> None:
    path = arrays(tmp_path)
    with pytest.raises(ConfigurationError, match=r"6x10 pixels, and size asks for 8x8"):
        opened(path, size=8).task  # noqa: B018
    np.save(tmp_path / "7.npy", random_pixels(6, 9, 5))
    with pytest.raises(DataError, match=r"7\.npy has the form \(6, 9, 5\), .*0\.npy has \(6, 10"):
        opened(path).task  # noqa: B018
    (tmp_path / "7.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match=r"7\.npy cannot be read"):
        opened(path).task  # noqa: B018
    save(tmp_path / "picture.png")
    path.write_text(path.read_text().replace("7.npy", "picture.png"))
    with pytest.raises(DataError, match=r"picture\.png is a picture, .*0\.npy an array"):
        opened(path).task  # noqa: B018


GOOD = ["pictures/ant/0.png,ant", "pictures/ant/1.png,ant", "pictures/bee/0.png,bee"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], r"is empty. Expected a header such as path,label"),
        (["path,label"], r"has no image in train, and at least two classes"),
        (["path,kind", *GOOD], r"columns path, kind, and none .* label, class, .*`-d label="),
        (["path,label", "pictures/ant/0.png"], r"line 2: 1 values, where the header has 2"),
        (["path,label", *GOOD, "pictures/bee/1.png,"], r"line 5: the label is empty"),
        (["path,label", *GOOD, ",bee"], r"line 5: the image is empty"),
        (["path,label", *GOOD, "gone.png,bee"], r"line 5: .*gone\.png does not exist"),
        (["path,label", *GOOD, "pictures/ant/0.png,bee"], r"line 5: .* bee in train, and line 2"),
        (["path,label,split", "pictures/ant/0.png,ant,fold1"], r"line 2: the split is 'fold1'"),
        (
            ["path,label,split", *(f"{row},train" for row in GOOD), "pictures/bee/2.png,cat,test"],
            r"2\.png is of class 'cat' and in test, but train has no",
        ),
        (["path,label", *GOOD, "pictures/bee/2.png,bee"], r"a class needs 3, and 'ant', 'bee' .* or"
            " give the table a column split"),
        (["path,label", '"pictures/ant/0.png,ant'], r"after line \d: unexpected end"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_table_names_its_row(
    tmp_path: Path, lines: list[str], words: str
) -> None:
    table(tmp_path)
    path = tmp_path / "bad.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(DataError, match=words):
        opened(path).splits(0)


def test_a_table_must_be_a_text_file_and_a_damaged_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist\. Expected `--data csv:FILE`"):
        opened(tmp_path / "none.csv").task  # noqa: B018
    with pytest.raises(DataError, match="is no file"):
        opened(tmp_path).task  # noqa: B018
    (tmp_path / "other.csv").write_bytes(b"path,label\n\xff\xfe,a\n")
    with pytest.raises(DataError, match=r"cannot be read after line 0: .*Expected text in UTF-8"):
        opened(tmp_path / "other.csv").task  # noqa: B018
    path = table(tmp_path)
    with pytest.raises(DataError, match=r"has no column 'lable'\. Did you mean 'label'"):
        opened(path, label="lable").task  # noqa: B018
    damaged = tmp_path / "pictures" / "bee" / "3.png"
    os.truncate(damaged, 100)
    with pytest.raises(DataError, match=r"The image .*bee/3\.png cannot be read"):
        opened(path).splits(0)


def test_a_byte_order_mark_and_quoted_names_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, 3)
    quoted = path.read_text().replace("pictures/ant/0.png", '"pictures/a, b.png"')
    save(tmp_path / "pictures" / "a, b.png")
    path.write_text("\ufeff" + quoted, encoding="utf-8")
    source = opened(path, train_fraction=1)
    assert fingerprint(source.splits(0).train.images) == fingerprint(
        opened(path, train_fraction=1).splits(0).train.images
    )
    assert sum(len(split) for split in vars(source.splits(0)).values()) == 6
