"""`Balance`: how many images each class has, and what to do if the classes differ much in size."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from nastk.data.objective import BALANCED

LARGE = 3.0
"""From this ratio of the largest class to the smallest on, class weights are pointed out."""
NAMED = 8
"""Up to so many classes, each is named with its images."""


@dataclass(frozen=True)
class Balance:
    """The number of images of each class, by the names of the classes, in their order.

    Example: `Balance.of(splits.train.labels, task.names).words()`
    """

    counts: dict[str, int]

    @classmethod
    def of(cls, labels: Int[Tensor, "images"], names: Sequence[str]) -> "Balance":
        """Returns the numbers of images with each label; `names` has one name for each class."""
        counted = torch.bincount(labels, minlength=len(names)).tolist()
        return cls(dict(zip(names, counted, strict=True)))

    @property
    def ratio(self) -> float:
        """The images of the largest class over those of the smallest; infinite if that is empty."""
        least, greatest = min(self.counts.values()), max(self.counts.values())
        return greatest / least if least else float("inf")

    def words(self, weighted: bool = False) -> str:
        """Returns the balance in words, for `--dry-run`; with `weighted` classes have weights.

        >>> Balance({"ant": 2, "bee": 9}).words(weighted=True)
        '11 images: ant 2, bee 9'
        """
        total = sum(self.counts.values())
        ordered = sorted(self.counts, key=lambda name: self.counts[name])
        least, greatest = ordered[0], ordered[-1]
        if self.ratio == 1:
            sizes = f"{self.counts[least]:,} of each class"
        elif len(ordered) <= NAMED:
            sizes = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        else:
            sizes = (
                f"from {self.counts[least]:,} of class {least} to {self.counts[greatest]:,} of "
                f"class {greatest}"
            )
        advice = ""
        if self.ratio >= LARGE and not weighted:
            advice = f"; `-d class_weights={BALANCED}` lets rare classes count as much as others"
        return f"{total:,} images: {sizes}{advice}"

    def to_json(self) -> dict[str, int]:
        """Returns the number of images by class name, as a JSON object."""
        return dict(self.counts)
