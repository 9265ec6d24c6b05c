"""`nastk data`: a look at images before a search."""

import json
from pathlib import Path

import pytest
from cli_kit import called
from images_kit import flat, save

from nastk_images.command_line import listed


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    flat(tmp_path, count=40)
    for number in range(5):
        save(tmp_path / "rare" / f"{number}.png", mode="RGBA")
    return tmp_path


def test_it_says_form_classes_splits_treatment_and_notes(pictures: Path) -> None:
    code, out, err = called("data", f"folder:{pictures}", "-d", "flip=false")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].endswith(": images of 3 x 8 x 8 (channels x height x width), 3 classes")
    rows = [line.split() for line in lines[1:6]]
    assert rows == [
        ["class", "train", "valid", "test"],
        ["a", "16", "16", "8"],
        ["b", "16", "16", "8"],
        ["rare", "2", "2", "1"],
        ["all", "34", "34", "17"],
    ]
    assert "34 images: a 16, b 16, rare 2; `-d class_weights=balanced` lets" in out
    assert "cropped after padding by 1, never mirrored" in out and "mean         0." in out
    assert "transparent parts" in err and "a fifth of the images is held out" in err


def test_with_weights_nothing_is_pointed_out(pictures: Path) -> None:
    _, out, _ = called("data", f"folder:{pictures}", "-d", "class_weights=balanced")
    assert "rare 2\n" in out and "cross-entropy, class weights from" in out


def test_json_has_every_class(pictures: Path) -> None:
    code, out, _ = called("data", f"folder:{pictures}", "--json", "--seed", "3")
    values = json.loads(out)
    assert code == 0 and values["form"] == [3, 8, 8] and len(values["mean"]) == 3
    assert values["classes"]["rare"] == {"train": 2, "valid": 2, "test": 1}
    assert any("transparent" in note for note in values["notes"])


def test_of_many_classes_the_smallest_and_the_largest_are_listed() -> None:
    counts = {f"c{number}": {"train": number} for number in range(41)}
    found = listed(counts)
    assert found[:2] == ["c0", "c1"] and found[10] is None and found[-1] == "c40"
    assert len(found) == 21
    assert listed({"b": {"train": 1}, "a": {"train": 9}}) == ["b", "a"]


def test_what_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    code, _, err = called("data", f"folder:{tmp_path / 'none'}")
    assert code == 2 and "does not exist" in err
    code, _, err = called("data", "cifra10")
    assert code == 2 and "Did you mean 'cifar10'" in err
