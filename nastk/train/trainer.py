"""`Trainer`: trains the branches of a run; updaters choose mixtures, subspaces and decisions.

    for batch in the epoch's batches:
        updater.before_step(probe, batch)
        mean loss over updater.mixtures(probe) -> backward, clip, optimiser step
        updater.after_step(probe)
    children = continue_as(branch, updater.after_epoch(probe))      # none, one or several

The trainer knows no search method: methods differ only in what their updaters return. `run` is a
generator that yields after every step, so that its caller can write checkpoints, forward events and
stop. Next: `checkpoint.py` stores branches, `api.py` drives `run`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Literal

import torch

from nastk.base.cost import Ledger
from nastk.base.errors import DivergenceError, PluginError
from nastk.base.events import BranchContinued, EpochDone, StepDone
from nastk.base.seeds import generator, seed_of, seeded, set_seed
from nastk.data.streams import Batch, Stream
from nastk.data.task import Task
from nastk.nn.execution import Execution
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.spaces.supernet import NoSupernet, Supernet
from nastk.train.agreeing import agree_on_epoch, agree_on_step, check_graphs
from nastk.train.branch import Branch, Tally
from nastk.train.context import RunContext
from nastk.train.criterion import Valued
from nastk.train.graphs import Measuring, fastest, measuring
from nastk.train.options import Schedule, TrainerOptions
from nastk.train.passes import Pass, mean_gradient
from nastk.train.probe import Probe
from nastk.train.step import asked, descend, told
from nastk.train.updater import ArchitectureUpdater, Continuation, CosineRestart
from nastk.train.watching import FinishedEpoch, Watcher

ABSURD = 100.0
"""A mean loss that shows divergence: guessing one of 1,000 classes has a loss of 7."""

UpdaterFactory = Callable[[SearchSpace, torch.Generator, torch.device], ArchitectureUpdater]
Moment = Literal["step", "epoch", "end"]


@dataclass
class Trainer:
    """Trains the branches of one run.

    Args:
        space, task: the search space, and the classes and images of its networks.
        make_updater: makes the updater of a branch from (space, rng, device).
        train, valid: the batches that weights and updaters learn from, never test images.
        options, execution, seed: training settings, device and precision, seed of all streams.
        context: the ledger, event receiver and stop signal of the run.
        watchers: called after every epoch of a branch; they change nothing.
        criterion: what `probe.evaluate` asks; None: no updater of the run evaluates.
        make_supernet: makes the supernet of a branch; None: the space does.

    Example:
        branches = [trainer.root()]
        for moment in trainer.run(branches):
            if moment == "epoch": save(branches)
    """

    space: SearchSpace
    task: Task
    make_updater: UpdaterFactory
    train: Stream
    valid: Stream | None
    options: TrainerOptions
    execution: Execution
    seed: int = 0
    context: RunContext = field(default_factory=RunContext)
    watchers: Sequence[Watcher] = ()
    criterion: Callable[[Architecture, Probe], Valued] | None = None
    make_supernet: Callable[[Task], Supernet] | None = None
    _pass: Pass = field(init=False, repr=False)
    _measuring: Measuring = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_graphs(self.options.cuda_graphs, self.execution)
        settings = (self.options.cuda_graphs, self.execution, self.context.emit)
        self._pass, self._measuring = fastest(*settings), measuring(*settings)

    @property
    def ledger(self) -> Ledger:
        """The ledger to which all costs are charged."""
        return self.context.ledger

    # ------------------------------------------------------------------ making branches

    def root(self) -> Branch:
        """Returns the first branch of a run: fresh weights, the whole space."""
        return self._fresh("0", 0)

    def restore(self, state: dict[str, object]) -> Branch:
        """Returns a branch that goes on from `state`, for resumes and forks."""
        return self._fresh("0", 0).load_state_dict(state)

    def _fresh(self, name: str, epoch: int) -> Branch:
        """Returns a branch with fresh weights and a schedule over the epochs that are left."""
        rng = generator(self.seed, "updater", name)
        updater = self.make_updater(self.space, rng, self.execution.device)
        stream = ("weights", *(() if epoch == 0 else (name, epoch)))
        with seeded(seed_of(self.seed, *stream), torch.device("cpu")):
            trains = updater.trains_supernet
            make = self.make_supernet or self.space.supernet
            supernet = make(self.task) if trains else NoSupernet()
        self.execution.place(supernet, self.options.synchronised_norms)
        optimizer = self.execution.sgd(supernet.parameters(), self.options)
        schedule = self._schedule(epoch, CosineRestart(self.options.epochs - epoch), fresh=True)
        return Branch(
            name,
            self.space.full(),
            supernet,
            optimizer,
            rng,
            self.execution,
            epoch,
            resting=self.options.resting,
            objective=self.task.objective,
            updater=updater,
            schedule=schedule,
        )

    def _schedule(self, epoch: int, cosine: CosineRestart, fresh: bool) -> Schedule:
        """Returns the learning rate schedule from `epoch` on; fresh weights warm up first."""
        options = self.options
        base = options.learning_rate if cosine.base is None else cosine.base
        lowest = min(options.minimum_learning_rate, base)
        return Schedule(
            base,
            lowest if cosine.minimum is None else cosine.minimum,
            epoch,
            epoch + cosine.epochs,
            min(options.warmup_epochs, max(cosine.epochs - 1, 0)) if fresh else 0,
            options.warmup_cosine,
            int(options.cosine_ahead),
        )

    def probe(self, branch: Branch, stopping: Callable[[], bool] = lambda: False) -> Probe:
        """Returns the probe of a branch; its measurements end if `stopping` returns True.

        Within a weight step they never do: a run stops between two steps.
        """
        return Probe(
            branch,
            self.train,
            self.valid,
            self.options.epochs,
            replace(self.context, stopping=stopping),
            lambda images: self._measuring(branch, images),
            branch.updater.name,
            self.criterion,
        )

    # ------------------------------------------------------------------ the loop

    def run(self, branches: list[Branch]) -> Iterator[Moment]:
        """Train `branches` (changed in place) to the end of the run.

        Yields `step` after every weight step, `epoch` after the steps of an epoch and before its
        `after_epoch`, and `end`. Branches may be stored at any of these moments.
        """
        while branch := self.next_branch(branches):
            yield from self._steps(branch)
            yield "epoch"
            children = self.close_epoch(branch)
            position = branches.index(branch)
            branches[position : position + 1] = children
        yield "end"

    def next_branch(self, branches: Sequence[Branch]) -> Branch | None:
        """Returns the branch with the fewest epochs: all finish an epoch before the next begins."""
        alive = [
            branch for branch in branches if not branch.ended and branch.epoch < self.options.epochs
        ]
        return min(alive, key=lambda branch: branch.epoch, default=None)

    def _steps(self, branch: Branch) -> Iterator[Moment]:
        """Take the weight steps left in the branch's present epoch; none without a supernet."""
        if not branch.updater.trains_supernet:
            return
        probe = self.probe(branch)
        self.begin_epoch(branch)
        first = branch.step - branch.epoch * len(self.train)
        for index, batch in enumerate(self.train.epoch(branch.epoch, first), first + 1):
            self._weight_step(branch, probe, batch)
            self.note_step(branch, index)
            yield "step"

    def begin_epoch(self, branch: Branch) -> None:
        """Called before the steps of an epoch, and where a branch goes on within one."""
        branch.supernet.train()
        for group in branch.optimizer.param_groups:
            group["lr"] = branch.schedule.rate(branch.epoch)

    def note_step(self, branch: Branch, index: int) -> None:
        """Called after step `index` (from 1) of an epoch: checks the loss, and tells of it."""
        shown = index % self.options.log_every == 0 or index == len(self.train)
        if shown or branch.execution.device.type == "cpu":
            loss, accuracy = self.check(branch)
            if shown:
                steps = len(self.train)
                self.context.emit(
                    StepDone(branch.name, branch.epoch, branch.step, loss, accuracy, steps)
                )

    def _weight_step(self, branch: Branch, probe: Probe, batch: Batch) -> None:
        """Take a weight step on the mean loss of the updater's mixtures."""
        # Operations that draw use a stream derived from the step: a resume needs no saved state.
        set_seed(seed_of(self.seed, "noise", branch.name, branch.step), self.execution.device)
        mixtures = asked(branch, probe, batch, self.ledger)
        agree_on_step(branch, mixtures)
        branch.optimizer.zero_grad(set_to_none=True)
        loss, hits = mean_gradient(
            branch, mixtures, batch, self.ledger, self.options.micro_batch, self._pass
        )
        descend(branch, self.options.gradient_clip)
        told(branch, probe, (loss, hits, len(batch.images)), self.ledger)

    def close_epoch(self, branch: Branch) -> list[Branch]:
        """Called after the steps of an epoch: returns the branches that continue this one."""
        trains = branch.updater.trains_supernet
        loss, accuracy = self.check(branch)
        rate = branch.schedule.rate(branch.epoch)
        branch.tally = Tally.empty(self.execution.device)
        branch.epoch += 1
        probe = self.probe(branch, self.context.stopping)
        with self.ledger.phase("updater"):
            continuations = list(branch.updater.after_epoch(probe))
            architecture = branch.updater.architecture(probe)
            text = self.space.to_text(architecture)
        agree_on_epoch(branch, text, continuations)
        spent = self.ledger.cost().search
        self.context.emit(
            EpochDone(
                branch.name,
                branch.epoch,
                branch.step,
                loss if trains else None,
                accuracy if trains else None,
                rate if trains else None,
                text,
                spent.images_forward,
                spent.images_backward,
                spent.seconds,
                spent.cpu_seconds,
            )
        )
        last = branch.epoch >= self.options.epochs or not continuations
        finished = FinishedEpoch(branch, probe, architecture, last)
        with self.ledger.phase("watch"):
            for watcher in self.watchers:
                if (event := watcher(finished)) is not None:
                    self.context.emit(event)
        return self._continue_as(branch, continuations)

    # ------------------------------------------------------------------ continuations

    def _continue_as(self, branch: Branch, continuations: Sequence[Continuation]) -> list[Branch]:
        """Returns the branch itself for one continuation, forks for several; none ends it."""
        for continuation in continuations:
            self._check_continuation(branch, continuation)
        if not continuations:
            branch.ended = True
            children = [branch]
        elif len(continuations) == 1:
            children = [branch]
        else:
            state = branch.state_dict()
            children = [
                self._fork(state, f"{branch.name}.{number}") for number in range(len(continuations))
            ]
        changed = len(continuations) != 1 or continuations[0] != Continuation(branch.subspace)
        for child, continuation in zip(children, continuations, strict=False):
            child.subspace = continuation.subspace
            if continuation.fresh:
                fresh = self._fresh(child.name, child.epoch)
                child.supernet, child.optimizer = fresh.supernet, fresh.optimizer
                child.schedule = fresh.schedule
            if (cosine := continuation.schedule) is not None:
                child.optimizer = self.execution.sgd(child.supernet.parameters(), self.options)
                child.schedule = self._schedule(child.epoch, cosine, continuation.fresh)
        if changed:
            new_schedules = [
                None if continuation.schedule is None else child.schedule.to_json()
                for child, continuation in zip(children, continuations, strict=False)
            ]
            self.context.emit(
                BranchContinued(
                    branch.name,
                    branch.epoch,
                    branch.step,
                    [child.name for child in children] if continuations else [],
                    [continuation.subspace.to_json() for continuation in continuations],
                    [continuation.fresh for continuation in continuations],
                    new_schedules if any(new_schedules) else (),
                )
            )
        return children

    def _fork(self, state: dict[str, object], name: str) -> Branch:
        """Returns a branch with a copy of `state`, but its own name and random stream."""
        child = self.restore(state)
        child.name = name
        child.rng.manual_seed(seed_of(self.seed, "updater", name))
        return child

    def _check_continuation(self, branch: Branch, continuation: Continuation) -> None:
        """Raise a `PluginError` if subspace or schedule of a continuation are invalid."""
        name = branch.updater.name
        got, expected = (
            [len(row) for row in subspace.alive]
            for subspace in (continuation.subspace, branch.subspace)
        )
        if got != expected:
            raise PluginError(
                f"{name} gave branch {branch.name} a subspace of {len(got)} edges "
                f"with {got} columns; this space has {len(expected)} with {expected}."
            )
        if not branch.subspace.contains(continuation.subspace):
            raise PluginError(
                f"{name} gave branch {branch.name} a subspace with operations "
                "that were dead before. "
                "An updater may shrink or split its subspace, not grow it."
            )
        if reason := self.space.why_empty(continuation.subspace):
            raise PluginError(
                f"{name} left branch {branch.name} a subspace without an architecture: {reason}."
            )
        if (cosine := continuation.schedule) is not None:
            rates = self._schedule(branch.epoch, cosine, continuation.fresh)
            if cosine.epochs < 1 or not 0 <= rates.minimum <= rates.base < inf or rates.base == 0:
                raise PluginError(
                    f"{name} gave branch {branch.name} a learning rate from {rates.base:g} to "
                    f"{rates.minimum:g} over {cosine.epochs} epochs. It needs an epoch or more, a "
                    "base above 0, and a minimum from 0 to it."
                )

    def check(self, branch: Branch) -> tuple[float, float]:
        """Returns mean loss and accuracy of the present epoch.

        Raises:
            DivergenceError: the loss is not finite; the message says where, and what to do.
        """
        loss, accuracy = branch.tally.means()
        if not isfinite(loss):
            raise DivergenceError(self._diverged(branch))
        return loss, accuracy

    def divergence(self, branch: Branch) -> str | None:
        """Returns a message if the weights are not finite or the loss is absurd, else None.

        After a divergence, errors in the computations of an updater are not its own fault.
        """
        weights = branch.supernet.parameters()
        finite = all(bool(torch.isfinite(weight).all()) for weight in weights)
        return None if finite and branch.tally.means()[0] < ABSURD else self._diverged(branch)

    def _diverged(self, branch: Branch) -> str:
        """Returns the message that the training of a branch diverges."""
        return (
            f"The training loss is {branch.tally.means()[0]:g} in branch {branch.name}, epoch "
            f"{branch.epoch}, at or before step {branch.step}: training diverges. Lower the "
            f"learning rate (now {branch.schedule.rate(branch.epoch):g}) or set gradient_clip, "
            "then start again; where that does not help, lower the rates of "
            f"{branch.updater.name!r} itself."
        )
