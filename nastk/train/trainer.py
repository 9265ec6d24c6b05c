"""The one trainer. It trains branches; a branch's updater answers what to train and where to go on.

    for batch in the epoch's batches:
        updater.before_step(probe, batch)
        mean loss over updater.mixtures(probe) -> backward, clip, optimiser step
        updater.after_step(probe)
    children = continue_as(branch, updater.after_epoch(probe))      # none, one or several

It knows no algorithm: what differs between methods is in the answers, never here. `run` is a
generator that hands back control after every step, so that its caller can write checkpoints, pass
events on and stop. Next: `checkpoint.py` stores branches, `api.py` drives `run`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Literal

import torch
from torch import nn

from nastk.base.cost import Ledger
from nastk.base.errors import DivergenceError, PluginError
from nastk.base.events import BranchContinued, EpochDone, StepDone
from nastk.base.seeds import generator, seed_of, seeded, set_seed
from nastk.data.streams import Batch, Stream
from nastk.data.task import Task
from nastk.nn.execution import Execution
from nastk.spaces.mixture import Mixture
from nastk.spaces.space import SearchSpace
from nastk.train.branch import Branch, Tally
from nastk.train.context import RunContext
from nastk.train.graphs import Measuring, fastest, measuring
from nastk.train.options import Schedule, TrainerOptions
from nastk.train.passes import Pass, mean_gradient
from nastk.train.probe import Probe
from nastk.train.updater import ArchitectureUpdater, Continuation, CosineRestart
from nastk.train.watching import FinishedEpoch, Watcher

ABSURD = 100.0
"""A mean loss that training does not have: to guess one of 1,000 classes costs 7."""

UpdaterFactory = Callable[[SearchSpace, torch.Generator, torch.device], ArchitectureUpdater]
Moment = Literal["step", "epoch", "end"]


@dataclass
class Trainer:
    """Trains the branches of one run.

    Args:
        space, task: what is searched, and what its networks must fit.
        make_updater: makes the updater of a branch from (space, rng, device).
        train, valid: the batches that weights and updaters learn from; no test images come near.
        options, execution, seed: how, where, and from which randomness.
        context: where cost and events go, and who may ask for a stop.
        watchers: who looks at every branch after each of its epochs; they change nothing.

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
    _pass: Pass = field(init=False, repr=False)
    _measuring: Measuring = field(init=False, repr=False)

    def __post_init__(self) -> None:
        chosen = (self.options.cuda_graphs, self.execution, self.context.emit)
        self._pass, self._measuring = fastest(*chosen), measuring(*chosen)

    @property
    def ledger(self) -> Ledger:
        """Where cost is added up."""
        return self.context.ledger

    # ------------------------------------------------------------------ making branches

    def root(self) -> Branch:
        """The branch that a run starts with: fresh weights, the whole space."""
        return self._fresh("0", 0)

    def restore(self, state: dict[str, object]) -> Branch:
        """A branch that goes on from `state`; resumes and forks both come this way."""
        return self._fresh("0", 0).load_state_dict(state)

    def _fresh(self, name: str, epoch: int) -> Branch:
        """Fresh weights, optimiser and updater, and a schedule over the epochs that are left."""
        stream = ("weights", *(() if epoch == 0 else (name, epoch)))
        with seeded(seed_of(self.seed, *stream), torch.device("cpu")):
            supernet = self.space.supernet(self.task)
        self.execution.place(supernet)
        optimizer = self.execution.sgd(supernet.parameters(), self.options)
        schedule = self._schedule(epoch, CosineRestart(self.options.epochs - epoch), fresh=True)
        rng = generator(self.seed, "updater", name)
        updater = self.make_updater(self.space, rng, self.execution.device)
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
        """The learning rate from `epoch` on; fresh weights warm up first."""
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
        """What the branch's updater measures with; only `stopping` may end its measurements.

        Within a weight step nobody may: the run stops between two of them.
        """
        return Probe(
            branch,
            self.train,
            self.valid,
            self.options.epochs,
            replace(self.context, stopping=stopping),
            lambda images: self._measuring(branch, images),
            branch.updater.name,
        )

    # ------------------------------------------------------------------ the loop

    def run(self, branches: list[Branch]) -> Iterator[Moment]:
        """Train `branches` (changed in place) to the end of the run.

        Hands back control with `step` after every weight step, `epoch` when the steps of an epoch
        are taken and its `after_epoch` is still to come, and `end`. Branches may be stored at each.
        """
        while branch := self._next(branches):
            yield from self._steps(branch)
            yield "epoch"
            children = self._close_epoch(branch)
            place = branches.index(branch)
            branches[place : place + 1] = children
        yield "end"

    def _next(self, branches: Sequence[Branch]) -> Branch | None:
        """The branch furthest behind, so that all finish an epoch before any begins the next."""
        alive = [
            branch for branch in branches if not branch.ended and branch.epoch < self.options.epochs
        ]
        return min(alive, key=lambda branch: branch.epoch, default=None)

    def _steps(self, branch: Branch) -> Iterator[Moment]:
        """The weight steps of the branch's epoch that are still to be taken."""
        probe = self.probe(branch)
        branch.supernet.train()
        for group in branch.optimizer.param_groups:
            group["lr"] = branch.schedule.rate(branch.epoch)
        first = branch.step - branch.epoch * len(self.train)
        for index, batch in enumerate(self.train.epoch(branch.epoch, first), first + 1):
            self._weight_step(branch, probe, batch)
            if (
                index % self.options.log_every == 0
                or index == len(self.train)
                or branch.execution.device.type == "cpu"
            ):
                loss, accuracy = self.check(branch)
                if index % self.options.log_every == 0 or index == len(self.train):
                    self.context.emit(
                        StepDone(
                            branch.name, branch.epoch, branch.step, loss, accuracy, len(self.train)
                        )
                    )
            yield "step"

    def _weight_step(self, branch: Branch, probe: Probe, batch: Batch) -> None:
        """Ask, train one step on the mean loss of the answers, tell."""
        # Operations that draw (noise, dropout) use the step's own stream: nothing to save for a
        # resume.
        set_seed(seed_of(self.seed, "noise", branch.name, branch.step), self.execution.device)
        with self.ledger.phase("updater"):
            branch.updater.before_step(probe, batch)
            mixtures = self._mixtures(branch, probe)
        branch.optimizer.zero_grad(set_to_none=True)
        loss, hits = mean_gradient(
            branch, mixtures, batch, self.ledger, self.options.micro_batch, self._pass
        )
        branch.move_on()
        if self.options.gradient_clip is not None:
            nn.utils.clip_grad_norm_(branch.supernet.parameters(), self.options.gradient_clip)
        branch.optimizer.step()
        branch.step += 1
        branch.tally.add(loss, hits, len(batch.images))
        with self.ledger.phase("updater"):
            branch.updater.after_step(probe)

    def _close_epoch(self, branch: Branch) -> list[Branch]:
        """Record the epoch, and go on as the updater answers."""
        loss, accuracy = self.check(branch)
        branch.tally = Tally.empty(self.execution.device)
        rate = branch.schedule.rate(branch.epoch)
        branch.epoch += 1
        probe = self.probe(branch, self.context.stopping)
        with self.ledger.phase("updater"):
            continuations = list(branch.updater.after_epoch(probe))
            architecture = branch.updater.architecture(probe)
            text = self.space.to_text(architecture)
        spent = self.ledger.cost().search
        self.context.emit(
            EpochDone(
                branch.name,
                branch.epoch,
                branch.step,
                loss,
                accuracy,
                rate,
                text,
                spent.images_forward,
                spent.images_backward,
                spent.seconds,
            )
        )
        last = branch.epoch >= self.options.epochs or not continuations
        finished = FinishedEpoch(branch, probe, architecture, last)
        with self.ledger.phase("watch"):
            for watcher in self.watchers:
                if (seen := watcher(finished)) is not None:
                    self.context.emit(seen)
        return self._continue_as(branch, continuations)

    # ------------------------------------------------------------------ what the answers mean

    def _continue_as(self, branch: Branch, continuations: Sequence[Continuation]) -> list[Branch]:
        """One continuation goes on as it is; several are forks; none ends the branch.

        A fork is a resume.
        """
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
                new = self._fresh(child.name, child.epoch)
                child.supernet, child.optimizer = new.supernet, new.optimizer
                child.schedule = new.schedule
            if (cosine := continuation.schedule) is not None:
                child.optimizer = self.execution.sgd(child.supernet.parameters(), self.options)
                child.schedule = self._schedule(child.epoch, cosine, continuation.fresh)
        if changed:
            anew = [
                None if each.schedule is None else child.schedule.to_json()
                for child, each in zip(children, continuations, strict=False)
            ]
            self.context.emit(
                BranchContinued(
                    branch.name,
                    branch.epoch,
                    branch.step,
                    [child.name for child in children] if continuations else [],
                    [continuation.subspace.to_json() for continuation in continuations],
                    [continuation.fresh for continuation in continuations],
                    anew if any(anew) else (),
                )
            )
        return children

    def _fork(self, state: dict[str, object], name: str) -> Branch:
        """A branch like the one `state` is of, with a name and a random stream of its own."""
        child = self.restore(state)
        child.name = name
        child.rng.manual_seed(seed_of(self.seed, "updater", name))
        return child

    def _check_continuation(self, branch: Branch, continuation: Continuation) -> None:
        name = branch.updater.name
        got, expected = (
            [len(row) for row in each.alive] for each in (continuation.subspace, branch.subspace)
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
        if why := self.space.why_empty(continuation.subspace):
            raise PluginError(
                f"{name} left branch {branch.name} a subspace without an architecture: {why}."
            )
        if (cosine := continuation.schedule) is not None:
            made = self._schedule(branch.epoch, cosine, continuation.fresh)
            if cosine.epochs < 1 or not 0 <= made.minimum <= made.base < inf or made.base == 0:
                raise PluginError(
                    f"{name} gave branch {branch.name} a learning rate from {made.base:g} to "
                    f"{made.minimum:g} over {cosine.epochs} epochs. It needs an epoch or more, a "
                    "base above 0, and a minimum from 0 to it."
                )

    def _mixtures(self, branch: Branch, probe: Probe) -> Sequence[Mixture]:
        """The updater's mixtures, checked for form (their numbers are checked with the loss)."""
        mixtures = branch.updater.mixtures(probe)
        try:
            count = len(mixtures)
        except TypeError:
            # A generator would be empty for whoever asks second, such as the watch.
            raise PluginError(
                f"{branch.updater.name} answered its mixtures as {mixtures!r}; it must answer a "
                "list of them."
            ) from None
        if not count:
            raise PluginError(
                f"{branch.updater.name} answered no mixture to train; it needs at least one."
            )
        alive = branch.subspace.mask
        for mixture in mixtures:
            if mixture.weights.shape != alive.shape or mixture.active.shape != alive.shape:
                raise PluginError(
                    f"{branch.updater.name} answered a mixture "
                    f"of shape {tuple(mixture.weights.shape)} "
                    f"(active: {tuple(mixture.active.shape)}); "
                    f"this space has {tuple(alive.shape)} (edges x operations)."
                )
            if bool((mixture.active & ~alive).any()):
                raise PluginError(
                    f"{branch.updater.name} answered a mixture with operations that are not alive."
                )
            # Later on weights that exploded may be why; here nothing was trained yet.
            if branch.step == 0 and not bool(torch.isfinite(mixture.weights).all()):
                raise PluginError(
                    f"{branch.updater.name} answered a mixture with weights that are not finite, "
                    "in the first step of the run."
                )
        return mixtures

    def check(self, branch: Branch) -> tuple[float, float]:
        """Mean loss and accuracy of the epoch so far.

        Raises:
            DivergenceError: a loss that is not finite; says where, and what to do.
        """
        loss, accuracy = branch.tally.means()
        if not isfinite(loss):
            raise DivergenceError(self._diverged(branch))
        return loss, accuracy

    def divergence(self, branch: Branch) -> str | None:
        """Whether the weights have no bounds any more, in words; None where they have.

        Numbers that a method cannot compute with are then no mistake of the method's.
        """
        weights = branch.supernet.parameters()
        finite = all(bool(torch.isfinite(weight).all()) for weight in weights)
        return None if finite and branch.tally.means()[0] < ABSURD else self._diverged(branch)

    def _diverged(self, branch: Branch) -> str:
        return (
            f"The training loss is {branch.tally.means()[0]:g} in branch {branch.name}, epoch "
            f"{branch.epoch}, at or before step {branch.step}: training diverges. Lower the "
            f"learning rate (now {branch.schedule.rate(branch.epoch):g}) or set gradient_clip, "
            "then start again; where that does not help, lower the rates of "
            f"{branch.updater.name!r} itself."
        )
