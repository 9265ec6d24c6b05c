"""nastk as a search runs it: a trainer, its branch and its probe, by public interfaces alone.

What is timed is `Ours.step` (a weight step of the one trainer, with all its bookkeeping) and what
the probe answers. Speed-ups inside nastk therefore show here without a change.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nastk import (
    Architecture,
    ArchitectureUpdater,
    Batch,
    Execution,
    Mixture,
    Probe,
    SearchSpace,
    Stream,
    Task,
    Trainer,
    TrainerOptions,
    catalogue,
)

ENDLESS = 1_000_000
"""Weight steps of an epoch here: more than any measurement takes."""


class Given(Stream):
    """A stream that gives the same few batches again and again.

    Example: `Given([batch]).at(7)`
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches
        self.images = ENDLESS * len(batches[0].labels)

    def __len__(self) -> int:
        return ENDLESS

    def at(self, step: int) -> Batch:
        """See `Stream.at`."""
        return self.batches[step % len(self.batches)]

    def once(self) -> Iterator[Batch]:
        """See `Stream.once`: each of the batches."""
        return iter(self.batches)

    def view(
        self, name: str, batch_size: int | None = None, augment: bool | None = None
    ) -> "Given":
        """See `Stream.view`: there is no other order."""
        return self


class Told(ArchitectureUpdater):
    """Trains one mixture, the softmax of `alpha`; decides nothing.

    `alpha` may carry gradient, and then gets it from every weight step. Where `path` is set, that
    architecture is trained instead.

    Example: `Told(space, None, rng).alpha = torch.zeros(28, 7, requires_grad=True)`
    """

    name, summary = "told", "trains the mixture it is given"

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: equal weights."""
        self.alpha: Tensor = torch.zeros(self.space.full().mask.shape)
        self.path: Architecture | None = None

    def before_step(self, probe: Probe, batch: Batch) -> None:
        """Called once before every weight step: last step's gradient of alpha is done with."""
        self.alpha.grad = None

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: the softmax of alpha, or the path."""
        if self.path is not None:
            return [Mixture.of(self.path)]
        return [Mixture.softmax(self.alpha, probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called at the end: the space's rule on alpha."""
        return self.space.decide(self.alpha, probe.subspace)


class Ours:
    """One branch of a search, its trainer and its probe.

    Args:
        space, task: what is searched, on images of what form.
        batches: what the trainer trains on, and the updater learns from.
        execution: precision and threads.
        updater, options: by name from the catalogue; without a name, `Told`.
        graphs: whether passes are replayed as CUDA graphs, where there is a device.

    Example:
        ours = Ours(space, task, [batch], Execution.choose("cpu"))
        ours.step()
        losses = ours.losses([Mixture.uniform(space.full())], batch)
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Task,
        batches: Sequence[Batch],
        execution: Execution,
        updater: str | None = None,
        options: Mapping[str, Any] | None = None,
        graphs: bool = False,
    ) -> None:
        kind: type[ArchitectureUpdater] = (
            Told if updater is None else catalogue().load("updater", updater)
        )
        parsed = kind.parse_options(options)
        self.execution = execution
        self._given = Given(batches)
        settings = {
            "batch_size": len(batches[0].labels),
            "log_every": ENDLESS,
            "cuda_graphs": "on" if graphs else "off",
        }
        self.trainer = Trainer(
            space,
            task,
            lambda space, rng, device: kind(space, parsed, rng, device),
            self._given,
            self._given,
            TrainerOptions.model_validate(settings),
            execution,
        )
        self.branch = self.trainer.root()
        self.probe = self.trainer.probe(self.branch)
        self._moments = self.trainer.run([self.branch])

    @property
    def updater(self) -> Any:
        """The branch's updater."""
        return self.branch.updater

    def step(self) -> None:
        """One weight step of the trainer."""
        with self.execution.settings():
            next(self._moments)

    def show(self, batches: Sequence[Batch]) -> None:
        """Go on with other batches."""
        self._given.batches = batches

    def learn(self, train: Batch) -> None:
        """What the updater does before a weight step on `train`."""
        with self.execution.settings():
            self.updater.before_step(self.probe, train)

    def losses(
        self, mixtures: Iterable[Mixture], batch: Batch, frozen: bool = False
    ) -> list[float]:
        """The mean loss of each mixture on `batch`, as a search measures them."""
        # Only named where it is wanted: the probe's own default is part of what is measured.
        norms: dict[str, Any] = {"norms": "frozen"} if frozen else {}
        with self.execution.settings():
            return list(self.probe.scores(mixtures, [batch], of="loss", **norms))
