"""The training of one seed in its folder: begun or gone on with, logged, stored, and finished.

While it trains the folder has `checkpoint.pt` and `log.jsonl`, at the end `model.safetensors` and
`model.json` instead of the checkpoint. Test images are used once, when training is over.
"""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torchvision

import nastk
from nastk import EvaluationContext, StopRequested, TrainedModel
from nastk.base import write_atomically
from nastk.cli import Subject, warn
from nastk.nn import multiply_adds, parameters, without_auxiliary
from nastk_training import checkpoint
from nastk_training.beginning import SCRATCH, beginning
from nastk_training.following import Followed
from nastk_training.setup import TrainingSetup
from nastk_training.training import EpochRecord, Training

LOG, MODEL = "log.jsonl", "model.json"
PLACES = frozenset({"path", "root"})
"""Options of data that say where files lie."""
NOT_OF_THE_TRAINING = frozenset({"preset", "baseline", "rungs", "save", "seed"})
"""Options of a recipe that do not change what is trained, or that a seed has beside it."""


@dataclass(frozen=True)
class Plan:
    """What is trained, for all seeds: the architecture, how, from which weights, and where.

    `checkpoint_every` are the epochs between two checkpoints; `command` repeats the training;
    `trackers` are told its numbers.

    Example: `SeedTraining(plan, seed=0).run(context)`
    """

    subject: Subject
    setup: TrainingSetup
    folder: Path
    source: str = SCRATCH
    checkpoint_every: int = 1
    command: str = ""
    trackers: Sequence[str] = ()

    @cached_property
    def origin(self) -> dict[str, Any]:
        """What a training's state belongs to, as JSON."""
        return {
            "space": self.subject.space.name,
            "architecture_id": self.subject.architecture.id,
            "recipe": self.recipe,
            "from": self.source,
            "data": _data(self.subject.data, self.subject.digests()),
        }

    @property
    def recipe(self) -> dict[str, Any]:
        """The options of the recipe that make the training what it is, as JSON."""
        values = self.setup.recipe.model_dump(mode="json")
        return {name: value for name, value in values.items() if name not in NOT_OF_THE_TRAINING}


class SeedTraining:
    """The training of one seed of a plan; `turn` says how many come before it, and their number.

    Example: `SeedTraining(plan, seed=0).run(context).test_accuracy`
    """

    def __init__(self, plan: Plan, seed: int, turn: tuple[int, int] = (0, 1)) -> None:
        self.plan, self.seed, self.turn = plan, seed, turn
        self.folder = plan.folder / f"seed-{seed}"
        self.images = (0, 0)
        """Images that went forward and backward in this training, an earlier part included."""

    def finished(self) -> TrainedModel | None:
        """Returns the model of a training that is finished, else None.

        Raises:
            ConfigurationError: the folder holds one training.
        """
        if not (self.folder / MODEL).exists():
            return None
        model = TrainedModel.load(self.folder)
        before = {
            "space": model.space.name,
            "architecture_id": model.architecture_id,
            "recipe": model.recipe,
            "from": model.weights_from,
            "data": _data(model.data, model.data.digests),
        }
        checkpoint.check_origin(self.folder, before, self.plan.origin)
        return model

    def check(self) -> None:
        """Called before anything is trained or written.

        Raises:
            ConfigurationError: the folder holds one training, a fresh one could not begin with
                the weights of the plan, or a tracker is unknown or lacks its library.
        """
        plan, cpu = self.plan, torch.device("cpu")
        if self.finished() is None and checkpoint.read(self.folder, plan.origin, cpu) is None:
            beginning(plan.source, plan.subject, plan.setup)
        if self.finished() is None:
            warn(self._followed().notices)

    def _followed(self) -> Followed:
        """Returns the trackers of this training."""
        setup = self.plan.setup
        steps = len(setup.batches("train", setup.train))
        return Followed(self.folder, self.plan.trackers, steps)

    def run(self, context: EvaluationContext) -> TrainedModel:
        """Trains to the end, from the checkpoint if there is one; returns the model.

        Raises:
            StopRequested: the user asked to stop; the checkpoint is written.
            DivergenceError: the loss is not finite.
        """
        plan = self.plan
        setup = plan.setup.with_seed(self.seed, context)
        name = f"seed {self.seed}"
        training = setup.training(plan.subject.architecture, name, self.turn)
        state = checkpoint.read(self.folder, plan.origin, setup.execution.device)
        if state is None:
            beginning(plan.source, plan.subject, setup)(training.network)
        else:
            training.load_state_dict(state)
        self._rewrite_log(training)
        followed, accuracies = self._followed(), None
        followed.begin({**plan.origin, "seed": self.seed}, training.records)

        def after(record: EpochRecord) -> None:
            self._after(training, record)
            followed.epoch(record)

        try:
            training.until(setup.recipe.epochs, after)
            training.choose()
            accuracies = setup.measured(training)
        except StopRequested:
            checkpoint.write(self.folder, training.state_dict(), plan.origin)
            raise StopRequested(
                f"The training of seed {self.seed} stopped after {training.epochs} of "
                f"{setup.recipe.epochs} epochs, and {self.folder} keeps its state. The same "
                f"command goes on from there: `{plan.command}`."
            ) from None
        finally:
            followed.end(training.epochs, accuracies)
        self.images = (training.images[0], training.images[1])
        model = self._model(setup, training, accuracies).save(self.folder, training.trained)
        (self.folder / checkpoint.NAME).unlink(missing_ok=True)
        return model

    def _after(self, training: Training, record: EpochRecord) -> None:
        """Called after each epoch: stores the state if it is time, then logs the epoch."""
        every, last = self.plan.checkpoint_every, self.plan.setup.recipe.epochs
        if record.epoch % every == 0 or record.epoch == last:
            checkpoint.write(self.folder, training.state_dict(), self.plan.origin)
        with open(self.folder / LOG, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")

    def _rewrite_log(self, training: Training) -> None:
        """Writes the epochs that the training has behind it, and no later ones, to the log."""
        lines = "".join(json.dumps(asdict(record)) + "\n" for record in training.records)
        write_atomically(self.folder / LOG, lines.encode())

    def _model(
        self, setup: TrainingSetup, training: Training, accuracies: dict[str, float]
    ) -> TrainedModel:
        """Returns the description of the trained network."""
        subject, task = self.plan.subject, setup.context.task
        with torch.device("meta"):
            counted = without_auxiliary(setup.space.network(subject.architecture, task))
        augmentation = setup.train.augmentation
        return TrainedModel.model_validate(
            {
                "nastk": nastk.__version__,
                "space": {"name": subject.space.name, "options": dict(subject.space.options)},
                "architecture": setup.context.space.to_text(subject.architecture),
                "architecture_id": subject.architecture.id,
                "network": setup.recipe.network,
                "classes": task.labels or (None,) * task.classes,
                "image": {
                    "channels": task.channels,
                    "height": task.height,
                    "width": task.width,
                    **asdict(setup.train.preparation),
                },
                "mean": augmentation.mean,
                "std": augmentation.std,
                "data": {
                    "name": subject.data.name,
                    "options": dict(subject.data.options),
                    "digests": self.plan.origin["data"]["digests"],
                },
                "recipe": self.plan.recipe,
                "seed": self.seed,
                "from": self.plan.source,
                "epochs": training.epochs,
                "train_loss": training.loss,
                "valid_accuracy": accuracies.get("valid"),
                "test_accuracy": accuracies.get("test"),
                "parameters": parameters(counted),
                "multiply_adds": multiply_adds(counted, task.shape),
                "images": training.images[1],
                "seconds": training.seconds,
                "command": self.plan.command,
                "environment": environment(setup),
            }
        )


def _data(data: Any, digests: dict[str, str] | None) -> dict[str, Any]:
    """Returns what a training's images are; where their files lie does not matter."""
    options = {name: value for name, value in data.options.items() if name not in PLACES}
    return {"name": data.name, "options": options, "digests": digests}


def environment(setup: TrainingSetup) -> dict[str, Any]:
    """Returns versions and machine on which a training ran, as far as results depend on them."""
    device = setup.execution.device
    return {
        "nastk": nastk.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": "bf16" if setup.execution.bf16 else "fp32",
        "threads": torch.get_num_threads(),
    }
