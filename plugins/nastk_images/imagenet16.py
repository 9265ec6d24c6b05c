"""`ImageNet16`: ImageNet16-120, the third data set of NAS-Bench-201, from the benchmark's files."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from pydantic import Field
from torch import Tensor

from nastk import DataError, DataSource, Split, Splits, Task
from nastk.data import divide
from nastk_images.batches import read_batch
from nastk_images.presets import QUICK
from nastk_images.published import data_root

CLASSES, CHANNELS, SIZE = 120, 3, 16
Images = tuple[UInt8[Tensor, "_ channels size size"], Int64[Tensor, "_"]]
TRAINING = {
    "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
    "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
    "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
    "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
    "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
    "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
    "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
    "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
    "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
    "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
}
"""The benchmark's files of training images, in order, with their MD5 from the benchmark's code."""
TEST = {"val_data": "3410e3017fdaefba8d5073aaa65e4bd6"}
FOLDER = "ImageNet16"
"""The folder to which the benchmark's archive unpacks."""


class ImageNet16(DataSource):
    """ImageNet16-120 (Dong and Yang 2020): 151,700 training, 6,000 test images of 16x16 pixels.

    They are the first 120 classes of ImageNet scaled to 16x16 (Chrabaszcz et al. 2017).

    The set cannot be downloaded by a program. `root` (or `root/ImageNet16`) holds the files
    `train_data_batch_1` to `train_data_batch_10` and `val_data`. Mean, deviation, crop and flip are
    the benchmark's.

    Example: `ImageNet16(ImageNet16.Options(root="/data/ImageNet16")).splits(seed=0).train`
    """

    name = "imagenet16-120"
    summary = "ImageNet16-120 of NAS-Bench-201: 157,700 colour images of 16x16 pixels"
    presets = (QUICK,)
    mean = (122.68 / 255, 116.66 / 255, 104.01 / 255)
    std = (63.22 / 255, 61.26 / 255, 65.09 / 255)

    class Options(DataSource.Options):
        """The options of the source: the folder of the files."""

        root: Path | None = Field(
            None, description="folder of the files; unset: $NASTK_DATA, or else ~/.cache/nastk/data"
        )

    @property
    def task(self) -> Task:
        """See `DataSource.task`; does not read the files, which have no class names."""
        return Task(CLASSES, CHANNELS, SIZE)

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`."""
        augmentation = self.augmentation(self.mean, self.std, crop_padding=2, flip=True)
        training, test = (Split(*opened, augmentation) for opened in self._opened)
        train, valid = divide(training, self.options.train_fraction, self.options.limit, seed)
        return Splits(train, valid, test)

    @cached_property
    def _opened(self) -> tuple[Images, Images]:
        """Images and labels of the training and the test files, whose checksums were checked."""
        folder = self._folder()
        for name, expected in {**TRAINING, **TEST}.items():
            _check(folder / name, expected)
        return _images(folder, TRAINING), _images(folder, TEST)

    def _folder(self) -> Path:
        """Returns the folder of the files."""
        root = data_root(self.options.root)
        folders = (root, root / FOLDER)
        missing = {
            folder: [name for name in (*TRAINING, *TEST) if not (folder / name).is_file()]
            for folder in folders
        }
        for folder, names in missing.items():
            if not names:
                return folder
        folder, names = min(missing.items(), key=lambda pair: len(pair[1]))
        lacking = f"; {folder} lacks {', '.join(names)}" if len(names) <= len(TRAINING) else ""
        raise DataError(
            f"ImageNet16-120 is not in {root}{lacking}, and nastk cannot download it: its authors "
            "share it from a web drive (https://github.com/D-X-Y/NAS-Bench-201 lists the place). "
            "Put there the files train_data_batch_1 to train_data_batch_10 and val_data, or name "
            "another folder with `-d root=PATH`."
        )


def _check(path: Path, expected: str) -> None:
    """Raises a DataError if the MD5 of a file is not the expected one."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if digest.hexdigest() != expected:
        raise DataError(
            f"{path} is not the benchmark's file: its MD5 is {digest.hexdigest()}, expected "
            f"{expected}. Download it again."
        )


def _images(folder: Path, files: Mapping[str, str]) -> Images:
    """Returns the images of the first 120 classes in these files, which count classes from 1."""
    pixels, labels = [], []
    for name in files:
        rows, classes = read_batch(folder / name, CHANNELS * SIZE**2)
        kept = (classes >= 1) & (classes <= CLASSES)
        pixels.append(rows[kept])
        labels.append(classes[kept] - 1)
    images = np.concatenate(pixels).reshape(-1, CHANNELS, SIZE, SIZE)
    return torch.from_numpy(images), torch.from_numpy(np.concatenate(labels))
