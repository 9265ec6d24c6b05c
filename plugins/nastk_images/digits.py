"""`Digits`: the handwritten digits that come with scikit-learn; they need no download."""

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64

from nastk import DataSource, Split, Splits, Task
from nastk.base import generator
from nastk.data import divide, statistics, stratified


class Digits(DataSource):
    """1,797 grey images of 8x8 pixels: the test part of the UCI digits (Alpaydin and Kaynak 1998).

    A fifth of each class is the test split, the same for every seed.

    Example: `Digits().splits(seed=0).train.images.shape`
    """

    name = "digits"
    summary = "1,797 handwritten digits of 8x8 pixels; no download"

    @property
    def task(self) -> Task:
        """See `DataSource.task`."""
        return Task(classes=10, channels=1, size=8, labels=tuple("0123456789"))

    def splits(self, seed: int) -> Splits:
        """See `DataSource.splits`."""
        training, test = self._whole
        train, valid = divide(training, self.options.train_fraction, self.options.limit, seed)
        return Splits(train, valid, test)

    @cached_property
    def _whole(self) -> tuple[Split, Split]:
        """The training images, not yet divided, and the test split."""
        table = torch.from_numpy(_table())
        levels = table[:, :-1].reshape(-1, 1, 8, 8)  # values 0..16
        images = (levels * (255 / 16)).round().to(torch.uint8)
        labels = table[:, -1].long()
        test, training = stratified(
            labels, round(0.2 * len(labels)), generator(0, "data", "held-out test")
        )
        mean, std = statistics(images[training])
        # No mirroring: a mirrored 2 is not a 2.
        whole = Split(images, labels, self.augmentation(mean, std, crop_padding=1, flip=False))
        return whole.select(training), whole.select(test)


def _table() -> Float64[np.ndarray, "images 65"]:
    """Returns scikit-learn's table: 64 grey levels of an image, row by row, and its digit."""
    package = find_spec("sklearn")
    if package is not None and package.origin is not None:
        # Reading the file directly avoids importing scikit-learn, which takes a second.
        stored = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if stored.is_file():
            return np.loadtxt(stored, delimiter=",")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])
