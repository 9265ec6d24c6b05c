"""Folders of images: which folders are splits, and what links, pipes and odd names do."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from images_kit import flat, opened, save

from nastk import DataError
from nastk_images.listing import SPELLINGS, scan

# ---------------------------------------------------------------- splits by their names


@pytest.mark.parametrize(
    "names",
    [
        ("Training", "Validation", "Testing"),
        ("Train", "Val", "Test"),
        ("TRAIN", "VALID", "TEST"),
        ("training", "dev", "testing"),
        ("train", "dev", "test"),
    ],
)
def test_folders_of_splits_are_known_by_every_usual_name(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name, count in zip(names, (6, 4, 2), strict=True):
        flat(tmp_path / name, count=count)
    source = opened(tmp_path)
    splits = source.splits(0)
    assert source.task.labels == ("a", "b")
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (12, 8, 4)
    said = " ".join(source.notes)
    assert (f"{names[1]}/ as valid" in said) == (names[1] not in ("val", "valid", "validation"))


@pytest.mark.parametrize("split", list(SPELLINGS))
def test_two_folders_for_one_split_are_refused(tmp_path: Path, split: str) -> None:
    first, second = SPELLINGS[split][:2]
    for name in {"train", first, second.upper()}:
        flat(tmp_path / name, count=2)
    with pytest.raises(DataError, match=rf"holds both {second.upper()}/ and {first}/. Keep one"):
        scan(tmp_path)


def parts_of_unknown_name(root: Path) -> None:
    for name in ("part1", "part2"):
        flat(root / name, count=2)


def one_name_that_is_known(root: Path) -> None:
    for name in ("pictures", "test"):
        flat(root / name, count=2)


def splits_that_differ(root: Path) -> None:
    flat(root / "first", "abc", count=2)
    flat(root / "second", "ab", count=2)


def a_third_split_beside_train(root: Path) -> None:
    for name in ("train", "test", "holdout"):
        flat(root / name, count=2)


def a_test_beside_the_classes(root: Path) -> None:
    flat(root, count=2)
    flat(root / "Test", count=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            parts_of_unknown_name,
            r"holds 'part1', 'part2', and each of them 'a', 'b': these may be splits.*Call the "
            r"splits train, valid and test, or say `-d layout=classes`",
        ),
        (one_name_that_is_known, "holds 'pictures', 'test', and each of them 'a', 'b'"),
        (splits_that_differ, "holds 'first', 'second', and each of them 'a', 'b'"),
        (a_third_split_beside_train, "holds 'holdout' beside train/ with the same class folders"),
        (
            a_test_beside_the_classes,
            "holds class folders, and beside them Test/ with folders of",
        ),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_folders_that_may_be_splits_are_refused(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        scan(tmp_path)


def test_classes_with_subfolders_of_one_name_can_be_read(tmp_path: Path) -> None:
    for kind in ("indoor", "outdoor"):
        for name in ("cat", "dog"):
            save(tmp_path / name / kind / "1.png")
    tree = scan(tmp_path, only_classes=True)
    assert (tree.classes, tree.train.labels) == (("cat", "dog"), (0, 0, 1, 1))
    with pytest.raises(DataError, match="may be splits"):
        opened(tmp_path).task  # noqa: B018
    with pytest.raises(DataError, match="a class needs 3, and 'cat', 'dog' has fewer"):
        opened(tmp_path, layout="classes").task  # noqa: B018


def test_a_single_subfolder_in_each_class_is_no_split(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / name / "images" / "1.png")
    assert scan(tmp_path).classes == ("a", "b")


def test_folders_beside_the_splits_are_named_and_not_read(tmp_path: Path) -> None:
    flat(tmp_path / "train", count=2)
    flat(tmp_path / "extra", "xy", count=2)
    (tmp_path / "notes").mkdir()
    tree = scan(tmp_path)
    assert tree.notes == ("Not read, since they are beside the splits: 'extra', 'notes'.",)


def test_a_folder_around_the_folder_is_pointed_out(tmp_path: Path) -> None:
    flat(tmp_path / "flowers", count=2)
    with pytest.raises(DataError, match=r"the one class 'flowers'.*Did you mean .*/flowers\?"):
        scan(tmp_path)


# ---------------------------------------------------------------- links


def loop_to_its_own_folder(root: Path) -> None:
    (root / "a" / "loop").symlink_to(root / "a")


def two_loops(root: Path) -> None:
    for name in "xy":
        (root / "a" / name).symlink_to(root / "a")


def loop_to_the_whole(root: Path) -> None:
    (root / "b" / "up").symlink_to(root)


def loop_between_subfolders(root: Path) -> None:
    for name in "xy":
        (root / "a" / name).mkdir()
    (root / "a" / "x" / "to").symlink_to(root / "a" / "y")
    (root / "a" / "y" / "to").symlink_to(root / "a" / "x")


def an_image_twice(root: Path) -> None:
    (root / "a" / "again.png").symlink_to(root / "a" / "0.png")


def a_link_twice(root: Path) -> None:
    outside = save(root.parent / "outside.png")
    (root / "a" / "0.png").unlink()
    for name in ("0.png", "1-again.png"):
        (root / "a" / name).symlink_to(outside)


@pytest.mark.parametrize(
    "make",
    [
        loop_to_its_own_folder,
        two_loops,
        loop_to_the_whole,
        loop_between_subfolders,
        an_image_twice,
        a_link_twice,
    ],
)
def test_what_links_lead_to_again_is_read_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    root = flat(tmp_path / "images", count=6)
    make(root)
    tree = scan(root)
    assert tree.train.labels == (0,) * 6 + (1,) * 6
    assert len({os.path.realpath(file) for file in tree.train.files}) == 12
    assert "Links lead to what is read already" in tree.notes[0]


def test_links_to_other_places_are_followed(tmp_path: Path) -> None:
    outside = flat(tmp_path / "pool", "c", count=3)
    root = flat(tmp_path / "images", "ab", count=3)
    (root / "c").symlink_to(outside / "c")
    (root / "a" / "more.png").symlink_to(save(tmp_path / "more.png"))
    (root / "b" / "more").symlink_to(flat(tmp_path / "more", "x", count=2))
    tree = scan(root)
    assert tree.train.labels == (0,) * 4 + (1,) * 5 + (2,) * 3
    assert not tree.notes


def test_hard_links_are_files_of_their_own(tmp_path: Path) -> None:
    root = flat(tmp_path, count=2)
    os.link(root / "a" / "0.png", root / "b" / "2.png")
    (root / "b" / "3.png").symlink_to(root / "b" / "1.png")
    assert scan(root).train.labels == (0, 0, 1, 1, 1)


def class_in_another(root: Path) -> None:
    (root / "train" / "a" / "x").symlink_to(root / "train" / "b")


def class_twice(root: Path) -> None:
    (root / "train" / "c").symlink_to(root / "train" / "b")
    flat(root / "test", "c", count=1)


def split_twice(root: Path) -> None:
    (root / "valid").symlink_to(root / "test")


def a_class_of_test_from_train(root: Path) -> None:
    for file in (root / "test" / "a").iterdir():
        file.unlink()
    (root / "test" / "a").rmdir()
    (root / "test" / "a").symlink_to(root / "train" / "a")


def image_in_test_and_train(root: Path) -> None:
    (root / "test" / "a" / "x.png").symlink_to(root / "train" / "a" / "0.png")


def image_in_two_classes(root: Path) -> None:
    for name in "ab":
        (root / "train" / name / "x.png").symlink_to(save(root.parent / "x.png"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (class_in_another, r"train/a/x is .*train/b or lies in it, by a link"),
        (class_twice, r"train/b and .*train/c are one folder, by a link"),
        (split_twice, r"(valid and .*test|test and .*valid) are one folder, by a link"),
        (a_class_of_test_from_train, r"train/a and .*test/a are one folder, by a link"),
        (
            image_in_test_and_train,
            r"train/a/0.png and .*test/a/x.png are one file, by a link, in two classes or splits",
        ),
        (image_in_two_classes, r"train/a/x.png and .*train/b/x.png are one file, by a link"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_links_into_two_classes_or_splits_are_refused(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    root = tmp_path / "images"
    for split in ("train", "test"):
        flat(root / split, count=3)
    make(root)
    with pytest.raises(DataError, match=message):
        scan(root)


@pytest.mark.parametrize("target", ["nowhere.png", "broken.png"])
def test_links_to_nothing_are_refused(tmp_path: Path, target: str) -> None:
    root = flat(tmp_path, count=2)
    (root / "a" / "broken.png").symlink_to(root / "a" / target)
    with pytest.raises(DataError, match=r"a/broken.png (is a link to nothing|cannot be read: Too)"):
        scan(root)


# ---------------------------------------------------------------- what is no file


def test_pipes_and_sockets_are_passed_over_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = flat(tmp_path, count=3)
    os.mkfifo(root / "a" / "pipe.png")
    (root / "a" / "link.png").symlink_to(root / "a" / "pipe.png")
    monkeypatch.chdir(root / "b")  # a socket's address must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        tree = scan(root)
    assert len(tree.train.files) == 6
    (note,) = tree.notes
    assert note.startswith("Passed over, since they are no files: ")
    assert all(name in note for name in ("pipe.png", "link.png", "socket.jpg"))
    assert opened(root).splits(0).train.images.shape == (2, 3, 8, 8)


@pytest.mark.parametrize("name", ["x" * 300, "y/" * 3000])
def test_paths_too_long_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"image folder .* cannot be read: File name too long"):
        scan(tmp_path / name)


def test_a_class_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    flat(tmp_path, count=2)
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(DataError, match=r"xff' in .* has a name that is no text in UTF-8"):
        scan(tmp_path)


@pytest.mark.parametrize("where", ["a/deeper", "a", ""])
def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = flat(tmp_path, count=2)
    (root / "a" / "deeper").mkdir()
    listed = os.scandir

    def denied(path: str) -> object:
        if os.path.samefile(path, root / where):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(DataError, match=f"{where} cannot be read: Permission denied"):
        scan(root)


def test_labels_stay_with_their_files_when_links_are_left_out(tmp_path: Path) -> None:
    root = flat(tmp_path, "abc", count=5)
    for name in "abc":
        (root / name / "00.png").symlink_to(root / name / "3.png")
    tree = scan(root)
    found = torch.tensor([ord(Path(file).parent.name) - ord("a") for file in tree.train.files])
    assert torch.equal(found, torch.tensor(tree.train.labels)) and len(found) == 15
