"""One stand-alone network in training: `Training`, which can be stopped and trained on.

It asks two things of a network, both optional: in training it may answer `(logits, auxiliary
logits)` instead of logits, and it may have a number `drop_path`, the probability with which it
drops paths. Weights, batches, augmentation and dropped paths each have a named random stream, so
several trainings may take turns; torch's global stream is as it was after every call.
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
from nastk_evaluators.rates import rate
from nastk_evaluators.recipe import Recipe

Logits = Float[Tensor, "batch classes"]
TOLD = 20
"""Weight steps between two messages to the caller."""


class Training:
    """A fresh network of `architecture`, trained by `recipe` on the batches of `train`.

    `epochs` are done, `loss` is the mean cross-entropy of the last of them (without the auxiliary
    head's; NaN before the first), `seconds` what training and measuring took. `turn` says how many
    trainings of the same length come before this one, and how many there are, for who watches.

    Example:
        training = Training(architecture, setting, recipe, execution, batches)
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
        self._caller, self._recipe, self._execution = context.run, recipe, execution
        self._train, self._name, self._turn = train, name, turn
        own = context.task.objective
        smoothing = recipe.label_smoothing
        self._objective = own if smoothing is None else replace(own, label_smoothing=smoothing)
        self._seed = context.seed if recipe.seed is None else recipe.seed
        with self._own_randomness("weights"):
            network = context.space.network(architecture, context.task)
        self.network: nn.Module = execution.place(network)
        self._optimizer = execution.sgd(self.network.parameters(), recipe)
        self.epochs = 0
        self.loss = math.nan
        self.seconds = 0.0

    def until(self, epochs: int) -> None:
        """Called to train until so many epochs are done; goes on from those that are.

        Raises:
            DivergenceError: a loss that is not finite; names the epoch and the learning rate.
            StopRequested: the user asked the run to stop.
        """
        began = perf_counter()
        while self.epochs < epochs:
            self._epoch(self.epochs)
            self.epochs += 1
        self.seconds += perf_counter() - began

    def accuracy(self, stream: Stream) -> float:
        """Called after training: the share (0..1) of `stream`'s images, each once, that is right.

        Raises:
            StopRequested: the user asked the run to stop.
        """
        began = perf_counter()
        self.network.eval()
        hits = torch.zeros((), dtype=torch.long, device=self._execution.device)
        images = 0
        for batch in stream.once():
            self._caller.check()
            with torch.no_grad(), self._execution.autocast():
                hits += self._objective.hits(self.network(batch.images), batch.labels).sum()
            images += len(batch.labels)
        self._caller.charge(images, 0)
        found = int(hits) / images
        self.seconds += perf_counter() - began
        return found

    def _epoch(self, epoch: int) -> None:
        """One pass over the training images."""
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
            self._caller.check()
            total += self._step(batch, step) * len(batch.labels)
            images += len(batch.labels)
            if (step + 1) % TOLD == 0 or step + 1 == (epoch + 1) * steps:
                self._tell(epoch, step + 1, recipe.epochs * steps)
        self.loss = float(total) / images
        if not math.isfinite(self.loss):
            raise DivergenceError(
                f"The training loss of {self._name} is {self.loss} in epoch {epoch + 1} of "
                f"{recipe.epochs}, at learning rate {learning_rate:g}. Lower the learning_rate of "
                f"retrain (now {recipe.learning_rate:g} at the start) or set its gradient_clip."
            )

    def _step(self, batch: Batch, step: int) -> Float[Tensor, ""]:
        """One weight step; the cross-entropy of the batch before it."""
        self._optimizer.zero_grad(set_to_none=True)
        with self._own_randomness("noise", step):
            with self._execution.autocast():
                answer = self.network(batch.images)
            loss, minimised = self._losses(answer, batch.labels)
            minimised.backward()  # type: ignore[no-untyped-call]
        if self._recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.gradient_clip)
        self._optimizer.step()
        self._caller.charge(len(batch.labels), len(batch.labels))
        return loss.detach()

    def _losses(
        self, answer: Logits | tuple[Logits, Logits], labels: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """What is reported, and what is minimised: the objective, with an auxiliary head's."""
        logits, *auxiliary = answer if isinstance(answer, tuple) else (answer,)
        objective = self._objective
        loss = minimised = objective.loss(logits.float(), labels)
        if not objective.is_plain:
            loss = objective.reported(logits.detach().float(), labels)
        for each in auxiliary:
            extra = objective.loss(each.float(), labels)
            minimised = minimised + self._recipe.auxiliary_weight * extra
        return loss, minimised

    def _own_randomness(self, *name: str | int) -> AbstractContextManager[None]:
        return seeded(seed_of(self._seed, "retrain", *name), self._execution.device)

    def _tell(self, epoch: int, done: int, total: int) -> None:
        seen = f", loss {self.loss:.3f}" if self.epochs else ""
        message = f"training {self._name}, epoch {epoch + 1}/{self._recipe.epochs}{seen}"
        before, networks = self._turn
        self._caller.tell(message, before * total + done, networks * total)


def has_drop_path(network: nn.Module) -> bool:
    """Whether the network drops paths in training, with a probability that can be set."""
    return isinstance(getattr(network, "drop_path", None), float | int)
