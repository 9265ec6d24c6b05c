"""What training minimises and what is reported of logits: `Objective`, the loss and the metric.

Weight steps, updaters that take gradients, evaluators and retraining all ask here. A run's
objective is that of its `Task`; `objective_for` makes it from the options of a data source.
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
"""What users say: computed from the train labels, a number for each class, or nothing."""


@dataclass(frozen=True)
class Objective:
    """The loss that training minimises, and the loss and the accuracy that are reported.

    Of N images with classes y, among K classes, where a network answers -log p = n:

        loss = 1/N sum_i w[y_i] ((1 - s) n_i[y_i] + s/K sum_c n_i[c])

    `label_smoothing` is s (Szegedy et al. 2016), `class_weights` are w (None: all 1), in the order
    of the classes. The mean is over images and not over their weights, so that the pieces of a
    batch add up to it; the weights of `objective_for` have mean 1 over the train images, which
    keeps the size of a step. An image's weight is that of its class, whatever smoothing adds.

    Smoothed and weighted is only what is minimised: weight steps, the gradients that updaters take
    (`Probe.loss`, `gradients`, `lookahead`), of train and valid images alike, and retraining.
    Whatever is reported or compared (losses of an epoch, `Probe.scores`, accuracies) is not, so
    that runs with other options can be compared. Accuracy is the share of images that are right,
    also where classes are unequal.

    Example: `Objective(label_smoothing=0.1).loss(logits, labels)`
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    @property
    def is_plain(self) -> bool:
        """True if what is minimised is what is reported: the mean cross-entropy."""
        return not self.label_smoothing and self.class_weights is None

    def loss(
        self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        """Called wherever something is minimised: the loss by the formula above."""
        if self.class_weights is None:
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        losses = F.cross_entropy(
            logits, labels, label_smoothing=self.label_smoothing, reduction="none"
        )
        weights = _on(self.class_weights, labels.device)[labels]
        return (losses * weights.to(losses.dtype)).mean()

    def reported(
        self,
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, "batch"],
    ) -> Float[Tensor, ""]:
        """Called wherever a loss is reported: mean cross-entropy, of labels as they are."""
        return F.cross_entropy(logits, labels)

    def hits(
        self, logits: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch"]
    ) -> Bool[Tensor, "batch"]:
        """Called wherever an accuracy is reported: which images are right."""
        return logits.argmax(1) == labels

    def total(
        self,
        logits: Float[Tensor, "batch classes"],
        labels: Int[Tensor, "batch"],
        of: Literal["accuracy", "loss"],
    ) -> Float64[Tensor, ""]:
        """Called to add up over batches: how many images are right, or their reported losses."""
        if of == "accuracy":
            return self.hits(logits, labels).sum().double()
        return F.cross_entropy(logits, labels, reduction="sum").double()

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Objective":
        """The inverse of `to_json`."""
        weights = value["class_weights"]
        return cls(value["label_smoothing"], None if weights is None else tuple(weights))

    def words(self) -> str:
        """In words, for `--dry-run`."""
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
    """The objective that a data source's options ask for, from the `labels` of its train part.

    Weights are `balanced` (in inverse proportion to a class's train images), or as given; both are
    scaled to mean 1 over the train images. Where all are equal there are none, to the same bits.
    `names` are those of the classes, `owner` is the source.

    Raises:
        ConfigurationError: as many weights as classes are expected; `balanced` needs train images
            of every class.
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
        # Exactly of mean 1 already; scaling again would round.
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
    """The weights; None where all are equal, so that nothing is computed with them."""
    return None if len(set(weights)) == 1 else tuple(weights)


@lru_cache(maxsize=16)
def _on(weights: tuple[float, ...], device: torch.device) -> Float64[Tensor, "classes"]:
    """The weights on the device, where they stay: every step asks for them."""
    return torch.tensor(weights, dtype=torch.float64, device=device)


def _few(names: Sequence[str]) -> str:
    some = ", ".join(names[:8])
    return some + (f" and {len(names) - 8} more" if len(names) > 8 else "")
