"""`ZeroCost`, what the zero-cost evaluators share: fresh weights, training images, one number.

A score is computed from the stand-alone network as it is before training, with weights and images
that the seed alone decides, so that it depends on nothing that a search learned.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field
from torch import nn

import nastk
from nastk import (
    Architecture,
    Batch,
    ConfigurationError,
    DataError,
    Evaluation,
    EvaluationContext,
    Evaluator,
    Execution,
    PhaseCost,
    Probe,
)
from nastk.base import seed_of, seeded
from nastk.data import stream
from nastk.nn import BatchNorm, without_auxiliary


class SeedOptions(nastk.Options):
    """The option of all zero-cost evaluators."""

    seed: int | None = Field(
        None, ge=0, description="seed of the weights and the images; unset: the run's seed"
    )


class BatchOptions(SeedOptions):
    """The options of zero-cost evaluators that look at images."""

    batch_size: int = Field(64, ge=2, description="images of the train split in a batch")


@dataclass(frozen=True)
class Score:
    """The score of a network; larger is better. `notes` are sentences that qualify it."""

    value: float
    notes: tuple[str, ...] = ()


class ZeroCost(Evaluator):
    """Scores the untrained network of an architecture; the only metric, `metric`, is the score.

    Raises:
        ConfigurationError: the train split has too few images, or a loss has too few classes.

    Example: `Synflow(context).evaluate(architecture, None).metrics["synflow"]`
    """

    metric: ClassVar[str]
    """The name of the score, of which larger values are better."""
    looks_back: ClassVar[bool] = True
    """True if the images also go backward through the network."""
    uses_labels: ClassVar[bool] = False
    """True if the score is computed from the loss."""

    def __init__(self, context: EvaluationContext, options: SeedOptions | None = None) -> None:
        super().__init__(context, options)
        self.execution = Execution.choose(str(context.device), "fp32")
        self._drawn: Sequence[Batch] | None = None
        self._check()

    @property
    def criteria(self) -> tuple[str, ...]:
        """See `Evaluator.criteria`: the score."""
        return (self.metric,)

    @property
    def batches(self) -> int:
        """The number of batches that the score needs."""
        return 1

    @property
    def images(self) -> int:
        """The number of images that the score needs."""
        return self.batches * int(self.options.batch_size)

    def max_cost(self) -> PhaseCost:
        """See `Evaluator.max_cost`: every image of the batches once."""
        return PhaseCost(self.images, self.images if self.looks_back else 0)

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called at the end of a search and by `nastk evaluate`: builds the network, scores it.

        Raises:
            DataError: the score is not finite, or is not defined for this network.
        """
        space, task = self.context.space, self.context.task
        architecture = space.check(architecture)
        seed = seed_of(self.seed, "zero-cost", "weights")
        with self.execution.settings(), seeded(seed, self.execution.device):
            network = self.execution.place(without_auxiliary(space.network(architecture, task)))
            score = self.score(network.train(), self._batches())
        self.context.run.charge(self.images, self.images if self.looks_back else 0)
        if not math.isfinite(score.value):
            raise DataError(
                f"Evaluator {self.name!r} found {score.value} for {space.to_text(architecture)}; "
                "a score is a finite number. The network's values are too large or not numbers: "
                "look at its initialisation, or use another evaluator."
            )
        return Evaluation(self.name, {self.metric: score.value}, (*self._notes(), *score.notes))

    @abstractmethod
    def score(self, network: nn.Module, batches: Sequence[Batch]) -> Score:
        """Called for every architecture: returns the score of an untrained network.

        The network is in training mode, on the device of the batches, and may be changed.
        """

    @property
    def seed(self) -> int:
        """The seed of weights and images."""
        return self.context.seed if self.options.seed is None else int(self.options.seed)

    def _batches(self) -> Sequence[Batch]:
        """Returns the batches, not augmented; they are the same for every architecture."""
        if self.batches == 0:
            return ()
        if self._drawn is None:
            train, size = self.context.splits.train, self.options.batch_size
            device = self.execution.device
            images = stream(train, size, self.seed, "zero-cost", device, augment=False, workers=0)
            self._drawn = [images.at(step) for step in range(self.batches)]
        return self._drawn

    def _check(self) -> None:
        """Raises a ConfigurationError if the images do not suffice, before anything is computed."""
        train, task = len(self.context.splits.train), self.context.task
        if train < self.images:
            size = max(2, train // self.batches)
            raise ConfigurationError(
                f"Evaluator {self.name!r} takes {self.images} images of the train split, which "
                f"holds {train}. Set batch_size={size} (`-e {self.name},batch_size={size}`), or "
                "use more images."
            )
        if self.uses_labels and task.classes < 2:
            raise ConfigurationError(
                f"Evaluator {self.name!r} follows the loss, which is zero with {task.classes} "
                "class. Use images of at least 2 classes, or an evaluator without labels, such as "
                "synflow."
            )

    def _notes(self) -> tuple[str, ...]:
        """Returns the note that says of what the score is."""
        return (
            f"Of the network before training, weights of seed {self.seed}, on {self.images} images "
            "of the train split.",
        )


def layer_weights(network: nn.Module) -> list[nn.Parameter]:
    """Returns the weights of all layers: trainable parameters with two or more axes.

    These are kernels and matrices; biases, and the scales and shifts of norms, are left out.
    """
    return [
        weight
        for module in network.modules()
        if not isinstance(module, NORMS)
        for weight in module.parameters(recurse=False)
        if weight.requires_grad and weight.dim() > 1
    ]


NORMS: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
    BatchNorm,
)
"""The norms of torch and of nastk."""
