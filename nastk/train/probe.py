"""`Probe`: an updater's only access to the supernet; it measures and changes nothing.

A probe computes losses, gradients, accuracies of many mixtures, and the weights after a step that
is not taken. Weights, buffers, training mode and random streams are the same before and after a
measurement, and every image of a forward or backward pass is charged to the run's cost.

Guarantee on the test split: no result of a probe, and neither the space, the batches nor the plan
that an updater receives, contains a test image, and no limit uses a test metric. So test images
cannot influence a method that uses only what it receives. No guarantee: Python has no private
attributes, so code can reach the run through those of a probe, or can open the data source itself;
and weights and batches are the run's own tensors, so code that writes to them changes the run.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import nullcontext
from copy import copy
from typing import Any, Literal, Self, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nastk.base.errors import ConfigurationError, PluginError, StopRequested
from nastk.base.events import UpdaterReported, UpdaterWorking
from nastk.base.seeds import seeded
from nastk.base.values import as_json
from nastk.data.streams import Batch, Stream
from nastk.nn.norms import Frozen
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.spaces.subspace import Subspace
from nastk.spaces.supernet import Answers, Measure
from nastk.train.context import RunContext
from nastk.train.criterion import Valued
from nastk.train.weights import NamedWeights, Weights

Item = TypeVar("Item")

NormMode = Literal["batch", "frozen"]
"""Statistics that norms use: those of the batch under each mixture, or under the first one."""

MOST_AT_ONCE = 64
"""Most mixtures that a supernet may measure in one call."""


class Probe:
    """Measures the supernet of a branch for its updater.

    Example, one first-order DARTS step:

        loss = probe.loss(Mixture.softmax(alpha, probe.subspace), probe.valid.at(probe.step))
        (gradient,) = torch.autograd.grad(loss, alpha)
    """

    def __init__(
        self,
        branch: Weights,
        train: Stream,
        valid: Stream | None,
        epochs: int,
        context: RunContext,
        measuring: Callable[[Tensor], Answers] | None = None,
        updater: str = "",
        criterion: Callable[[Architecture, "Probe"], Valued] | None = None,
    ) -> None:
        self._branch, self._train, self._valid = branch, train, valid
        self._ledger, self._emit = context.ledger, context.emit
        self._stopping = context.stopping
        self._measuring = measuring or branch.measuring
        self._updater, self._criterion = updater, criterion
        self._begin, self._ahead, self.epochs = 0, 0, epochs

    def with_clock(self, begin: int, epochs: int, ahead: int = 0) -> Self:
        """Returns a probe for an inner updater, whose epochs and steps count from epoch `begin`.

        Its run lasts `epochs` epochs, and its `step` is `ahead` steps in front. It measures the
        same weights at the same cost; its reports are recorded under the run's own epochs.

        Example: `inner.after_epoch(probe.with_clock(begin=30, epochs=30))`
        """
        inner = copy(self)
        inner._begin, inner._ahead = self._begin + begin, self._ahead + ahead
        inner.epochs = epochs
        return inner

    @property
    def subspace(self) -> Subspace:
        """The operations that are alive in this branch."""
        return self._branch.subspace

    @property
    def epoch(self) -> int:
        """Number of finished epochs of this branch (0 during the first)."""
        return self._branch.epoch - self._begin

    @property
    def step(self) -> int:
        """Number of weight steps taken in this branch."""
        return self._branch.step - self._begin * len(self._train) + self._ahead

    @property
    def progress(self) -> float:
        """Share of the run's weight steps that this branch has taken, 0 to 1."""
        return self.step / max(self.epochs * len(self._train), 1)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the current weight step."""
        return float(self._branch.optimizer.param_groups[0]["lr"])

    @property
    def rng(self) -> torch.Generator:
        """The random stream of the branch, on the CPU; saved with every checkpoint."""
        return self._branch.rng

    @property
    def train(self) -> Stream:
        """The images that train the weights."""
        return self._train

    @property
    def valid(self) -> Stream:
        """The images that updaters learn from; updaters that need them declare it in `needs`."""
        if self._valid is None:
            raise ConfigurationError(
                "This run has no valid split (train_fraction is 1). "
                "Use -d train_fraction=0.5, or a single-level updater."
            )
        return self._valid

    @property
    def has_valid(self) -> bool:
        """True if the run has a valid split."""
        return self._valid is not None

    @property
    def weights(self) -> dict[str, Tensor]:
        """The supernet's parameters by name, detached; do not write to them."""
        return {name: weight.detach() for name, weight in self._branch.supernet.named_parameters()}

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Yields (edge, operation, module) for every cell, to hook operations or find weights."""
        return self._branch.supernet.operations()

    def logits(
        self,
        mixture: Mixture,
        images: Float[Tensor, "batch channels height width"],
        weights: NamedWeights | None = None,
        exact: bool = False,
    ) -> Float[Tensor, "batch classes"]:
        """Returns the logits under `mixture`, with the supernet's own weights or with `weights`.

        `exact` avoids reduced precision, for differences of nearly equal numbers. If all `weights`
        are in double precision, the whole pass is computed in double precision.
        """
        answers = self._branch.one_by_one(images, weights, exact)
        (logits,) = self._compute(answers, [mixture], images)
        if logits.requires_grad:
            # The caller runs the backward pass, so a hook charges its cost.
            logits.register_hook(self._charge_backward)  # type: ignore[no-untyped-call]
        return logits

    def loss(
        self,
        mixture: Mixture,
        batch: Batch,
        weights: NamedWeights | None = None,
        exact: bool = False,
    ) -> Float[Tensor, ""]:
        """Returns the task's objective on `batch`, which a weight step would minimise.

        It is the mean cross-entropy, with label smoothing and class weights if the run has them,
        for train and valid batches alike. Differentiable in `mixture.weights` and in `weights`.
        """
        logits = self.logits(mixture, batch.images, weights, exact)
        return self._branch.objective.loss(logits, batch.labels)

    def gradients(
        self,
        mixture: Mixture,
        batch: Batch,
        of: Iterable[str] | None = None,
        weights: NamedWeights | None = None,
    ) -> dict[str, Tensor]:
        """Returns the loss's gradient for the weights named in `of` (None: all), zero if unused."""
        gradients = self._gradients(mixture, batch, of, weights)
        at = self.weights if weights is None else weights
        return {
            name: torch.zeros_like(at[name]) if gradient is None else gradient
            for name, gradient in gradients.items()
        }

    def lookahead(
        self, mixture: Mixture, batch: Batch, weights: NamedWeights | None = None
    ) -> dict[str, Tensor]:
        """Returns the weights after a step of the trainer's optimiser on `batch`, not taken.

        Gradients are not clipped (DARTS, equation 6). Weights that `mixture` does not use behave as
        in a real step: they do not change unless the trainer's `resting` is off. The step starts
        from the supernet's weights or from `weights` (all of them), in whose precision it is
        computed. The result is detached; pass it to `loss` or `gradients` as `weights`.
        """
        gradients = self._gradients(mixture, batch, weights=weights)
        reached = {name: grad for name, grad in gradients.items() if grad is not None}
        return self._branch.stepped(reached, weights)

    def scores(
        self,
        mixtures: Iterable[Mixture],
        batches: Iterable[Batch],
        of: Literal["accuracy", "loss"] = "accuracy",
        weights: NamedWeights | None = None,
        norms: NormMode = "batch",
    ) -> Iterator[float]:
        """Yields each mixture's accuracy (0..1) or mean cross-entropy over `batches`, in order.

        The cross-entropy is plain, without the smoothing and class weights of training.

        `mixtures` are read lazily, so a caller may stop early; if they are a sequence, the supernet
        may measure several at once. Several mixtures need `batches` that can be iterated several
        times, such as a list. `norms` use the statistics of the batch, or (`frozen`) those of each
        batch under the first mixture. The supernet's weights must not change between two results.
        """
        # Values that mixtures share are cached for a single batch; for more they need much memory.
        single = batches if isinstance(batches, Sequence) and len(batches) == 1 else ()
        caching = bool(single) and weights is None
        measures: dict[int, Measure] = {}
        objective = self._branch.objective
        for group in self._groups(mixtures, single if caching else (), norms):
            totals: Tensor | None = None
            images = 0
            for number, batch in enumerate(batches):
                # A generator suspends at `yield`, so gradients are disabled here and not around it.
                with torch.no_grad():
                    measure = measures.get(number)
                    if measure is None:
                        measure = self._measure(batch, weights, norms, caching)
                        if caching or norms == "frozen":
                            measures[number] = measure
                    logits = measure(group)
                    values = [objective.total(output, batch.labels, of) for output in logits]
                    sums = torch.stack(values)  # mixtures of the group
                    totals = sums if totals is None else totals + sums
                images += len(batch.labels)
            yield from [0.0] * len(group) if totals is None else (totals / images).tolist()

    def correct(self, mixture: Mixture, batches: Iterable[Batch]) -> Bool[Tensor, "images"]:
        """Returns for each image of `batches`, in order: True if it is classified correctly."""
        return torch.cat([self.hits([mixture], batch)[0] for batch in batches])

    def hits(self, mixtures: Sequence[Mixture], batch: Batch) -> Bool[Tensor, "mixtures images"]:
        """Returns True where the supernet classifies an image of `batch` correctly; on the CPU."""
        with torch.no_grad():
            measure = self._measure(batch, None, "batch", len(mixtures) > 1)
            groups = self._groups(mixtures, [batch], "batch")
            outputs = [logits for group in groups for logits in measure(group)]
        objective, labels = self._branch.objective, batch.labels
        return torch.stack([objective.hits(logits, labels) for logits in outputs]).cpu()

    def accuracies(
        self,
        mixtures: Sequence[Mixture],
        batches: Iterable[Batch],
        message: str = "",
        total: int | None = None,
    ) -> list[float]:
        """Returns the accuracy (0..1) of each mixture over `batches`, which are iterated once.

        Only one batch is in memory at a time, since a split may not fit on the device. With a
        `message`, progress bars show the number of finished batches out of `total`.
        """
        hits, images = [0] * len(mixtures), 0
        for batch in self.announced(batches, message, total) if message else batches:
            size = len(batch.labels)
            # Summing counts is exact even if the batches differ in size.
            shares = self.scores(mixtures, [batch])
            hits = [n + round(share * size) for n, share in zip(hits, shares, strict=True)]
            images += size
        return [hit / max(images, 1) for hit in hits]

    def _groups(
        self, mixtures: Iterable[Mixture], batches: Sequence[Batch], norms: NormMode
    ) -> Iterator[Sequence[Mixture]]:
        """Yields the mixtures that are measured in one call; single ones without `batches`."""
        if not batches or not isinstance(mixtures, Sequence):
            yield from ([mixture] for mixture in mixtures)
            return
        supernet, images, start = self._branch.supernet, batches[0].images, 0
        while start < len(mixtures):
            rest = mixtures[start : start + MOST_AT_ONCE]
            # The first mixture sets the frozen statistics that the others use.
            alone = norms == "frozen" and start == 0
            number = 1 if alone else supernet.together(images, rest)
            yield rest[:number]
            start += number

    def _measure(
        self, batch: Batch, weights: NamedWeights | None, norms: NormMode, caching: bool
    ) -> Measure:
        """Returns a function from mixtures to their logits on the images of `batch`."""
        branch, images = self._branch, batch.images
        frozen = Frozen(branch.supernet) if norms == "frozen" else None
        inner = branch.one_by_one(images, weights)
        if caching:
            # A CUDA graph would use the statistics of the captured pass, not the frozen ones.
            inner = branch.measuring(images) if frozen else self._measuring(images)

        def measure(mixtures: Sequence[Mixture]) -> Sequence[Float[Tensor, "batch classes"]]:
            remark = "" if frozen is None else "frozen norms"
            with nullcontext() if frozen is None else frozen.applied():
                return self._compute(inner, mixtures, images, remark)

        return measure

    def evaluate(self, architecture: Architecture) -> Valued:
        """Returns what the evaluator of the updater's `criterion` says of an architecture.

        Its images are charged like the probe's own, and it has no test images.
        """
        if self._criterion is None:
            raise PluginError(f"{self._updater} evaluates and names no evaluator by `criterion`.")
        self._check_stop()
        return self._criterion(architecture, self)

    def announced(
        self, items: Iterable[Item], message: str, total: int | None = None, done: int = 0
    ) -> Iterator[Item]:
        """Yields `items`, and tells progress bars of every item that the caller has finished.

        `total` is their number if `items` has no length; `done` items were finished before.
        """
        number = (len(items) if isinstance(items, Sized) else 0) if total is None else total
        for position, item in enumerate(items, done + 1):
            yield item
            self.working(message, position, number)

    def working(self, message: str, done: int, total: int) -> None:
        """Tell progress bars that `done` of `total` pieces of a long computation are finished."""
        branch = self._branch
        self._emit(UpdaterWorking(branch.name, branch.epoch, branch.step, message, done, total))

    def report(self, topic: str, **values: Any) -> None:
        """Record JSON values, such as scores, in `events.jsonl` of the run.

        Numpy numbers and tensors are converted; None stands for a missing number.

        Raises:
            PluginError: JSON has no such value, for example NaN; names topic and value.
        """
        branch = self._branch
        where = f"What updater {self._updater!r} reports of {topic!r}"
        plain = {name: as_json(value, f"{where}, {name}") for name, value in values.items()}
        self._emit(UpdaterReported(branch.name, branch.epoch, branch.step, topic, plain))

    def _compute(
        self,
        answers: Answers,
        mixtures: Sequence[Mixture],
        images: Float[Tensor, "batch channels height width"],
        remark: str = "",
    ) -> Sequence[Float[Tensor, "batch classes"]]:
        """Returns `answers(mixtures)` and charges its cost; `remark` extends the strategy."""
        self._check_stop()
        # Operations that draw (noise) get the same random numbers for every mixture of a step, from
        # a stream of their own.
        with seeded(self.step, images.device):
            logits = answers(mixtures)
        parts = [answers.strategy] if answers.strategy != "plain" else []
        parts += ["stacked"] if len(mixtures) > 1 else []
        parts += [remark] if remark else []
        strategy = ", ".join(parts) or "plain"
        self._ledger.charge(forward=len(mixtures) * len(images), strategy=strategy)
        return logits

    def _check_stop(self) -> None:
        if self._stopping():
            raise StopRequested("The run was asked to stop while its updater was measuring.")

    def _gradients(
        self,
        mixture: Mixture,
        batch: Batch,
        of: Iterable[str] | None = None,
        weights: NamedWeights | None = None,
    ) -> dict[str, Tensor | None]:
        """Returns the loss's gradient by weight; None for a weight that `mixture` does not use."""
        parameters = dict(self._branch.supernet.named_parameters())
        at = (
            parameters
            if weights is None
            else {name: value.detach().requires_grad_() for name, value in weights.items()}
        )
        names = list(parameters) if of is None else list(of)
        loss = self.loss(mixture.detach(), batch, None if weights is None else at)
        gradients = torch.autograd.grad(loss, [at[name] for name in names], allow_unused=True)
        return self._branch.added_up(dict(zip(names, gradients, strict=True)), weights is None)

    def _charge_backward(self, gradient: Tensor) -> None:
        self._ledger.charge(backward=len(gradient))
