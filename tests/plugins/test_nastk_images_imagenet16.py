"""ImageNet16-120: read from files in the benchmark's form, checked first, running nothing."""

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from images_kit import OldArray, random_pixels, write_pickle

from nastk import DataError, Preset, Task
from nastk.data.opening import stream
from nastk_fewshot import presets as fewshot
from nastk_images import imagenet16 as module
from nastk_images.batches import read_batch
from nastk_images.imagenet16 import ImageNet16
from nastk_shapley import presets as shapley

NAMES = (*module.TRAINING, *module.TEST)
CLASSES = (*range(1, 121), 121, 500, 1000)
"""The labels of one file: each class that is used once, and others."""


def content(labels: tuple[int, ...] = CLASSES, seed: int = 0) -> dict[str, Any]:
    """A batch whose images say what they are: the first byte is the label, modulo 251."""
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 768), dtype=np.uint8)
    pixels[:, 0] = np.array(labels) % 251
    return {"data": pixels, "labels": list(labels), "mean": pixels.mean(0)}


def write_set(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The eleven files with few images, their checksums those that the source asks for."""
    contents = {name: content(seed=seed) for seed, name in enumerate(NAMES)}
    for name, each in contents.items():
        write_pickle(root / name, {**each, "data": OldArray(each["data"])})
    admit(root, monkeypatch)
    return contents


def admit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the source ask for the checksums of the files that are there."""
    for sums in (module.TRAINING, module.TEST):
        for name in sums:
            digest = hashlib.md5((root / name).read_bytes()).hexdigest()
            monkeypatch.setitem(sums, name, digest)


def opened(root: Path, **options: Any) -> ImageNet16:
    return ImageNet16(ImageNet16.parse_options({"root": root, **options}))


@pytest.mark.parametrize("folder", ["", "ImageNet16"])
def test_the_first_120_classes_of_the_files_are_read_and_divided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    contents = write_set(tmp_path / folder, monkeypatch)
    source = opened(tmp_path)
    splits = source.splits(seed=0)
    assert source.task == Task(120, 3, 16)
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (600, 600, 120)
    expected = contents["val_data"]["data"][:120].reshape(-1, 3, 16, 16)
    assert np.array_equal(splits.test.images.numpy(), expected)
    assert splits.test.labels.tolist() == list(range(120))
    for split in (splits.train, splits.valid):
        assert isinstance(split.images, torch.Tensor)
        assert split.images[:, 0, 0, 0].tolist() == (split.labels + 1).tolist()
        assert torch.bincount(split.labels).tolist() == [5] * 120


def test_images_are_treated_as_the_benchmark_treats_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path, monkeypatch)
    split = opened(tmp_path).splits(seed=0).train
    treatment = split.augmentation
    assert (treatment.crop_padding, treatment.flip, treatment.cutout) == (2, True, 0)
    assert [round(255 * each, 2) for each in treatment.mean] == [122.68, 116.66, 104.01]
    assert [round(255 * each, 2) for each in treatment.std] == [63.22, 61.26, 65.09]
    assert stream(split, 4, 0, "train").at(0).images.shape == (4, 3, 16, 16)


def test_missing_files_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"is not in .*cannot download it.*-d root=PATH") as caught:
        opened(tmp_path).splits(seed=0)
    assert "lacks" not in str(caught.value)
    write_set(tmp_path / "ImageNet16", monkeypatch)
    for name in ("train_data_batch_7", "val_data"):
        (tmp_path / "ImageNet16" / name).unlink()
    with pytest.raises(DataError, match=r"/ImageNet16 lacks train_data_batch_7, val_data, and"):
        opened(tmp_path).splits(seed=0)


def test_a_file_that_is_not_the_benchmarks_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path, monkeypatch)
    path = tmp_path / "train_data_batch_3"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"train_data_batch_3 is not the benchmark's file: its MD5"):
        opened(tmp_path).splits(seed=0)


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def test_nothing_that_a_file_names_is_run_even_if_its_checksum_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path, monkeypatch)
    marker = tmp_path / "marker"
    attack = {**content(), "batch_label": Call(os.system, f"touch {marker}")}
    write_pickle(tmp_path / "val_data", attack)
    admit(tmp_path, monkeypatch)
    with pytest.raises(DataError, match=r"val_data names (posix|nt)\.system.*not executed"):
        opened(tmp_path).splits(seed=0)
    assert not marker.exists()
    pickle.loads((tmp_path / "val_data").read_bytes())
    assert marker.exists()  # it would have run


def python2(batch: dict[str, Any]) -> bytes:
    """A batch as Python 2 pickled it, whose bytes are text: the strings of protocol 2 as `U`."""
    raw = batch["data"].tobytes()
    shape = pickle.dumps(batch["data"].shape, 2)[2:-1]
    labels = pickle.dumps(batch["labels"], 2)[2:-1]
    return b"".join(
        [
            b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\n",
            b"(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01", shape,
            b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff",
            b"K\x00tb\x89T", len(raw).to_bytes(4, "little"), raw, b"tbU\x06labels", labels, b"u.",
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    "pickled",
    [
        python2,
        lambda batch: pickle.dumps({**batch, "data": OldArray(batch["data"])}, 2),
        lambda batch: pickle.dumps(batch, 2),
        lambda batch: pickle.dumps(batch, 4),
        lambda batch: pickle.dumps({**batch, "labels": np.array(batch["labels"])}, 4),
        lambda batch: pickle.dumps({**batch, "data": np.asfortranarray(batch["data"])}, 4),
        lambda batch: pickle.dumps({**batch, "labels": np.array(batch["labels"], ">i4")}, 4),
    ],
    ids=["python-2", "old-numpy", "protocol-2", "protocol-4", "array", "columns", "big-endian"],
)
def test_batches_are_read_as_every_python_and_numpy_wrote_them(
    tmp_path: Path, pickled: Any
) -> None:
    batch = content((3, 1, 2))
    (tmp_path / "a").write_bytes(pickled(batch))
    pixels, labels = read_batch(tmp_path / "a", 768)
    assert np.array_equal(pixels, batch["data"])
    assert labels.tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": random_pixels(2, 768)}, "is no batch of images: expected `data`, a row of 768"),
        ({"data": random_pixels(3, 767)}, "is no batch of images"),
        ({"data": np.zeros((3, 768))}, "is no batch of images"),
        ({"data": [1, 2, 3]}, "is no batch of images"),
        ({"labels": [1.0, 2.0, 3.0]}, "is no batch of images"),
        ({"labels": None}, "is no batch of images"),
        ({"data": np.array([None] * 3)}, "is damaged, cut short, or no pickle"),
        ({"data": np.array(["a"] * 3)}, "is damaged, cut short, or no pickle"),
    ],
)
def test_batches_of_another_structure_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    write_pickle(tmp_path / "a", {**content((1, 2, 3)), **change})
    with pytest.raises(DataError, match=message):
        read_batch(tmp_path / "a", 768)


@pytest.mark.parametrize("value", [[], None, 7])
def test_a_pickle_of_something_else_is_refused(tmp_path: Path, value: object) -> None:
    write_pickle(tmp_path / "a", value)
    with pytest.raises(DataError, match="is no batch of images"):
        read_batch(tmp_path / "a", 768)


@pytest.mark.parametrize("presets", [shapley.PRESETS, fewshot.PRESETS], ids=["shapley", "gm"])
def test_published_settings_of_the_benchmark_accept_it(presets: tuple[Preset, ...]) -> None:
    published = [
        each
        for each in presets
        if each.space == ("nasbench201",) and each.data and not each.name.startswith("study")
    ]
    assert published and all(each.fits("nasbench201", "imagenet16-120") for each in published)
