"""What a training needs besides the architecture: `TrainingSetup`, checked before it begins."""

from dataclasses import replace

import torch

from nastk import (
    Architecture,
    Augmentation,
    ConfigurationError,
    EvaluationContext,
    Execution,
    PhaseCost,
    SearchSpace,
    Split,
    Stream,
)
from nastk.base import generator
from nastk.data import stream
from nastk_training.joined import joined
from nastk_training.recipe import Recipe
from nastk_training.training import Training
from nastk_training.treatment import Treatment


class TrainingSetup:
    """The images, the device and the space of networks for trainings by one recipe.

    `train` are the images that train, `held_out` those of the valid split unless they train too.
    `every` is the number of epochs between two measurements of these where the recipe leaves it
    unset.

    Raises:
        ConfigurationError: there are no images to train on or to measure, or the options do not fit
            the images.

    Example: `TrainingSetup(context, Recipe(epochs=8)).training(architecture).until(8)`
    """

    def __init__(self, context: EvaluationContext, recipe: Recipe, every: int = 0) -> None:
        self.context, self.recipe = context, recipe
        self.execution = Execution.choose(str(context.device), recipe.precision)
        splits = context.splits
        final = recipe.split == "train+valid"
        self.train = joined(splits.train, splits.valid) if final else splits.train
        held_out = {} if final else {"valid": splits.valid}
        self.held_out = {name: part for name, part in held_out.items() if len(part)}
        if recipe.measure_every is not None:
            every = recipe.measure_every
        elif recipe.keep_epoch == "best":
            every = 1
        self.every = every if self.held_out else 0
        self._check_images()
        self.space = self._networks()
        self._check_network()
        self.treatment = Treatment(recipe, context.task, self._augmentation(), self.seed)

    @property
    def seed(self) -> int:
        """The seed of weights, batches and augmentation."""
        return self.context.seed if self.recipe.seed is None else self.recipe.seed

    def with_seed(self, seed: int, context: EvaluationContext) -> "TrainingSetup":
        """Returns this setup for another seed and another run handle; the images are shared."""
        return TrainingSetup(context, self.recipe.model_copy(update={"seed": seed}), self.every)

    def max_cost(self, networks: int = 1) -> PhaseCost:
        """Returns the most images that so many trainings take, with their measurements."""
        trained = self.recipe.epochs * len(self.train)
        held_out = sum(map(len, self.held_out.values()))
        during = -(-self.recipe.epochs // self.every) * held_out if self.every else 0
        measured = held_out + during + len(self.context.splits.test)
        return PhaseCost(networks * (trained + measured), networks * trained)

    def training(
        self,
        architecture: Architecture,
        name: str = "the network",
        turn: tuple[int, int] = (0, 1),
        train: Stream | None = None,
    ) -> Training:
        """Returns the training of an architecture; `train` are its batches if they are shared."""
        checked = self.context.space.check(architecture)
        context = replace(self.context, space=self.space)
        held_out = self.batches("valid", self.held_out["valid"]) if self.every else None
        return Training(
            checked,
            context,
            self.recipe,
            self.execution,
            self.batches("train", self.train) if train is None else train,
            name,
            turn,
            self.treatment,
            held_out,
            self.every,
        )

    def measured(self, training: Training) -> dict[str, float]:
        """Called after training: returns the accuracy on each split that did not train.

        This is the only place where test images are used.
        """
        parts = {**self.held_out, "test": self.context.splits.test}
        return {
            name: training.accuracy(self.batches(name, part))
            for name, part in parts.items()
            if len(part)
        }

    def batches(self, name: str, part: Split) -> Stream:
        """Returns the batches of a split; training batches come as the recipe wants them."""
        if name == "train":
            part = replace(part, augmentation=self.treatment.before())
        size, device = self.recipe.batch_size, self.execution.device
        return stream(part, size, self.seed, f"retrain/{name}", device)

    def _augmentation(self) -> Augmentation:
        """Returns the augmentation of the training images, with the recipe's cutout."""
        own, cutout = self.train.augmentation, self.recipe.cutout
        return own if cutout is None else replace(own, cutout=cutout)

    def _check_images(self) -> None:
        """Raises if the images cannot be trained on or measured, before a search is spent on it."""
        recipe, images, size = self.recipe, len(self.train), self.context.task.shorter
        if images < 2:
            raise ConfigurationError(
                f"Evaluator 'retrain' trains on the {recipe.split} split, which holds {images} "
                "images; it needs at least 2."
            )
        if recipe.batch_size > images:
            raise ConfigurationError(
                f"retrain: batch_size {recipe.batch_size} is more than the {images} images of the "
                f"{recipe.split} split. Set batch_size={min(32, images)}, or use more images."
            )
        if not self.held_out and not len(self.context.splits.test):
            raise ConfigurationError(
                f"Evaluator 'retrain' with split={recipe.split} has nothing to measure: no images "
                "are held out and the test split is empty. Set `-d train_fraction=0.5` and "
                "split=train, or give test images."
            )
        if not self.held_out and recipe.keep_epoch == "best":
            raise ConfigurationError(
                "retrain: keep_epoch=best chooses by the valid split, which is empty. Set "
                "`-d train_fraction=0.9`, or keep_epoch=last."
            )
        task = self.context.task
        side = "" if task.height == task.width else " of the shorter side"
        if recipe.cutout is not None and recipe.cutout >= size:
            raise ConfigurationError(
                f"retrain: cutout must be less than the image's {size} pixels{side}, got "
                f"{recipe.cutout}. Set cutout={size // 4}."
            )

    def _networks(self) -> SearchSpace:
        """Returns the space that builds the networks: the run's with the options in `network`."""
        if not self.recipe.network:
            return self.context.space
        try:
            return self.context.space.with_options(self.recipe.network)
        except ConfigurationError as error:
            raise ConfigurationError(f"retrain: network: {error}") from None

    def _check_network(self) -> None:
        """Raises if networks do not fit the images: builds one without storage."""
        space = self.context.space
        architecture = space.sample(space.full(), generator(self.context.seed, "retrain", "check"))
        with torch.device("meta"):
            self.space.network(architecture, self.context.task)
