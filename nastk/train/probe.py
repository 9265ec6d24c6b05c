"""All that an updater may see and do: `Probe` measures the supernet and changes nothing.

Losses, gradients, accuracies of many mixtures, the weights after a step not taken: whatever a
method wants to know it asks here. Weights, buffers, training mode and random streams are the same
before and after, and every image pushed through is charged to the run's cost.

What is promised of the test split: nothing that a probe gives, nor the space, the batches or the
plan that an updater is given, holds a test image, and no limit is of a test metric. So a method
that uses what it is given cannot be steered by test images, by mistake or by design. What is not
promised: Python hides nothing, so code that looks for the run behind a probe's private attributes,
or that opens the data source itself, does find them; and weights and batches are the run's own,
which code that writes to them would change.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import nullcontext
from copy import copy
from typing import Any, Literal, Self, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nastk.base.errors import ConfigurationError, StopRequested
from nastk.base.events import UpdaterReported, UpdaterWorking
from nastk.base.seeds import seeded
from nastk.base.values import as_json
from nastk.data.streams import Batch, Stream
from nastk.nn.norms import Frozen
from nastk.spaces.mixture import Mixture
from nastk.spaces.subspace import Subspace
from nastk.spaces.supernet import Answers, Measure
from nastk.train.context import RunContext
from nastk.train.weights import NamedWeights, Weights

Item = TypeVar("Item")

NormMode = Literal["batch", "frozen"]
"""Whose statistics norms use: the batch's under each mixture, or those under the first one."""

MOST_AT_ONCE = 64
"""Mixtures of a long list that a supernet is offered to measure together."""


class Probe:
    """Measures one branch's supernet for its updater.

    Example, one first-order DARTS step:

        loss = probe.loss(Mixture.softmax(alpha, probe.subspace), probe.valid.at(probe.step))
        (gradient,) = torch.autograd.grad(loss, alpha)
    """

    def __init__(
        self,
        own: Weights,
        train: Stream,
        valid: Stream | None,
        epochs: int,
        context: RunContext,
        measuring: Callable[[Tensor], Answers] | None = None,
        updater: str = "",
    ) -> None:
        self._own = own
        self._train = train
        self._valid = valid
        self._ledger, self._emit = context.ledger, context.emit
        self._stopping = context.stopping
        self._measuring = measuring or own.measuring
        self._updater = updater
        self._begin = self._ahead = 0
        self.epochs = epochs

    def with_clock(self, begin: int, epochs: int, ahead: int = 0) -> Self:
        """For an updater inside another: this probe with a clock that starts at epoch `begin`.

        The clock runs for `epochs`, and `ahead` weight steps in front. The probe measures the same
        weights at the same cost; what is reported through it is recorded under the run's epochs.

        Example: `inner.after_epoch(probe.with_clock(begin=30, epochs=30))`
        """
        other = copy(self)
        other._begin, other._ahead = self._begin + begin, self._ahead + ahead
        other.epochs = epochs
        return other

    @property
    def subspace(self) -> Subspace:
        """What is alive in this branch."""
        return self._own.subspace

    @property
    def epoch(self) -> int:
        """Epochs finished in this branch (0 during the first)."""
        return self._own.epoch - self._begin

    @property
    def step(self) -> int:
        """Weight steps taken in this branch."""
        return self._own.step - self._begin * len(self._train) + self._ahead

    @property
    def progress(self) -> float:
        """How much of the run this branch has behind it, 0 to 1."""
        return self.step / max(self.epochs * len(self._train), 1)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the current weight step."""
        return float(self._own.optimizer.param_groups[0]["lr"])

    @property
    def rng(self) -> torch.Generator:
        """The branch's own random stream, on the CPU; saved with every checkpoint."""
        return self._own.rng

    @property
    def train(self) -> Stream:
        """The images that train the weights."""
        return self._train

    @property
    def valid(self) -> Stream:
        """The images that updaters learn from; an updater that needs them says so in `needs`."""
        if self._valid is None:
            raise ConfigurationError(
                "This run has no valid split (train_fraction is 1). "
                "Use -d train_fraction=0.5, or a single-level updater."
            )
        return self._valid

    @property
    def has_valid(self) -> bool:
        """Whether the run holds out images to learn from."""
        return self._valid is not None

    @property
    def weights(self) -> dict[str, Tensor]:
        """The supernet's parameters by name, detached: read them, or compute others from them."""
        return {name: weight.detach() for name, weight in self._own.supernet.named_parameters()}

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """(edge, operation, module) of every cell's operations: to hook, to tell weights apart."""
        return self._own.supernet.operations()

    def logits(
        self,
        mixture: Mixture,
        images: Float[Tensor, "batch channels height width"],
        weights: NamedWeights | None = None,
        exact: bool = False,
    ) -> Float[Tensor, "batch classes"]:
        """The supernet's answer under `mixture`, with its own weights or with others.

        `exact` leaves reduced precision aside: for differences of nearly equal numbers. Other
        weights in double precision (all of them) have the whole pass computed in it.
        """
        (answer,) = self._answer(self._plain(images, weights, exact), [mixture], images)
        if answer.requires_grad:
            # The backward pass belongs to the caller; count it when its gradient comes by.
            answer.register_hook(self._charge_backward)  # type: ignore[no-untyped-call]
        return answer

    def loss(
        self,
        mixture: Mixture,
        batch: Batch,
        weights: NamedWeights | None = None,
        exact: bool = False,
    ) -> Float[Tensor, ""]:
        """What a weight step on `batch` would minimise: the task's objective.

        Mean cross-entropy, smoothed and weighted where the run says so, of train and valid batches
        alike. Differentiable in `mixture.weights` and in `weights`.
        """
        logits = self.logits(mixture, batch.images, weights, exact)
        return self._own.objective.loss(logits, batch.labels)

    def gradients(
        self,
        mixture: Mixture,
        batch: Batch,
        of: Iterable[str] | None = None,
        weights: NamedWeights | None = None,
    ) -> dict[str, Tensor]:
        """The loss's gradient for each weight named in `of` (None: all); zero where it has none."""
        found = self._reached(mixture, batch, of, weights)
        at = self.weights if weights is None else weights
        return {
            name: torch.zeros_like(at[name]) if gradient is None else gradient
            for name, gradient in found.items()
        }

    def lookahead(
        self, mixture: Mixture, batch: Batch, weights: NamedWeights | None = None
    ) -> dict[str, Tensor]:
        """The weights after one step of the trainer's own optimiser on `batch`, the step not taken.

        No clipping (DARTS, equation 6). Weights that `mixture` leaves out do what they do in a real
        step: they stay as they are, but where the trainer's `resting` is off. The step leaves from
        the supernet's weights or from others (all of them), in whose precision it is computed. The
        answer is detached; give it to `loss` or `gradients` as `weights`.
        """
        found = self._reached(mixture, batch, weights=weights)
        return self._own.stepped(
            {name: gradient for name, gradient in found.items() if gradient is not None}, weights
        )

    def scores(
        self,
        mixtures: Iterable[Mixture],
        batches: Iterable[Batch],
        of: Literal["accuracy", "loss"] = "accuracy",
        weights: NamedWeights | None = None,
        norms: NormMode = "batch",
    ) -> Iterator[float]:
        """Accuracy (0..1) or mean cross-entropy over `batches` for each mixture, in their order.

        The cross-entropy is that of labels as they are, whatever training minimises.

        Lazy: no mixture is asked for before its answer is, so a caller may stop early. Of a
        sequence, such as a list, the supernet may measure several at once. Several mixtures need
        `batches` that can be gone through several times, a list as well. `norms` use the statistics
        of the batch, or (`frozen`) those that each batch had under the first mixture. Between two
        answers the supernet's weights must stay as they are.
        """
        # What mixtures share is kept for one batch; kept for all, it would fill the memory.
        only = batches if isinstance(batches, Sequence) and len(batches) == 1 else ()
        keeping = bool(only) and weights is None
        measures: dict[int, Measure] = {}
        objective = self._own.objective
        for some in self._portions(mixtures, only if keeping else (), norms):
            totals: Tensor | None = None
            images = 0
            for number, batch in enumerate(batches):
                # A generator yields between items: switch gradients off here, not around it.
                with torch.no_grad():
                    measure = measures.get(number)
                    if measure is None:
                        measure = self._measure(batch, weights, norms, keeping)
                        if keeping or norms == "frozen":
                            measures[number] = measure
                    sums = (objective.total(each, batch.labels, of) for each in measure(some))
                    found = torch.stack(list(sums))
                    totals = found if totals is None else totals + found
                images += len(batch.labels)
            yield from [0.0] * len(some) if totals is None else (totals / images).tolist()

    def correct(self, mixture: Mixture, batches: Iterable[Batch]) -> Bool[Tensor, "images"]:
        """Which images of `batches`, in their order, the supernet gets right under `mixture`."""
        return torch.cat([self.hits([mixture], batch)[0] for batch in batches])

    def hits(self, mixtures: Sequence[Mixture], batch: Batch) -> Bool[Tensor, "mixtures images"]:
        """Which images the supernet gets right under each; what several share is computed once."""
        with torch.no_grad():
            measure = self._measure(batch, None, "batch", len(mixtures) > 1)
            portions = self._portions(mixtures, [batch], "batch")
            answers = [answer for some in portions for answer in measure(some)]
        objective, labels = self._own.objective, batch.labels
        return torch.stack([objective.hits(answer, labels) for answer in answers]).cpu()

    def accuracies(
        self,
        mixtures: Sequence[Mixture],
        batches: Iterable[Batch],
        message: str = "",
        total: int | None = None,
    ) -> list[float]:
        """Accuracy (0..1) of each mixture over `batches`, which are made once and seen by all.

        One batch is held at a time, since a whole split need not fit on the device. With a
        `message`, progress bars hear of each of the `total` batches.
        """
        hits, images = [0] * len(mixtures), 0
        for batch in self.announced(batches, message, total) if message else batches:
            size = len(batch.labels)
            # Counts, so that the sum over batches is exact whatever their sizes.
            shares = self.scores(mixtures, [batch])
            hits = [old + round(share * size) for old, share in zip(hits, shares, strict=True)]
            images += size
        return [hit / max(images, 1) for hit in hits]

    def _portions(
        self, mixtures: Iterable[Mixture], batches: Sequence[Batch], norms: NormMode
    ) -> Iterator[Sequence[Mixture]]:
        """What is measured at once: one mixture, or several where the batch is one for all."""
        if not batches or not isinstance(mixtures, Sequence):
            yield from ([each] for each in mixtures)
            return
        supernet, images, place = self._own.supernet, batches[0].images, 0
        while place < len(mixtures):
            rest = mixtures[place : place + MOST_AT_ONCE]
            # The first mixture has the statistics that are frozen.
            alone = norms == "frozen" and place == 0
            number = 1 if alone else supernet.together(images, rest)
            yield rest[:number]
            place += number

    def _measure(
        self, batch: Batch, weights: NamedWeights | None, norms: NormMode, keeping: bool
    ) -> Measure:
        """What answers for many mixtures on the images of `batch`."""
        own, images = self._own, batch.images
        frozen = Frozen(own.supernet) if norms == "frozen" else None
        inner = self._plain(images, weights)
        if keeping:
            # A graph would have the statistics of the pass that was recorded.
            inner = own.measuring(images) if frozen else self._measuring(images)

        def measure(mixtures: Sequence[Mixture]) -> Sequence[Float[Tensor, "batch classes"]]:
            word = "" if frozen is None else "frozen norms"
            with nullcontext() if frozen is None else frozen.applied():
                return self._answer(inner, mixtures, images, word)

        return measure

    def _plain(
        self,
        images: Float[Tensor, "batch channels height width"],
        weights: NamedWeights | None = None,
        exact: bool = False,
    ) -> Answers:
        """One forward pass for each mixture."""
        return Answers(
            lambda mixtures: [self._own.logits(each, images, weights, exact) for each in mixtures]
        )

    def announced(
        self, items: Iterable[Item], message: str, total: int | None = None, done: int = 0
    ) -> Iterator[Item]:
        """`items` one by one; progress bars hear of each when the caller has finished with it.

        `total` is their number, where `items` have no length; `done` were finished before.
        """
        number = (len(items) if isinstance(items, Sized) else 0) if total is None else total
        for place, item in enumerate(items, done + 1):
            yield item
            self.working(message, place, number)

    def working(self, message: str, done: int, total: int) -> None:
        """Tell progress bars that piece `done` of `total` of something long is finished."""
        own = self._own
        self._emit(UpdaterWorking(own.name, own.epoch, own.step, message, done, total))

    def report(self, topic: str, **values: Any) -> None:
        """Put JSON values into `events.jsonl`, the run's record, e.g. scores, standard errors.

        Numbers of numpy and tensors will do; None stands for a number that there is not.

        Raises:
            PluginError: a value that JSON cannot hold, such as NaN; names topic and value.
        """
        own = self._own
        where = f"What updater {self._updater!r} reports of {topic!r}"
        plain = {name: as_json(value, f"{where}, {name}") for name, value in values.items()}
        self._emit(UpdaterReported(own.name, own.epoch, own.step, topic, plain))

    def _answer(
        self,
        answers: Answers,
        mixtures: Sequence[Mixture],
        images: Float[Tensor, "batch channels height width"],
        word: str = "",
    ) -> Sequence[Float[Tensor, "batch classes"]]:
        """What `answers` says of `images`, charged; `word` adds to how."""
        if self._stopping():
            raise StopRequested("The run was asked to stop while its updater was measuring.")
        # An operation that draws (noise) draws the same for every mixture of a step, and nobody
        # else's numbers.
        with seeded(self.step, images.device):
            found = answers(mixtures)
        words = [answers.strategy] if answers.strategy != "plain" else []
        words += ["stacked"] if len(mixtures) > 1 else []
        words += [word] if word else []
        strategy = ", ".join(words) or "plain"
        self._ledger.charge(forward=len(mixtures) * len(images), strategy=strategy)
        return found

    def _reached(
        self,
        mixture: Mixture,
        batch: Batch,
        of: Iterable[str] | None = None,
        weights: NamedWeights | None = None,
    ) -> dict[str, Tensor | None]:
        """The loss's gradient for each named weight; None for one that `mixture` leaves out."""
        live = dict(self._own.supernet.named_parameters())
        at = (
            live
            if weights is None
            else {name: value.detach().requires_grad_() for name, value in weights.items()}
        )
        names = list(live) if of is None else list(of)
        loss = self.loss(mixture.detach(), batch, None if weights is None else at)
        found = torch.autograd.grad(loss, [at[name] for name in names], allow_unused=True)
        return dict(zip(names, found, strict=True))

    def _charge_backward(self, gradient: Tensor) -> None:
        self._ledger.charge(backward=len(gradient))
