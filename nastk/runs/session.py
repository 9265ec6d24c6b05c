"""`Session`: an updater driven from the caller's own training loop, by asking and telling.

    while not session.finished:
        for batch in session.batches():
            mixtures = session.ask(batch)          # what this step trains
            ...                                    # loss, gradients, optimiser: the caller's
            session.tell(loss)
        session.end_epoch()                        # the updater measures, and decides
    architecture = session.decision()

The updater gets the same questions in the same order, with the same probe, as in a search: both go
through `train/step.py` and the trainer's `close_epoch`. Next: `lightning_session.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from nastk.base.component import ComponentSpec
from nastk.base.cost import Cost
from nastk.base.errors import CheckpointError, ConfigurationError
from nastk.data.streams import Batch
from nastk.data.task import Task
from nastk.runs.assembly import Assembly, assemble
from nastk.runs.config import resolve_call
from nastk.runs.continuing import changed_setting
from nastk.runs.relay import Observer
from nastk.runs.warm_up import first_weights
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.spaces.pretrained import load_weights
from nastk.spaces.supernet import Supernet
from nastk.train.branch import Branch, copied
from nastk.train.context import RunContext
from nastk.train.leaf_selection import leaves_of
from nastk.train.step import asked, descend, told


class Session:
    """A search whose weight steps the caller takes; `nastk.session` makes it.

    Where the updater splits its branch or begins with fresh weights, `branch`, `supernet` and
    `optimizer` are other objects after `end_epoch`: take them from the session for every step.

    Example:
        session = nastk.session("toy", "shapley", "toy", epochs=20)
        while not session.finished:
            for batch in session.batches():
                loss = session.loss(batch, session.ask(batch))
                session.optimizer.zero_grad()
                loss.backward()
                session.descend()
                session.tell(loss)
            session.end_epoch()
    """

    def __init__(self, assembly: Assembly) -> None:
        self.assembly, self.trainer = assembly, assembly.trainer
        with assembly.execution.settings():
            self._branches = [self.trainer.root()]
        if (weights := assembly.config.weights) is not None:
            load_weights(self._branches[0].supernet, weights)
        self._question: tuple[Sequence[Mixture], int] | None = None
        self._settings = ExitStack()
        self._begin()

    # ------------------------------------------------------------------ what there is

    @property
    def branch(self) -> Branch:
        """The branch whose epoch it is; in a finished session the first one."""
        return self.trainer.next_branch(self._branches) or self._branches[0]

    @property
    def supernet(self) -> Supernet:
        """The network to train, called with images and a mixture."""
        return self.branch.supernet

    @property
    def optimizer(self) -> torch.optim.SGD:
        """The optimiser of its weights, at the learning rate of this epoch."""
        return self.branch.optimizer

    @property
    def epochs(self) -> int:
        """The number of epochs that the session lasts."""
        return self.assembly.plan.epochs

    @property
    def steps(self) -> int:
        """The number of weight steps of an epoch."""
        return self.assembly.plan.steps_per_epoch

    @property
    def done(self) -> int:
        """The number of steps taken in this epoch."""
        return self.branch.step - self.branch.epoch * self.steps

    @property
    def finished(self) -> bool:
        """True if no branch is left to train."""
        return self.trainer.next_branch(self._branches) is None

    @property
    def cost(self) -> Cost:
        """What the search has cost so far; the time of the caller's own code is not in it."""
        return self.trainer.ledger.cost()

    # ------------------------------------------------------------------ a step

    def batches(self) -> Iterator[Batch]:
        """Returns the batches that are left of this epoch, in the order of a search.

        There are none where the updater trains no supernet.
        """
        if not self.steps:
            return iter(())
        return self.trainer.train.epoch(self.branch.epoch, self.done)

    def ask(self, batch: Batch | tuple[Tensor, Tensor]) -> Sequence[Mixture]:
        """Called before a weight step, with its batch: returns the mixtures to train.

        The step is to minimise the mean of their losses. The weights of a mixture may require
        gradient, which the updater then reads in `tell`.

        Raises:
            ConfigurationError: the last step was not told, the epoch has had its steps, or the
                session is finished.
        """
        self._refuse_unless(not self.finished, "The session is finished. Ask for its decision.")
        self._refuse_open()
        self._refuse_unless(
            self.done < self.steps,
            f"This epoch has had its {self.steps} steps. Call end_epoch() after them; a loop over "
            "batches of your own needs as many as session.steps.",
        )
        batch = Batch(*batch)
        mixtures = asked(self.branch, self._probe, batch, self.trainer.ledger)
        self._question = mixtures, len(batch.labels)
        return mixtures

    def loss(self, batch: Batch | tuple[Tensor, Tensor], mixtures: Sequence[Mixture]) -> Tensor:
        """Returns the mean of the task's objective over `mixtures`, to be differentiated."""
        images, labels = batch
        objective = self.branch.objective
        losses = [objective.loss(self.branch.logits(one, images), labels) for one in mixtures]
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean()

    def descend(self) -> None:
        """Take a step of `optimizer` along the gradients, clipped as the trainer's options say.

        Whoever steps an optimiser of his own leaves this out; updaters that look a step ahead
        (second order) look along `optimizer`.
        """
        descend(self.branch, self.trainer.options.gradient_clip)

    def tell(self, loss: Tensor | float, correct: Tensor | int = 0) -> None:
        """Called after a weight step, while gradients are still set: the step was taken.

        Args:
            loss: the mean loss of the step, for events and to notice divergence.
            correct: the number of images that were classified correctly, for events.

        Raises:
            ConfigurationError: nothing was asked.
            DivergenceError: the loss is not finite.
        """
        if self._question is None:
            raise ConfigurationError("Nothing was asked. Call ask(batch) before tell(loss).")
        (mixtures, images), self._question = self._question, None
        branch, ledger = self.branch, self.trainer.ledger
        with ledger.phase("train"):
            ledger.charge(forward=images * len(mixtures), backward=images * len(mixtures))
        device = self.assembly.execution.device
        value, hits = torch.as_tensor(loss).detach(), torch.as_tensor(correct)
        told(branch, self._probe, (value.to(device), hits.to(device), images), ledger)
        self.trainer.note_step(branch, self.done)

    # ------------------------------------------------------------------ an epoch, and the end

    def end_epoch(self) -> bool:
        """Called after the steps of an epoch: the updater measures; True if training goes on.

        Raises:
            ConfigurationError: the epoch has not had its steps, or the last was not told.
        """
        self._refuse_unless(not self.finished, "The session is finished. Ask for its decision.")
        self._refuse_open()
        self._refuse_unless(
            self.done == self.steps,
            f"This epoch has had {self.done} of its {self.steps} steps. Ask and tell the others "
            "first; their number follows from the training images and the batch size.",
        )
        branch = self.branch
        with self.assembly.execution.settings(), self.trainer.ledger.phase("train"):
            children = self.trainer.close_epoch(branch)
        position = self._branches.index(branch)
        self._branches[position : position + 1] = children
        self._begin()
        return not self.finished

    def decision(self) -> Architecture:
        """Returns the architecture that the updater decides on, at the end or before.

        Of several leaves that which a search would choose decides.
        """
        leaves, chooser, trainer = leaves_of(self._branches), self.assembly.chooser, self.trainer
        branch = leaves[0]
        with self.assembly.execution.settings(), trainer.ledger.phase("evaluate"):
            if chooser.may_choose(leaves, trainer):
                branch, _ = chooser.choose(leaves, trainer)
            decided = branch.updater.architecture(trainer.probe(branch))
        return self.assembly.space.check(decided)

    # ------------------------------------------------------------------ stopping and going on

    def state_dict(self) -> dict[str, Any]:
        """Returns a copy of the whole state: tensors, numbers, texts, and containers of them.

        Raises:
            ConfigurationError: a step was asked and not yet told.
        """
        self._refuse_open()
        return {
            "config": self.assembly.config.model_dump(mode="json"),
            "branches": [copied(branch.state_dict()) for branch in self._branches],
            "cost": self.cost.to_json(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; the network and optimiser of the first branch stay the same objects.

        Raises:
            CheckpointError: the state is of a session with other settings.
        """
        if change := changed_setting(state["config"], self.assembly.config):
            raise CheckpointError(
                f"This state is of a session with other settings: {change}. Make the session with "
                "the settings that it had."
            )
        first, *others = state["branches"]
        self._question = None
        self._branches = [
            self._branches[0].load_state_dict(first),
            *(self.trainer.restore(one) for one in others),
        ]
        self.trainer.ledger.restore(Cost.from_json(state["cost"]))
        self._begin()

    def __enter__(self) -> Self:
        """Sets torch's switches (threads, determinism) as a search does, until the context ends."""
        self._settings.enter_context(self.assembly.execution.settings())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._settings.close()

    def _begin(self) -> None:
        """Begins the epoch of the branch whose turn it is."""
        if not self.finished:
            self.trainer.begin_epoch(self.branch)
        self._probe = self.trainer.probe(self.branch)

    def _refuse_open(self) -> None:
        """Raises a `ConfigurationError` where a step was asked and not told."""
        self._refuse_unless(
            self._question is None, "The last step was asked and not told. Call tell(loss) first."
        )

    @staticmethod
    def _refuse_unless(holds: bool, message: str) -> None:
        if not holds:
            raise ConfigurationError(message)


def session(
    space: str | ComponentSpec | Mapping[str, Any] | None = None,
    updater: str | ComponentSpec | Mapping[str, Any] | None = None,
    data: Any = None,
    *,
    epochs: int | None = None,
    supernet: Callable[[Task], Supernet] | None = None,
    observers: Iterable[Observer] = (),
    **request: Any,
) -> Session:
    """Returns a session: the updater of a search, driven from the caller's own training loop.

    Nothing is written. The session needs as much memory as a search, and no run folder.

    Args:
        space: the search space, as a name or `nastk.use(name, option=value)`.
        updater: the method, likewise.
        data: the images, likewise, or a pair (train, valid) of Python data sets; `digits` where
            None. Updaters measure on its valid split.
        epochs: short for `trainer={"epochs": epochs}`.
        supernet: makes the network that is trained and measured, from a task; None: the space does.
            Whatever its `forward(images, mixture)` computes is what updaters measure.
        observers: functions that are called with every event.
        **request: other keys of `SearchConfig`: seed, trainer, limits, ranking, device ...

    Raises:
        ConfigurationError: the request cannot be carried out.

    Example: `session = nastk.session("nasbench201", nastk.use("darts"), "digits", epochs=5)`
    """
    hearing = list(observers)

    def emit(event: Any) -> None:
        for observer in hearing:
            observer(event)

    config, datasets = resolve_call(space, updater, data, epochs, request)
    first_weights(config, None)  # refuses a warm-up, which only studies have
    assembly = assemble(config, datasets, context=RunContext(emit=emit), begins=True)
    if assembly.execution.processes.size > 1:
        raise ConfigurationError(
            "A session trains in one process, and this is one of several (torchrun). Share a "
            "search among processes with `nastk search`, or start without torchrun."
        )
    if supernet is not None:
        assembly.trainer.make_supernet = _checked(supernet)
    return Session(assembly)


def _checked(make: Callable[[Task], Supernet]) -> Callable[[Task], Supernet]:
    """Returns `make`, whose answer is checked to be a supernet."""

    def checked(task: Task) -> Supernet:
        made = make(task)
        if not isinstance(made, Supernet):
            raise ConfigurationError(
                f"supernet(task) must return a nastk.Supernet, got a {type(made).__name__}. Derive "
                "its class from nastk.Supernet: it has forward(images, mixture) and operations()."
            )
        return made

    return checked
