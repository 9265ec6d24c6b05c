"""A stand-alone network in training: `Training`, which can be paused, stored and trained further.

A network may do two things more than a plain module. In training it may return `(logits, auxiliary
logits)` instead of logits. And it may have a number `drop_path`, the probability with which it
drops paths. Weights, batches, augmentation and dropped paths have their own named random streams,
which depend on the seed and the step alone, so that several trainings may take turns and a stored
one goes on to the same bits; torch's global stream is restored after every call.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nastk import Architecture, Batch, DivergenceError, EvaluationContext, Execution, Stream
from nastk.base import seed_of, seeded
from nastk_training.rates import rate
from nastk_training.recipe import Recipe
from nastk_training.treatment import Labels, Treatment, hits, losses

Logits = Float[Tensor, "batch classes"]
STEPS_PER_MESSAGE = 20
"""The number of batches between two progress messages."""


@dataclass(frozen=True)
class EpochRecord:
    """What is known of a finished epoch: a line of `log.jsonl`.

    `rate` is the learning rate of its first step, `loss` the mean cross-entropy, accuracies are
    fractions (`valid_accuracy` None where it was not measured), `seconds` count from the beginning
    of the training.
    """

    epoch: int
    rate: float
    loss: float
    train_accuracy: float
    valid_accuracy: float | None
    seconds: float


class Training:
    """A fresh network of `architecture`, trained by `recipe` on the batches of `train`.

    `epochs` is the number of finished epochs, `loss` the mean cross-entropy of the last epoch
    (without the auxiliary head's; NaN before the first), `seconds` the time of training and
    measuring, `images` what went forward and backward so far. `turn` is for progress messages: the
    number of trainings of the same length before this one, and their total number. `held_out` is
    measured after every `every` epochs; `treatment` is applied to every batch.

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
        treatment: Treatment | None = None,
        held_out: Stream | None = None,
        every: int = 0,
    ) -> None:
        self._run, self._recipe, self._execution = context.run, recipe, execution
        self._train, self._name, self._turn = train, name, turn
        self._treatment = None if treatment is None or treatment.is_idle else treatment
        self._held_out, self._every = held_out, every
        objective = context.task.objective
        if recipe.label_smoothing is not None:
            objective = replace(objective, label_smoothing=recipe.label_smoothing)
        self._objective = objective
        self._seed = context.seed if recipe.seed is None else recipe.seed
        with self._random_stream("weights"):
            network = context.space.network(architecture, context.task)
        self.network: nn.Module = placed(network, execution, recipe)
        self._optimizer = optimizer_of(self.network, execution, recipe)
        self._average = None
        if recipe.ema is not None:
            average = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        self.epochs = 0
        self.loss = math.nan
        self.seconds = 0.0
        self.images = [0, 0]
        self.records: list[EpochRecord] = []
        self._batch = 0
        self._sums: Tensor = torch.zeros(3, dtype=torch.float64, device=execution.device)
        self._best: dict[str, Any] | None = None

    @property
    def trained(self) -> nn.Module:
        """The network to measure and keep: the averaged one where the recipe averages."""
        return self.network if self._average is None else self._average.module

    def until(
        self, epochs: int, after_epoch: Callable[[EpochRecord], None] = lambda record: None
    ) -> None:
        """Called to train until `epochs` epochs are done, from the present place on.

        `after_epoch` is called with the record of each finished epoch.

        Raises:
            DivergenceError: the loss is not finite; the error names the epoch and the rate.
            StopRequested: the user asked the run to stop; the state is that after the last step.
        """
        while self.epochs < epochs:
            with self._timed():
                self._epoch(self.epochs)
                valid = self._measured(self.epochs + 1)
            self.epochs += 1
            record = self._record(valid)
            self.records.append(record)
            self._announce(len(self._train))
            after_epoch(record)

    def rehearse(self, batches: int) -> int:
        """Called to time a training that is thrown away: trains on some batches of an epoch.

        Returns how many it were: at most those of an epoch.
        """
        self.network.train()
        self._set_rate(0, 0)
        number = min(batches, len(self._train))
        for step in range(number):
            self._optimizer.zero_grad(set_to_none=True)
            self._backward(self._train.at(step), step, 1)
            self._take_step()
        return number

    def choose(self) -> None:
        """Called after training: takes the weights of the best epoch, if the recipe wants them."""
        if self._recipe.keep_epoch == "best" and self._best is not None:
            self.trained.load_state_dict(self._best["weights"])

    def accuracy(self, stream: Stream) -> float:
        """Called after training: returns the accuracy (0..1) on every image of `stream`.

        Raises:
            StopRequested: the user asked the run to stop.
        """
        with self._timed():
            return self._accuracy(stream, self.epochs)

    def state_dict(self) -> dict[str, Any]:
        """Returns all that a training needs to go on to the same bits, as tensors and numbers."""
        return {
            "epochs": self.epochs,
            "batch": self._batch,
            "sums": self._sums,
            "loss": self.loss,
            "seconds": self.seconds,
            "images": list(self.images),
            "records": [vars(record) for record in self.records],
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "best": self._best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the state of a training of the same architecture, recipe and seed."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self.epochs, self._batch, self.loss = state["epochs"], state["batch"], state["loss"]
        self._sums = state["sums"].to(self._execution.device)
        self.seconds, self.images, self._best = state["seconds"], state["images"], state["best"]
        self.records = [EpochRecord(**record) for record in state["records"]]

    def _accuracy(self, stream: Stream, epoch: int) -> float:
        network = self.trained
        network.eval()
        right = torch.zeros((), dtype=torch.long, device=self._execution.device)
        images = 0
        with self._random_stream("measuring", epoch):
            for batch in stream.once():
                self._run.check()
                with torch.no_grad(), self._execution.autocast():
                    logits = network(self._laid_out(batch.images))
                right += self._objective.hits(logits, batch.labels).sum()
                images += len(batch.labels)
        self._charge(images, 0)
        return int(right) / images

    def _epoch(self, epoch: int) -> None:
        """Trains one pass over the training images, from the present batch on."""
        recipe, batches, group = self._recipe, len(self._train), self._recipe.accumulate
        self._set_rate(epoch, 0)
        if recipe.drop_path is not None and has_drop_path(self.network):
            self.network.drop_path = recipe.drop_path * epoch / recipe.epochs  # type: ignore[assignment]
        self.network.train()
        for place, batch in enumerate(self._train.epoch(epoch, self._batch), self._batch):
            if place % group == 0:
                # Only between weight steps, so that a stored state has no gradient.
                self._batch = place
                self._run.check()
                if recipe.rate_by == "step":
                    self._set_rate(epoch, place)
                self._optimizer.zero_grad(set_to_none=True)
            size = min(group, batches - place // group * group)
            self._sums = self._sums + self._backward(batch, epoch * batches + place, size)
            if (place + 1) % group == 0 or place + 1 == batches:
                self._take_step()
            if (place + 1) % STEPS_PER_MESSAGE == 0 and place + 1 < batches:
                self._announce(place + 1)
        # The epoch is over only when it was measured: a state stored before that measures again.
        self._batch = batches
        loss, _, images = self._sums.tolist()
        self.loss = loss / images
        if not math.isfinite(self.loss):
            raise DivergenceError(
                f"The training loss of {self._name} is {self.loss} in epoch {epoch + 1} of "
                f"{recipe.epochs}, at learning rate {self._rate:g}. Lower the learning_rate of "
                f"retrain (now {recipe.learning_rate:g} at the start) or set its gradient_clip."
            )

    def _backward(self, batch: Batch, step: int, size: int) -> Float64[Tensor, "3"]:
        """Adds the gradient of a batch, one of `size`; returns sums of loss, hits and images."""
        treat, execution = self._treatment, self._execution
        images, labels = batch if treat is None else treat(batch, step)
        with self._random_stream("noise", step):
            with execution.autocast():
                outputs = self.network(self._laid_out(images))
            logits, loss, minimised = self._losses(outputs, labels)
            (minimised if size == 1 else minimised / size).backward()  # type: ignore[no-untyped-call]
        count = len(labels)
        self._charge(count, count)
        right = hits(self._objective, logits, labels)
        sums = (loss * count).double(), right.double(), right.new_tensor(count).double()
        return torch.stack(sums)

    def _take_step(self) -> None:
        """Takes the weight step of the gradient that was added up."""
        if self._recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.gradient_clip)
        self._optimizer.step()
        if self._average is not None:
            self._average.update_parameters(self.network)

    def _losses(
        self, outputs: Logits | tuple[Logits, Logits], labels: Labels
    ) -> tuple[Logits, Float[Tensor, ""], Float[Tensor, ""]]:
        """Returns the logits, the loss to report and the loss to minimise.

        The second adds the weighted loss of an auxiliary head, label smoothing and class weights.
        """
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        loss, minimised = losses(self._objective, logits.float(), labels)
        for auxiliary_logits in auxiliary:
            _, extra = losses(self._objective, auxiliary_logits.float(), labels)
            minimised = minimised + self._recipe.auxiliary_weight * extra
        return logits.detach(), loss.detach(), minimised

    def _measured(self, epoch: int) -> float | None:
        """Returns the accuracy on the held-out images, if it is time; keeps the best weights."""
        recipe = self._recipe
        if self._held_out is None or not self._every:
            return None
        if epoch % self._every and epoch != recipe.epochs:
            return None
        accuracy = self._accuracy(self._held_out, epoch)
        better = self._best is None or accuracy > self._best["accuracy"]
        if recipe.keep_epoch == "best" and better:
            weights = self.trained.state_dict()
            copy = {name: value.detach().clone() for name, value in weights.items()}
            self._best = {"accuracy": accuracy, "epoch": epoch, "weights": copy}
        return accuracy

    def _record(self, valid: float | None) -> EpochRecord:
        """Returns the record of the epoch just finished, and begins the sums of the next one."""
        _, right, images = self._sums.tolist()
        self._sums, self._batch = torch.zeros_like(self._sums), 0
        first = rate(self._recipe, self.epochs - 1, 0, len(self._train))
        return EpochRecord(self.epochs, first, self.loss, right / images, valid, self.seconds)

    def _set_rate(self, epoch: int, place: int) -> None:
        self._rate = rate(self._recipe, epoch, place, len(self._train))
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate

    def _laid_out(self, images: Tensor) -> Tensor:
        return images if self._recipe.channels_last else images.contiguous()

    def _charge(self, forward: int, backward: int) -> None:
        self.images = [self.images[0] + forward, self.images[1] + backward]
        self._run.charge(forward, backward)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Context whose time is added to `seconds`, also where it ends in an error."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds += perf_counter() - began

    def _random_stream(self, *name: str | int) -> AbstractContextManager[None]:
        """Returns a context in which torch draws from this training's stream `name`."""
        return seeded(seed_of(self._seed, "retrain", *name), self._execution.device)

    def _announce(self, batches: int) -> None:
        """Tells the run how many batches are done, `batches` of them in the present epoch."""
        finished = batches == len(self._train)
        epoch = self.epochs if finished else self.epochs + 1
        message = f"training {self._name}, epoch {epoch}/{self._recipe.epochs}{self._words()}"
        before, networks = self._turn
        total = self._recipe.epochs * len(self._train)
        done = (epoch - 1) * len(self._train) + batches
        self._run.tell(message, before * total + done, networks * total)

    def _words(self) -> str:
        """Returns rate, loss and accuracies of the last finished epoch in words."""
        if not self.records:
            return ""
        last = self.records[-1]
        valid = "" if last.valid_accuracy is None else f", valid {last.valid_accuracy:.1%}"
        return (
            f", rate {last.rate:.4g}, loss {last.loss:.3f}, train {last.train_accuracy:.1%}{valid}"
        )


def placed(network: nn.Module, execution: Execution, recipe: Recipe) -> nn.Module:
    """Returns the network on the device, in the memory layout of the recipe."""
    network = execution.place(network)
    if recipe.channels_last:
        return network
    return network.to(memory_format=torch.contiguous_format)


def optimizer_of(network: nn.Module, execution: Execution, recipe: Recipe) -> torch.optim.Optimizer:
    """Returns the optimiser of the recipe for the network's weights."""
    if recipe.optimizer == "sgd":
        return execution.sgd(network.parameters(), recipe)
    return torch.optim.AdamW(
        network.parameters(),
        recipe.learning_rate,
        betas=(recipe.momentum, 0.999),
        weight_decay=recipe.weight_decay,
        fused=execution.device.type == "cuda",
    )


def has_drop_path(network: nn.Module) -> bool:
    """True if the network has a number `drop_path`, the probability of dropping a path."""
    return isinstance(getattr(network, "drop_path", None), float | int)
