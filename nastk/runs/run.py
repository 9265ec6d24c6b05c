"""Carries out a run in its folder: `Run`, used by `search`, `stream`, `resume`, the command line.

Between two weight steps a run can write checkpoints, pass events on, and stop. However a run ends,
its folder holds what is needed to continue it.
"""

import json
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nastk.base import defaults
from nastk.base.cost import Ledger
from nastk.base.errors import ConfigurationError, NastkError, StopRequested
from nastk.base.events import (
    CheckpointSaved,
    Evaluated,
    Event,
    Ranked,
    RunFinished,
    RunStarted,
    UpdaterReported,
)
from nastk.base.failures import RAISED, blamed
from nastk.base.files import sweep, write_atomically
from nastk.base.processes import ALONE, Processes
from nastk.base.wording import command
from nastk.data.inventory import Inventory
from nastk.nn.memory import check_disk, peak_memory
from nastk.runs import checkpoint, continuing
from nastk.runs.assembly import Assembly, assemble
from nastk.runs.checkpoint import Checkpoint
from nastk.runs.describing import describe
from nastk.runs.endings import Endings
from nastk.runs.folder import ERROR, EventLog, RunFolder
from nastk.runs.relay import EventRelay, Observer
from nastk.runs.result import Result
from nastk.runs.search_config import SearchConfig
from nastk.runs.together import RunStop, begin_together, explained
from nastk.runs.tracking import Tracking
from nastk.runs.warm_up import first_weights
from nastk.spaces.pretrained import load_weights
from nastk.train.branch import Branch
from nastk.train.context import RunContext
from nastk.train.evaluator import Evaluation, evaluated
from nastk.train.leaf_selection import leaves_of
from nastk.train.ranking import summary

SECOND = 1.0
"""Least seconds between two checkpoints of a run whose epochs have no weight steps."""


@dataclass
class Run:
    """A run in progress. Make it with `new` or `resumed`, then iterate over `events()`.

    A run that is `finishing` is trained no further: it ends with the decision of its checkpoint.
    Of several `processes` the first one writes; the others compute with it.

    Example: `for event in Run.new(resolve({"space": "darts", "updater": "random"})).events(): ...`
    """

    folder: RunFolder
    assembly: Assembly
    endings: Endings
    relay: EventRelay
    restored: Checkpoint | None
    finishing: bool
    notices: list[str] = field(default_factory=list)
    processes: Processes = ALONE
    _stop: RunStop = field(default_factory=RunStop)
    _weights: str | None = None
    _origin: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def new(
        cls,
        config: SearchConfig,
        out: str | Path | None = None,
        data: Any = None,
        observers: Iterable[Observer] = (),
        trackers: Iterable[Any] = (),
    ) -> "Run":
        """Returns a run from the start. Everything is checked before its folder is made."""
        stem = "-".join((config.space.name, config.updater.name, config.data.name))
        folder = RunFolder.new(out, stem)
        run = cls._assembled(folder, config, data, observers, trackers)
        # The disk must hold weights and momentum (a factor of 2) in the checkpoints that are kept
        # and in the one that is being written.
        check_disk(folder.path, (checkpoint.KEPT + 1) * 2 * run.assembly.weight_bytes)
        return run

    @classmethod
    def resumed(
        cls,
        folder: RunFolder,
        data: Any = None,
        observers: Iterable[Observer] = (),
        finish: bool = False,
        trackers: Iterable[Any] = (),
    ) -> "Run":
        """Returns a run that continues from its newest checkpoint, or from the start without one.

        With `finish` the run ends with the decision of that checkpoint.

        Raises:
            ConfigurationError: `finish` is set, and the run has no checkpoint yet.
        """
        if finish and not any(folder.checkpoints.glob("*.safetensors")):
            raise ConfigurationError(
                f"{folder.path} has no checkpoint yet, so there is no decision to finish it with. "
                f"Train it on with `{command('nastk', 'resume', folder.path)}`; a checkpoint is "
                "written when it is stopped, after each epoch, and every few minutes."
            )
        newest, messages = checkpoint.newest(folder.checkpoints) or (None, [])
        config = continuing.configuration(folder, newest)
        run = cls._assembled(folder, config, data, observers, trackers, newest, finish)
        run.notices += [*messages, *folder.complaints(), *run.relay.notices]
        if newest:
            run.notices += continuing.images(folder, run.assembly, newest)
        return run

    @classmethod
    def _assembled(
        cls,
        folder: RunFolder,
        config: SearchConfig,
        data: Any,
        observers: Iterable[Observer],
        trackers: Iterable[Any],
        restored: Checkpoint | None = None,
        finishing: bool = False,
    ) -> "Run":
        """Returns the run, after making its context first and then its parts with that context."""
        weights = None if restored else first_weights(config, folder.path.parent)
        processes = Processes.started()
        endings = Endings(folder.path, config, finishing, processes.size)
        relay = EventRelay(endings, list(observers))
        if processes.rank == 0:
            relay.tracking = Tracking.of(folder, trackers)
        stop = RunStop(processes)
        context = RunContext(Ledger(), relay.emit, stop.is_set, processes)
        assembly = assemble(config, data, context=context, begins=restored is None)
        begin_together(processes, config, restored)
        run = cls(folder, assembly, endings, relay, restored, finishing, [], processes, stop)
        run._weights = weights
        return run

    @property
    def observers(self) -> list[Observer]:
        """The functions called with every event; add to the list before iterating `events()`."""
        return self.relay.observers

    def stop(self) -> None:
        """Ask the run to stop after this weight step; `events` then raises `StopRequested`."""
        self._stop.ask()

    @property
    def stopping(self) -> bool:
        """True if the run was asked to stop."""
        return self._stop.asked

    def result(self) -> Result:
        """Returns the result of the finished run."""
        return Result(self.folder)

    # ------------------------------------------------------------------ driving

    def events(self) -> Generator[Event, None, None]:
        """Train to the end, yielding every event as it happens.

        Raises:
            StopRequested: the run was asked to stop; the checkpoint is written.
            NastkError: a part of the run failed, as one message says; the newest checkpoint is
                untouched.
        """
        device = self.assembly.execution.device
        # Training seeds torch at every step, so the caller's random state is restored afterwards.
        random_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
        with random_state, self.assembly.execution.settings(), explained(self.endings):
            yield from self._written() if self.processes.rank == 0 else self._unwritten()

    def _unwritten(self) -> Iterator[Event]:
        """Carry the run out with another process, which writes it; there are no events here."""
        self._note_origin()
        yield from self._drive(None)

    def _written(self) -> Iterator[Event]:
        """Carry the run out, and write it into its folder; yields its events."""
        with self.folder.locked():
            if self.folder.state() == "finished":
                return  # another process has finished the run while this one assembled it
            (self.folder.path / ERROR).unlink(missing_ok=True)
            sweep(self.folder.path, alone=True)
            describe(self.folder, self.assembly, self._note_origin(), self.restored is not None)
            log = EventLog(self.folder, self.restored.events if self.restored else 0)
            with self.relay.logging_to(log):
                if self.relay.tracking is not None:
                    config = self.assembly.config.model_dump(mode="json")
                    self.relay.tracking.begin(config, self.assembly.space.edges)
                try:
                    with self.endings.writing(), explained(self.endings):
                        yield from self._drive(log)
                except StopRequested:
                    raise
                except NastkError as error:
                    self._note_error(str(error), log)
                    raise

    def _note_origin(self) -> Inventory:
        """Note what the run's states belong to, the same in all processes; returns its images."""
        inventory = Inventory.of(self.assembly.splits, self.assembly.task)
        self._origin = continuing.origin(self.assembly.config, inventory)
        self.processes.agree("images and versions", json.dumps(self._origin, sort_keys=True))
        return inventory

    def _drive(self, log: EventLog | None) -> Iterator[Event]:
        """Restore or make the branches, train them, then decide and evaluate; yields events.

        Without a `log` nothing is written: another process does so.
        """
        trainer = self.assembly.trainer
        if self.restored:
            if log is not None:
                checkpoint.set_aside(self.folder.checkpoints, self.restored.path)
            trainer.ledger.restore(self.restored.cost)
            restore = partial(continuing.restored, trainer, self.restored, self.assembly.config)
            branches = [restore(state) for state in self.restored.branches]
            self.restored = None  # frees its tensors, which the branches have copied
        else:
            with blamed(self.endings.updater, "it was made"):
                branches = [trainer.root()]
            if self._weights is not None:
                load_weights(branches[0].supernet, self._weights)
            plan = self.assembly.plan
            config = self.assembly.config.model_dump(mode="json")
            self.relay.emit(RunStarted("0", 0, 0, plan.epochs, plan.steps_per_epoch, config))
        if not self.finishing:
            with trainer.ledger.phase("train"):
                yield from self._train(branches, log)
        try:
            yield from self._finish(branches)
        except StopRequested:
            raise self.endings.stopped() from None

    def _train(self, branches: list[Branch], log: EventLog | None) -> Iterator[Event]:
        """Train `branches` to the end, writing checkpoints when they are due; yields events."""
        trainer = self.assembly.trainer
        moments = trainer.run(branches)
        saved = time.monotonic()
        pause = 60 * self.assembly.config.trainer.checkpoint_minutes
        while True:
            try:
                moment = next(moments, None)
            except StopRequested:
                # The run was asked to stop while the updater measured, which cannot be continued
                # halfway: the last checkpoint is from before the measurement.
                raise self.endings.stopped() from None
            except NastkError:
                raise
            except RAISED as error:
                # A plugin's own error is reported in one message; its traceback is chained.
                raise self.endings.failed(error, trainer, branches) from error
            if moment is None:
                return
            self._stop.hear()
            lasting = time.monotonic() - saved
            # Evaluations may follow each other in milliseconds: a kill may cost a second of them.
            soon = moment == "epoch" and not self.assembly.plan.steps_per_epoch and lasting < SECOND
            due = (moment != "step" and not soon) or lasting > pause or self._stop.is_set()
            if due:
                self._save(branches, log)
                saved = time.monotonic()
            try:
                yield from self.relay.waiting()
            except GeneratorExit:
                # The caller left its loop. That happens between two steps, so it is a clean stop.
                if not due:
                    self._save(branches, log)
                raise
            if self._stop.is_set():
                raise self.endings.stopped()

    def _finish(self, branches: list[Branch]) -> Iterator[Event]:
        """Choose a branch, decide the architecture, evaluate and store it; yields the events."""
        trainer, space = self.assembly.trainer, self.assembly.space
        branch = self._best(branches)
        at = (branch.name, branch.epoch, branch.step)
        probe = trainer.probe(branch, self._stop.is_set)
        with blamed(self.endings.updater, "deciding", self.endings.kept):
            architecture = space.check(branch.updater.architecture(probe))
        with blamed(self.endings.space, "writing the architecture as text", self.endings.kept):
            text = space.to_text(architecture)
        evaluations: list[Evaluation] = []
        with trainer.ledger.phase("evaluate"):
            for evaluator in self.assembly.evaluators:
                with self.endings.evaluating(evaluator.name):
                    evaluation = evaluated(evaluator, architecture, probe)
                evaluations.append(evaluation)
                self.relay.emit(Evaluated(*at, evaluator.name, dict(evaluation.metrics)))
        ranked = [
            event
            for event in self.folder.events()
            if event["kind"] == Ranked.kind and event["branch"] == branch.name
        ]
        evaluations += [summary(event) for event in ranked[-1:]]
        trainer.ledger.memory(peak_memory(self.assembly.execution.device))
        cost = trainer.ledger.cost()
        total = cost.search
        self.relay.emit(
            RunFinished(
                branch.name,
                branch.epoch,
                branch.step,
                text,
                architecture.id,
                total.images_forward,
                total.images_backward,
                total.seconds,
            )
        )
        if self.processes.rank == 0:
            Result.store(
                self.folder,
                architecture,
                text,
                evaluations,
                cost,
                branch.name,
                self.assembly.task,
                self._early(branches, branch),
            )
        self.processes.agree("the result", text)
        yield from self.relay.waiting()

    def _early(self, branches: list[Branch], chosen: Branch) -> dict[str, int] | None:
        """Returns the epoch and step of the chosen branch if training ended early, else None."""
        epochs = self.assembly.plan.epochs
        if all(branch.ended or branch.epoch >= epochs for branch in branches):
            return None
        return {"epoch": chosen.epoch, "epochs": epochs, "step": chosen.step}

    def _best(self, branches: list[Branch]) -> Branch:
        """Returns the branch of the run's decision: of several leaves the chooser picks one."""
        leaves = leaves_of(branches)
        trainer, chooser = self.assembly.trainer, self.assembly.chooser
        if not chooser.may_choose(leaves, trainer):
            return leaves[0]
        evaluator = defaults.LEAF_EVALUATOR if chooser.evaluator is None else chooser.evaluator.name
        with trainer.ledger.phase("evaluate"), self.endings.evaluating(evaluator):
            best, values = chooser.choose(leaves, trainer, self._stop.is_set)
        texts = {leaf.name: self._text(leaf) for leaf in leaves}
        record = {**values, "architectures": texts}
        self.relay.emit(UpdaterReported(best.name, best.epoch, best.step, "leaves", record))
        return best

    def _text(self, leaf: Branch) -> str:
        """Returns the present decision of a leaf as its space's text."""
        with blamed(self.endings.updater, f"deciding in branch {leaf.name}", self.endings.kept):
            architecture = leaf.updater.architecture(self.assembly.trainer.probe(leaf))
            return self.assembly.space.to_text(architecture)

    # ------------------------------------------------------------------ files

    def _save(self, branches: list[Branch], log: EventLog | None) -> None:
        """Check the branches and write a checkpoint of them."""
        if log is None:
            return
        log.check()
        for branch in branches:
            self.assembly.trainer.check(branch)
        # Checkpoints are named by their progress; without a supernet no weight step counts it.
        steps = sum(branch.step or branch.epoch for branch in branches)
        # An updater's state may hold anything; values that cannot be stored show only now.
        with blamed(self.endings.updater, "its state was stored", self.endings.kept):
            states = [branch.state_dict() for branch in branches]
            cost = self.assembly.trainer.ledger.cost()
            stored = Checkpoint(states, cost, log.position, version("nastk"), self._origin)
            path = checkpoint.write(self.folder.checkpoints, stored, f"{steps:012d}")
        branch = branches[0]
        self.relay.emit(CheckpointSaved(branch.name, branch.epoch, branch.step, str(path)))

    def _note_error(self, message: str, log: EventLog) -> None:
        """Write the message of a failed run to `error.txt`, if that is possible.

        Where the disk is full or the folder gone, the message still reaches the terminal.
        """
        with suppress(OSError, NastkError):
            log.check()
            write_atomically(self.folder.path / ERROR, f"{message}\n".encode())
