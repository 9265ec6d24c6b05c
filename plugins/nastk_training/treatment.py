"""What is done to a batch of training images beyond the data's own augmentation: `Treatment`.

RandAugment (Cubuk et al. 2020) works on the pixels of each image after its crop and flip, MixUp
(Zhang et al. 2018) and CutMix (Yun et al. 2019) on the normalised batch and its labels. All three
are torchvision's.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from nastk import Augmentation, Batch, ConfigurationError, Objective, Split, Task
from nastk.base import seed_of, seeded
from nastk.data import stream
from nastk_training.recipe import Recipe

Probabilities = Float[Tensor, "batch classes"]
Labels = Int[Tensor, "batch"] | Probabilities
"""The class of each image, or its probability of each class where images are mixed."""


@dataclass(frozen=True)
class Treatment:
    """Treats the batches of a training as its recipe says; each depends on seed and step alone.

    `augmentation` is that of the images. Where `is_raw`, batches must come with pixels from 0 to 1
    that are cropped and flipped and no more (see `before`).

    Raises:
        ConfigurationError: RandAugment was asked for, on images of neither 1 nor 3 channels.

    Example: `images, labels = Treatment(recipe, task, split.augmentation, seed)(batch, step)`
    """

    recipe: Recipe
    task: Task
    augmentation: Augmentation
    seed: int

    def __post_init__(self) -> None:
        if self.is_raw and self.task.channels not in (1, 3):
            raise ConfigurationError(
                f"randaugment works on images of 1 or 3 channels; these have {self.task.channels}. "
                "Set randaugment=0."
            )

    @property
    def is_raw(self) -> bool:
        """True if batches must come as pixels that are not normalised."""
        return self.recipe.randaugment > 0

    @property
    def is_idle(self) -> bool:
        """True if batches stay as they come."""
        return not (self.is_raw or self.recipe.mixup or self.recipe.cutmix)

    def before(self) -> Augmentation:
        """Returns the augmentation with which batches must come."""
        if not self.is_raw:
            return self.augmentation
        channels = len(self.augmentation.mean)
        neutral = {"mean": (0.0,) * channels, "std": (1.0,) * channels, "cutout": 0}
        return replace(self.augmentation, **neutral)  # type: ignore[arg-type]

    def __call__(self, batch: Batch, step: int) -> tuple[Tensor, Labels]:
        """Called for each batch of training images: returns normalised images, and labels."""
        if self.is_raw:
            batch = self._randomly_augmented(batch, step)
        if not (self.recipe.mixup or self.recipe.cutmix):
            return batch.images, batch.labels
        from torchvision.transforms import v2  # takes a second, which searches need not wait

        mixers = [
            mixer(alpha=alpha, num_classes=self.task.classes)
            for mixer, alpha in ((v2.MixUp, self.recipe.mixup), (v2.CutMix, self.recipe.cutmix))
            if alpha
        ]
        with seeded(seed_of(self.seed, "retrain", "mixing", step), batch.images.device):
            images, labels = v2.RandomChoice(mixers)(batch.images, batch.labels)
        return images, labels

    def _randomly_augmented(self, batch: Batch, step: int) -> Batch:
        """Returns the batch after RandAugment, normalised and with the cutout."""
        from torchvision.transforms import v2

        pixels = (batch.images * 255).round().to(torch.uint8)
        transform = v2.RandAugment(self.recipe.randaugment, self.recipe.randaugment_magnitude)
        with seeded(seed_of(self.seed, "retrain", "randaugment", step), pixels.device):
            treated = torch.stack([transform(image) for image in pixels])
        # A stream over the batch alone normalises it and cuts out squares; it also shuffles.
        rest = replace(self.augmentation, crop_padding=0, flip=False)
        split = Split(treated, batch.labels, rest)
        name = f"retrain/treated/{step}"
        return stream(split, len(split), self.seed, name, pixels.device).at(0)


def losses(
    objective: Objective, logits: Float[Tensor, "batch classes"], labels: Labels
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Returns (the loss to report, the loss to minimise) of a batch.

    With probabilities p of the classes, the loss of an image is the sum over k of p[k] times the
    loss for class k, so that it is linear in the share of each mixed image.
    """
    if labels.is_floating_point():
        return F.cross_entropy(logits.detach(), labels), _mixed_loss(objective, logits, labels)
    minimised = objective.loss(logits, labels)
    if objective.is_plain:
        return minimised, minimised
    return objective.reported(logits.detach(), labels), minimised


def hits(
    objective: Objective, logits: Float[Tensor, "batch classes"], labels: Labels
) -> Int[Tensor, ""]:
    """Returns how many images are right; a mixed image is of the class with the largest share."""
    classes = labels.argmax(1) if labels.is_floating_point() else labels
    return objective.hits(logits, classes).sum()


def _mixed_loss(
    objective: Objective, logits: Float[Tensor, "batch classes"], shares: Probabilities
) -> Float[Tensor, ""]:
    """Returns the objective's loss for labels that are probabilities."""
    negative = -F.log_softmax(logits, 1)  # batch x classes
    smoothing = objective.label_smoothing
    each = (1 - smoothing) * negative + smoothing * negative.mean(1, keepdim=True)
    if objective.class_weights is not None:
        each = each * torch.tensor(objective.class_weights, dtype=each.dtype, device=each.device)
    return (shares * each).sum(1).mean()
