"""The loss that training minimises and the loss and accuracy that are reported: `Objective`.

Weight steps, updaters that take gradients, evaluators and retraining all use it. A run's objective
is part of its `Task`; `objective_for` makes it from the options of a data source.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from nastk.base.errors import ConfigurationError

BALANCED = "balanced"
ClassWeights = Literal["balanced"] | tuple[float, ...] | None
"""The option of a data source: computed from the train labels, a number for each class, or none."""


@dataclass(frozen=True)
class Objective:
    """The loss that training minimises, and the loss and the accuracy that are reported.

    For N images with classes y_i out of K classes, and n_i[c] = -log p_i[c] of a network:

        loss = 1/N sum_i w[y_i] ((1 - s) n_i[y_i] + s/K sum_c n_i[c])

    `label_smoothing` is s (Szegedy et al. 2016), `class_weights` are w (None: all 1), in the order
    of the classes. The loss is divided by the number of images and not by the sum of their weights,
    so that the losses of micro-batches add up to that of the batch. The weights of `objective_for`
    have mean 1 over the train images, which keeps the size of a step. The weight of an image is
    that of its class; smoothing does not change it.

    Smoothing and weights apply only to losses that are minimised: in weight steps, in the gradients
    that updaters take (`Probe.loss`, `gradients`, `lookahead`) on train or valid images, and in
    retraining. They do not apply to numbers that are reported or compared (losses of an epoch,
    `Probe.scores`, accuracies), so that runs with different options can be compared. Accuracy is
    the share of images that are classified correctly, also if classes have different sizes.

    Example: `Objective(label_smoothing=0.1).loss(logits, labels)`
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    @property
    def is_plain(self) -> bool:
        """True if the loss that is minimised is the reported one: the mean cross-entropy."""
        return not self.label_smoothing and self.class_weights is None

    def loss(
        self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        """Called for every loss that is minimised: returns it by the formula above."""
        if self.class_weights is None:
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        losses = F.cross_entropy(
            logits, labels, label_smoothing=self.label_smoothing, reduction="none"
        )
        weights = _weights_on(self.class_weights, labels.device)[labels]
        return (losses * weights.to(losses.dtype)).mean()

    def reported(
        self,
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, "batch"],
    ) -> Float[Tensor, ""]:
        """Called for every loss that is reported: returns the mean cross-entropy."""
        return F.cross_entropy(logits, labels)

    def hits(
        self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch"]
    ) -> Bool[Tensor, "batch"]:
        """Called for every accuracy that is reported: returns which images are correct."""
        return logits.argmax(1) == labels

    def total(
        self,
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, "batch"],
        of: Literal["accuracy", "loss"],
    ) -> Float64[Tensor, ""]:
        """Called for sums over batches: returns the number of correct images, or the sum of losses.

        The losses are those that are reported.
        """
        if of == "accuracy":
            return self.hits(logits, labels).sum().double()
        return F.cross_entropy(logits, labels, reduction="sum").double()

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON object; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Objective":
        """Returns the objective that `to_json` wrote."""
        weights = value["class_weights"]
        return cls(value["label_smoothing"], None if weights is None else tuple(weights))

    def words(self) -> str:
        """Returns the objective in words, for `--dry-run`."""
        parts = ["cross-entropy"]
        if self.label_smoothing:
            parts.append(f"label smoothing {self.label_smoothing:g}")
        if self.class_weights is not None:
            least, greatest = min(self.class_weights), max(self.class_weights)
            parts.append(f"class weights from {least:.3g} to {greatest:.3g}")
        return ", ".join(parts)


def objective_for(
    label_smoothing: float,
    class_weights: ClassWeights,
    labels: Int[Tensor, "images"],
    names: Sequence[str],
    owner: str,
) -> Objective:
    """Returns the objective for the options of a data source.

    Weights are `balanced` (in inverse proportion to a class's train images), or given; both are
    scaled to mean 1 over the train images. If all weights are equal, the objective has none and its
    losses have the same bits as without weights.

    Args:
        label_smoothing: the option.
        class_weights: the option.
        labels: the labels of the train split.
        names: the names of the classes.
        owner: the name of the data source, for messages.

    Raises:
        ConfigurationError: there are not as many weights as classes, or a class has no train image
            although the weights are `balanced`.
    """
    if class_weights is None:
        return Objective(label_smoothing)
    counts = torch.bincount(labels, minlength=len(names)).tolist()
    if class_weights == BALANCED:
        if missing := [name for name, count in zip(names, counts, strict=True) if not count]:
            raise ConfigurationError(
                f"{owner}: class_weights={BALANCED} needs train images of every class, and class "
                f"{missing[0]!r} has none. Give a number for each class instead."
            )
        # N / (K n) for a class with n of N images: their mean is 1 already, scaling would round.
        weights = [len(labels) / (len(names) * count) for count in counts]
        return Objective(label_smoothing, _unless_equal(weights))
    given = list(class_weights)
    if len(given) != len(names):
        raise ConfigurationError(
            f"{owner}: class_weights has {len(given)} numbers for {len(names)} classes "
            f"({_few(names)}). Give one for each, in this order, or `-d class_weights={BALANCED}`."
        )
    mean = sum(count * weight for count, weight in zip(counts, given, strict=True)) / len(labels)
    return Objective(label_smoothing, _unless_equal([weight / mean for weight in given]))


def _unless_equal(weights: Sequence[float]) -> tuple[float, ...] | None:
    """Returns the weights, or None if all are equal, so that nothing is computed with them."""
    return None if len(set(weights)) == 1 else tuple(weights)


@lru_cache(maxsize=16)
def _weights_on(weights: tuple[float, ...], device: torch.device) -> Float64[Tensor, "classes"]:
    """Returns the weights on the device; they are cached, since every step needs them."""
    return torch.tensor(weights, dtype=torch.float64, device=device)


def _few(names: Sequence[str]) -> str:
    """Returns at most eight names, and the number of the others."""
    first = ", ".join(names[:8])
    return first + (f" and {len(names) - 8} more" if len(names) > 8 else "")
