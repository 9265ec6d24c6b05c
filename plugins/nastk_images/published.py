"""`Published` and its sources: sets with a published test split, which torchvision reads."""

import os
import tarfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Int, UInt8
from pydantic import Field
from torch import Tensor

from nastk import DataError, DataSource, Split, Splits, Task
from nastk.data import divide
from nastk_images.presets import QUICK


def data_root(option: Path | None) -> Path:
    """Returns the folder of downloads: the option, else $NASTK_DATA, else ~/.cache/nastk/data."""
    return Path(os.path.expanduser(option or os.environ.get("NASTK_DATA") or "~/.cache/nastk/data"))


UNOBTAINABLE = (OSError, RuntimeError, EOFError, HTTPException, tarfile.TarError)
"""What torchvision raises for files that are missing, damaged or cannot be downloaded."""
Opened = tuple[
    UInt8[Tensor, "images channels height width"], Int[Tensor, "images"], tuple[str, ...]
]


class Published(DataSource, ABC):
    """The base class of the sources in this module, which torchvision downloads and checks.

    Torchvision's training images are divided into train and valid; its test images are test.
    """

    presets = (QUICK,)
    mean: ClassVar[tuple[float, ...]]
    std: ClassVar[tuple[float, ...]]
    crop: ClassVar[int] = 4
    mirror: ClassVar[bool] = True
    files: ClassVar[str]
    """The files that torchvision expects, for the error that asks the user for them."""

    class Options(DataSource.Options):
        """The options of the source: the folder of the files, and whether to download them."""

        root: Path | None = Field(
            None, description="folder of the files; unset: $NASTK_DATA, or else ~/.cache/nastk/data"
        )
        download: bool = Field(True, description="download the files where they are missing")

    @abstractmethod
    def dataset(self, root: str, train: bool, download: bool) -> Any:
        """Called twice, for training and test images: returns torchvision's data set."""

    @cached_property
    def task(self) -> Task:
        """See `DataSource.task`; opens the files."""
        images, _, classes = self._opened[True]
        channels, height, width = images.shape[1:]
        return Task(len(classes), channels, (height, width), classes)

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`."""
        augmentation = self.augmentation(self.mean, self.std, self.crop, self.mirror)
        training, test = (Split(*self._opened[train][:2], augmentation) for train in (True, False))
        train, valid = divide(training, self.options.train_fraction, self.options.limit, seed)
        return Splits(train, valid, test)

    @cached_property
    def _opened(self) -> dict[bool, Opened]:
        """Images, labels and class names of the training (True) and the test images (False)."""
        return {train: _as_tensors(self._open(train)) for train in (True, False)}

    def _open(self, train: bool) -> Any:
        """Returns torchvision's data set.

        Raises:
            DataError: the files are missing or cannot be downloaded; the message says what to do.
        """
        root = data_root(self.options.root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings():
                # The files were pickled by an old numpy, about which a new one warns.
                warnings.simplefilter("ignore")
                return self.dataset(str(root), train, self.options.download)
        except UNOBTAINABLE as error:
            tried = (
                "could not be downloaded"
                if self.options.download
                else "is not there (download is off)"
            )
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise DataError(
                f"{self.name} {tried}: {reason}. Put {self.files} into {root}, name "
                "another folder with `-d root=PATH` or NASTK_DATA, or use `--data folder:PATH` "
                "instead."
            ) from error


def _as_tensors(dataset: Any) -> Opened:
    """Returns channels-first uint8 images, labels and class names of a torchvision data set."""
    images = torch.as_tensor(dataset.data)
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2)
    labels = torch.as_tensor(dataset.targets if hasattr(dataset, "targets") else dataset.labels)
    classes: Sequence[str] = getattr(dataset, "classes", None) or [
        str(digit) for digit in range(10)
    ]
    return images, labels.long(), tuple(classes)


class Cifar10(Published):
    """CIFAR-10 (Krizhevsky 2009): 50,000 training, 10,000 test images, 32x32 pixels, 10 classes.

    Mean and deviation are those of the DARTS paper's code.

    Example: `Cifar10().splits(seed=0).train`
    """

    name = "cifar10"
    summary = "CIFAR-10: 60,000 colour images of 32x32 pixels"
    mean, std = (0.49139968, 0.48215827, 0.44653124), (0.24703233, 0.24348505, 0.26158768)
    files = "cifar-10-python.tar.gz, or the folder cifar-10-batches-py that it holds,"

    def dataset(self, root: str, train: bool, download: bool) -> Any:
        """See `Published.dataset`."""
        from torchvision.datasets import CIFAR10

        return CIFAR10(root, train, download=download)


class Cifar100(Published):
    """CIFAR-100 (Krizhevsky 2009): images like those of CIFAR-10, in 100 classes.

    Example: `Cifar100().splits(seed=0).train`
    """

    name = "cifar100"
    summary = "CIFAR-100: 60,000 colour images in 100 classes"
    mean, std = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
    files = "cifar-100-python.tar.gz, or the folder cifar-100-python that it holds,"

    def dataset(self, root: str, train: bool, download: bool) -> Any:
        """See `Published.dataset`."""
        from torchvision.datasets import CIFAR100

        return CIFAR100(root, train, download=download)


class Svhn(Published):
    """Street View House Numbers (Netzer et al. 2011): 73,257 training, 26,032 test digits.

    The extra part is not used.

    Example: `Svhn().splits(seed=0).train`
    """

    name = "svhn"
    summary = "SVHN: 99,289 house-number digits of 32x32 pixels"
    mean, std = (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)
    mirror = False
    files = "train_32x32.mat and test_32x32.mat"

    def dataset(self, root: str, train: bool, download: bool) -> Any:
        """See `Published.dataset`."""
        from torchvision.datasets import SVHN

        return SVHN(root, "train" if train else "test", download=download)


class FashionMnist(Published):
    """Fashion-MNIST (Xiao et al. 2017): 60,000 training, 10,000 test images of 28x28 grey pixels.

    Example: `FashionMnist().splits(seed=0).train`
    """

    name = "fashion-mnist"
    summary = "Fashion-MNIST: 70,000 grey images of clothes, 28x28 pixels"
    mean, std = (0.2860,), (0.3530,)
    files = (
        "the four files train/t10k-images-idx3-ubyte.gz and -labels-idx1-ubyte.gz, in "
        "FashionMNIST/raw,"
    )

    def dataset(self, root: str, train: bool, download: bool) -> Any:
        """See `Published.dataset`."""
        from torchvision.datasets import FashionMNIST

        return FashionMNIST(root, train, download=download)
