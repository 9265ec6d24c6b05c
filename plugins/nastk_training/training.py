"""A stand-alone network in training: `Training`, which can be paused and trained further.

A network may do two things more than a plain module. In training it may return `(logits, auxiliary
logits)` instead of logits. And it may have a number `drop_path`, the probability with which it
drops paths. Weights, batches, augmentation and dropped paths have their own named random streams,
so that several trainings may take turns; torch's global stream is restored after every call.
"""

import math
from contextlib import AbstractContextManager
from dataclasses import replace
from time import perf_counter

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nastk import Architecture, Batch, DivergenceError, EvaluationContext, Execution, Stream
from nastk.base import seed_of, seeded
from nastk_training.rates import rate
from nastk_training.recipe import Recipe

Logits = Float[Tensor, "batch classes"]
STEPS_PER_MESSAGE = 20
"""The number of weight steps between two progress messages."""


class Training:
    """A fresh network of `architecture`, trained by `recipe` on the batches of `train`.

    `epochs` is the number of finished epochs, `loss` the mean cross-entropy of the last epoch
    (without the auxiliary head's; NaN before the first), `seconds` the time of training and
    measuring. `turn` is for progress messages: the number of trainings of the same length before
    this one, and their total number.

    Example:
        training = Training(architecture, context, recipe, execution, batches)
        training.until(recipe.epochs)
        training.accuracy(valid)
    """

    def __init__(
        self,
        architecture: Architecture,
        context: EvaluationContext,
        recipe: Recipe,
        execution: Execution,
        train: Stream,
        name: str = "the network",
        turn: tuple[int, int] = (0, 1),
    ) -> None:
        self._run, self._recipe, self._execution = context.run, recipe, execution
        self._train, self._name, self._turn = train, name, turn
        objective = context.task.objective
        if recipe.label_smoothing is not None:
            objective = replace(objective, label_smoothing=recipe.label_smoothing)
        self._objective = objective
        self._seed = context.seed if recipe.seed is None else recipe.seed
        with self._random_stream("weights"):
            network = context.space.network(architecture, context.task)
        self.network: nn.Module = execution.place(network)
        self._optimizer = execution.sgd(self.network.parameters(), recipe)
        self.epochs = 0
        self.loss = math.nan
        self.seconds = 0.0

    def until(self, epochs: int) -> None:
        """Called to train until `epochs` epochs are done, from the present number on.

        Raises:
            DivergenceError: the loss is not finite; the error names the epoch and the rate.
            StopRequested: the user asked the run to stop.
        """
        began = perf_counter()
        while self.epochs < epochs:
            self._epoch(self.epochs)
            self.epochs += 1
        self.seconds += perf_counter() - began

    def accuracy(self, stream: Stream) -> float:
        """Called after training: returns the accuracy (0..1) on every image of `stream`.

        Raises:
            StopRequested: the user asked the run to stop.
        """
        began = perf_counter()
        self.network.eval()
        hits = torch.zeros((), dtype=torch.long, device=self._execution.device)
        images = 0
        for batch in stream.once():
            self._run.check()
            with torch.no_grad(), self._execution.autocast():
                hits += self._objective.hits(self.network(batch.images), batch.labels).sum()
            images += len(batch.labels)
        self._run.charge(images, 0)
        accuracy = int(hits) / images
        self.seconds += perf_counter() - began
        return accuracy

    def _epoch(self, epoch: int) -> None:
        """Trains one pass over the training images."""
        recipe, steps = self._recipe, len(self._train)
        learning_rate = rate(recipe, epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        if recipe.drop_path is not None and has_drop_path(self.network):
            self.network.drop_path = recipe.drop_path * epoch / recipe.epochs  # type: ignore[assignment]
        self.network.train()
        total = torch.zeros((), dtype=torch.float64, device=self._execution.device)
        images = 0
        for step, batch in enumerate(self._train.epoch(epoch), epoch * steps):
            self._run.check()
            total += self._step(batch, step) * len(batch.labels)
            images += len(batch.labels)
            if (step + 1) % STEPS_PER_MESSAGE == 0 or step + 1 == (epoch + 1) * steps:
                self._announce(epoch, step + 1, recipe.epochs * steps)
        self.loss = float(total) / images
        if not math.isfinite(self.loss):
            raise DivergenceError(
                f"The training loss of {self._name} is {self.loss} in epoch {epoch + 1} of "
                f"{recipe.epochs}, at learning rate {learning_rate:g}. Lower the learning_rate of "
                f"retrain (now {recipe.learning_rate:g} at the start) or set its gradient_clip."
            )

    def _step(self, batch: Batch, step: int) -> Float[Tensor, ""]:
        """Takes one weight step; returns the cross-entropy of the batch before it."""
        self._optimizer.zero_grad(set_to_none=True)
        with self._random_stream("noise", step):
            with self._execution.autocast():
                outputs = self.network(batch.images)
            loss, minimised = self._losses(outputs, batch.labels)
            minimised.backward()  # type: ignore[no-untyped-call]
        if self._recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.gradient_clip)
        self._optimizer.step()
        self._run.charge(len(batch.labels), len(batch.labels))
        return loss.detach()

    def _losses(
        self, outputs: Logits | tuple[Logits, Logits], labels: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Returns (the loss to report, the loss to minimise).

        The second adds the weighted loss of an auxiliary head, label smoothing and class weights.
        """
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        objective = self._objective
        loss = minimised = objective.loss(logits.float(), labels)
        if not objective.is_plain:
            loss = objective.reported(logits.detach().float(), labels)
        for auxiliary_logits in auxiliary:
            extra = objective.loss(auxiliary_logits.float(), labels)
            minimised = minimised + self._recipe.auxiliary_weight * extra
        return loss, minimised

    def _random_stream(self, *name: str | int) -> AbstractContextManager[None]:
        """Returns a context in which torch draws from this training's stream `name`."""
        return seeded(seed_of(self._seed, "retrain", *name), self._execution.device)

    def _announce(self, epoch: int, done: int, total: int) -> None:
        """Tells the run how many of `total` weight steps are done."""
        loss = f", loss {self.loss:.3f}" if self.epochs else ""
        message = f"training {self._name}, epoch {epoch + 1}/{self._recipe.epochs}{loss}"
        before, networks = self._turn
        self._run.tell(message, before * total + done, networks * total)


def has_drop_path(network: nn.Module) -> bool:
    """True if the network has a number `drop_path`, the probability of dropping a path."""
    return isinstance(getattr(network, "drop_path", None), float | int)
