"""The evaluator `retrain`: trains the stand-alone network of an architecture from scratch.

`recipe.py` holds the options, `presets.py` the settings of papers, `setup.py` prepares images and
networks, `training.py` trains one network, `halving.py` stops the worse of several networks,
`keeping.py` writes weights.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from nastk import (
    Architecture,
    Evaluation,
    EvaluationContext,
    Evaluator,
    PhaseCost,
    Probe,
)
from nastk.base import generator
from nastk.nn import parameters, without_auxiliary
from nastk_training.halving import halve
from nastk_training.keeping import LOADING, check_place, keep
from nastk_training.presets import PRESETS
from nastk_training.recipe import Recipe
from nastk_training.setup import TrainingSetup
from nastk_training.training import Training, has_drop_path


class Retrain(Evaluator):
    """Accuracy of the network that is trained from scratch, as papers report it.

    The accuracy is that of the last epoch: there is no early stopping and no choice of an epoch,
    and no test image is used before the end. Metrics: `valid_accuracy` and `test_accuracy` (0..1,
    for the splits that are held out), with `baseline` also their means over random architectures
    (such as `baseline_test_accuracy`), `train_loss` (of the last epoch), `parameters` (without an
    auxiliary head), `epochs`.

    Raises:
        ConfigurationError: there are no images to train on or to measure, or the options do not fit
            the images.

    Example: `Retrain(context, Recipe(epochs=8)).evaluate(architecture, None).metrics`
    """

    name = "retrain"
    summary = "accuracy of the stand-alone network, trained from scratch"
    presets = PRESETS

    class Options(Recipe):
        """The recipe by which the network is trained."""

    def __init__(self, context: EvaluationContext, options: Recipe | None = None) -> None:
        super().__init__(context, options)
        self.recipe: Recipe = self.options
        self.setup = TrainingSetup(context, self.recipe)
        check_place(self.recipe.save)

    @property
    def criteria(self) -> tuple[str, ...]:
        """See `Evaluator.criteria`: empty if no image is held out."""
        return ("outlasted", "valid_accuracy") if self.setup.held_out else ()

    def max_cost(self) -> PhaseCost:
        """See `Evaluator.max_cost`: the images of every epoch, and those measured at the end."""
        return self.setup.max_cost(1 + self.recipe.baseline)

    def evaluate(self, architecture: Architecture, probe: Probe | None) -> Evaluation:
        """Called once at the end of a search, and by `nastk evaluate`: trains, then measures.

        Raises:
            DivergenceError: a loss that is not finite; names the epoch and the learning rate.
            StopRequested: the user asked the run to stop.
        """
        baseline = self._baseline()
        training, metrics = self._trained(architecture, "the network", rest=len(baseline))
        if self.recipe.save is not None:
            keep(training.trained, self.recipe.save)
        seconds, baseline_metrics = training.seconds, []
        for number, drawn in enumerate(baseline, 1):
            name = f"a random one, {number} of {len(baseline)}"
            baseline_training, measured = self._trained(drawn, name, len(baseline), number)
            seconds += baseline_training.seconds
            baseline_metrics.append(measured)
        means = {
            f"baseline_{name}": fmean(row[name] for row in baseline_metrics)
            for name in metrics
            if baseline_metrics
        }
        evaluation = self._evaluation({**metrics, **means}, training)
        notes = (*evaluation.notes, *self._compared(metrics, baseline_metrics))
        return replace(evaluation, notes=notes, seconds=seconds)

    def evaluate_all(
        self, architectures: Sequence[Architecture], probes: Sequence[Probe | None]
    ) -> list[Evaluation]:
        """Called at the end of a run that split: trains the leaves' networks, halving at `rungs`.

        No test image is used. Metrics: `outlasted` (the number of networks that left before it, or
        with it and with less accuracy), and `valid_accuracy` when it was last measured, after
        `epochs` epochs.
        """
        setup = self.setup
        train = setup.batches("train", setup.train)
        valid = setup.batches("valid", setup.held_out["valid"])
        trainings = [
            setup.training(architecture, f"network {number} of {len(architectures)}", train=train)
            for number, architecture in enumerate(architectures, 1)
        ]

        def accuracy(training: Training, epochs: int) -> float:
            training.until(epochs)
            return training.accuracy(valid)

        rungs = (*self.recipe.rungs, self.recipe.epochs)
        standings = halve(trainings, rungs, accuracy)
        evaluations = []
        for training, standing in zip(trainings, standings, strict=True):
            metrics: dict[str, float | int] = {"outlasted": standing.outlasted}
            if standing.accuracy is not None:
                metrics["valid_accuracy"] = standing.accuracy
            evaluations.append(self._evaluation(metrics, training))
        return evaluations

    def _trained(
        self, architecture: Architecture, name: str, rest: int = 0, before: int = 0
    ) -> tuple[Training, dict[str, float | int]]:
        """Returns a network trained to the end and its accuracies.

        It is one of `1 + rest` networks, and `before` of them were trained before it.
        """
        training = self.setup.training(architecture, name, (before, rest + 1))
        training.until(self.recipe.epochs)
        training.choose()
        measured = self.setup.measured(training)
        return training, {f"{split}_accuracy": value for split, value in measured.items()}

    def _baseline(self) -> list[Architecture]:
        """Returns the random architectures to compare with, the same for every recipe."""
        rng = generator(self.context.seed, "retrain", "baseline")
        space = self.context.space
        return [space.sample(space.full(), rng) for _ in range(self.recipe.baseline)]

    def _compared(
        self, metrics: dict[str, float | int], baseline: list[dict[str, float | int]]
    ) -> list[str]:
        """Returns a sentence that compares the accuracy with the baseline's, if there is one."""
        if not baseline:
            return []
        name = "test_accuracy" if "test_accuracy" in metrics else "valid_accuracy"
        split = name.partition("_")[0]
        random = ", ".join(f"{100 * row[name]:.1f} %" for row in baseline)
        which = "a random one" if len(baseline) == 1 else f"{len(baseline)} random ones"
        return [
            f"Trained {self.recipe.epochs} epochs: {split} {100 * metrics[name]:.1f} %; {which}, "
            f"trained in the same way: {random}."
        ]

    def advice(self, run: str) -> tuple[tuple[str, str], ...]:
        """See `Evaluator.advice`: after the preset `quick`, a longer training that is kept."""
        recipe = self.recipe
        if recipe.preset != "quick" or recipe.save is not None:
            return ()
        longer = f"nastk train {run} --preset quick -o epochs={4 * recipe.epochs}"
        return ((longer, "trains longer and keeps the network"),)

    def _evaluation(self, metrics: dict[str, float | int], training: Training) -> Evaluation:
        """Returns the evaluation of a trained network, with loss, size and epochs."""
        notes = self._notes(training)
        if training.epochs:
            metrics["train_loss"] = training.loss
        metrics["parameters"] = parameters(without_auxiliary(training.trained))
        metrics["epochs"] = training.epochs
        return Evaluation(self.name, metrics, notes, training.seconds)

    def _notes(self, training: Training) -> tuple[str, ...]:
        """Returns the notes on a trained network."""
        recipe = self.recipe
        notes = [
            f"Trained from scratch on {len(self.setup.train)} images ({recipe.split}), "
            f"{training.epochs} of {recipe.epochs} epochs, batches of {recipe.batch_size}; the "
            "last epoch counts."
        ]
        if recipe.save is not None:
            notes.append(f"The weights are in {recipe.save}; {LOADING}.")
        if recipe.drop_path and not has_drop_path(training.network):
            notes.append(f"The network has no drop path: drop_path={recipe.drop_path:g} is unused.")
        return tuple(notes)
