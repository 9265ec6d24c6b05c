"""Drives a run through its folder: `Run`, behind `search`, `stream`, `resume`, the command line.

Between two weight steps the run is at rest: there checkpoints are written, events are passed on,
and a stop is obeyed. Whatever ends a run, its folder holds what is needed to go on.
"""

import threading
import time
from collections.abc import Iterable, Iterator
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
from nastk.base.values import document
from nastk.base.wording import command
from nastk.data.inventory import Inventory
from nastk.nn.memory import check_disk, peak_memory
from nastk.runs import checkpoint, continuing
from nastk.runs.assembly import Assembly, assemble
from nastk.runs.checkpoint import Checkpoint
from nastk.runs.config import SearchConfig, to_json
from nastk.runs.endings import Endings
from nastk.runs.folder import CONFIG, DATA, EventLog, RunFolder
from nastk.runs.relay import EventRelay, Observer
from nastk.runs.result import Result
from nastk.spaces.pretrained import load_weights
from nastk.train.branch import Branch
from nastk.train.context import RunContext
from nastk.train.evaluator import Evaluation, evaluated
from nastk.train.ranking import summary


@dataclass
class Run:
    """One run being driven. Make it with `new` or `resumed`, then go through `events()`.

    One that is `finishing` is trained no further: it ends with the decision of its checkpoint.
    """

    folder: RunFolder
    assembly: Assembly
    endings: Endings
    relay: EventRelay
    restored: Checkpoint | None
    finishing: bool
    notices: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _origin: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def new(
        cls,
        config: SearchConfig,
        out: str | Path | None = None,
        data: Any = None,
        observers: Iterable[Observer] = (),
    ) -> "Run":
        """A run from the start. Everything is checked before its folder is made."""
        folder = RunFolder.new(
            out, "-".join((config.space.name, config.updater.name, config.data.name))
        )
        run = cls._assembled(folder, config, data, observers)
        # Weights and momentum, of the checkpoints that are kept and of one being written.
        check_disk(folder.path, (checkpoint.KEPT + 1) * 2 * run.assembly.weight_bytes)
        return run

    @classmethod
    def resumed(
        cls,
        folder: RunFolder,
        data: Any = None,
        observers: Iterable[Observer] = (),
        finish: bool = False,
    ) -> "Run":
        """A run that goes on from its newest checkpoint, or from the start if it has none yet.

        With `finish` it is closed with the decision of that checkpoint.

        Raises:
            ConfigurationError: it is to be closed, and has no checkpoint yet.
        """
        if finish and not any(folder.checkpoints.glob("*.safetensors")):
            raise ConfigurationError(
                f"{folder.path} has no checkpoint yet, so there is no decision to finish it with. "
                f"Train it on with `{command('nastk', 'resume', folder.path)}`; a checkpoint is "
                "written when it is stopped, after each epoch, and every few minutes."
            )
        found, complaints = checkpoint.newest(folder.checkpoints) or (None, [])
        config = continuing.configuration(folder, found)
        run = cls._assembled(folder, config, data, observers, found, finish)
        run.notices += [*complaints, *folder.complaints()]
        if found:
            run.notices += continuing.images(folder, run.assembly, found)
        return run

    @classmethod
    def _assembled(
        cls,
        folder: RunFolder,
        config: SearchConfig,
        data: Any,
        observers: Iterable[Observer],
        restored: Checkpoint | None = None,
        finishing: bool = False,
    ) -> "Run":
        """First the context, then the parts, which are made with it."""
        endings = Endings(folder.path, config, finishing)
        relay = EventRelay(endings, list(observers))
        stop = threading.Event()
        context = RunContext(Ledger(), relay.emit, stop.is_set)
        assembly = assemble(config, data, context=context, begins=restored is None)
        return cls(folder, assembly, endings, relay, restored, finishing, _stop=stop)

    @property
    def observers(self) -> list[Observer]:
        """Who hears every event; more may be added before the run is driven."""
        return self.relay.observers

    def stop(self) -> None:
        """Ask the run to stop at the next moment of rest; `events` then raises `StopRequested`."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def result(self) -> Result:
        """What the finished run found."""
        return Result(self.folder)

    # ------------------------------------------------------------------ driving

    def events(self) -> Iterator[Event]:
        """Train to the end, yielding every event as it happens.

        Raises:
            StopRequested: the run was asked to stop; the checkpoint is written.
            NastkError: what failed, said in one message; the newest checkpoint is untouched.
        """
        device = self.assembly.execution.device
        # Training seeds torch for every step; the caller's random state comes back afterwards.
        caller = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
        with self.folder.locked(), caller, self.assembly.execution.settings():
            if self.folder.state() == "finished":
                return  # another process has finished it while this one was getting ready
            (self.folder.path / "error.txt").unlink(missing_ok=True)
            sweep(self.folder.path, alone=True)
            self._describe()
            log = EventLog(self.folder, self.restored.events if self.restored else 0)
            with self.relay.logging_to(log):
                try:
                    with self.endings.writing():
                        yield from self._drive(log)
                except StopRequested:
                    raise
                except NastkError as error:
                    self._note_error(str(error), log)
                    raise

    def _describe(self) -> None:
        """Write what the run is: its configuration, and its images."""
        config, place = self.assembly.config, self.folder.path
        inventory = Inventory.of(self.assembly.splits, self.assembly.task)
        self._origin = continuing.origin(config, inventory)
        write_atomically(place / CONFIG, to_json(config).encode())
        if not self.restored or not (place / DATA).exists():
            write_atomically(place / DATA, document(inventory.to_json()))

    def _drive(self, log: EventLog) -> Iterator[Event]:
        trainer = self.assembly.trainer
        if self.restored:
            checkpoint.set_aside(self.folder.checkpoints, self.restored.path)
            trainer.ledger.restore(self.restored.cost)
            again = partial(continuing.restored, trainer, self.restored, self.assembly.config)
            branches = [again(state) for state in self.restored.branches]
            self.restored = None  # the branches have copies
        else:
            with blamed(self.endings.updater, "it was made"):
                branches = [trainer.root()]
            if (weights := self.assembly.config.weights) is not None:
                load_weights(branches[0].supernet, weights)
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

    def _train(self, branches: list[Branch], log: EventLog) -> Iterator[Event]:
        trainer = self.assembly.trainer
        moments = trainer.run(branches)
        saved = time.monotonic()
        pause = 60 * self.assembly.config.trainer.checkpoint_minutes
        while True:
            try:
                moment = next(moments, None)
            except StopRequested:
                # Asked to stop while the updater measured: the checkpoint before it stands.
                raise self.endings.stopped() from None
            except NastkError:
                raise
            except RAISED as error:
                # A plugin's own failure is said in one message; its traceback is chained.
                raise self.endings.failed(error, trainer, branches) from error
            if moment is None:
                return
            due = moment != "step" or time.monotonic() - saved > pause or self._stop.is_set()
            if due:
                self._save(branches, log)
                saved = time.monotonic()
            try:
                yield from self.relay.waiting()
            except GeneratorExit:
                # The caller left its loop: the run is at rest, so this is a clean stop.
                if not due:
                    self._save(branches, log)
                raise
            if self._stop.is_set():
                raise self.endings.stopped()

    def _finish(self, branches: list[Branch]) -> Iterator[Event]:
        trainer, space = self.assembly.trainer, self.assembly.space
        branch = self._best(branches)
        probe = trainer.probe(branch, self._stop.is_set)
        with blamed(self.endings.updater, "deciding", self.endings.kept):
            architecture = space.check(branch.updater.architecture(probe))
        with blamed(self.endings.space, "writing the architecture as text", self.endings.kept):
            text = space.to_text(architecture)
        evaluations: list[Evaluation] = []
        with trainer.ledger.phase("evaluate"):
            for evaluator in self.assembly.evaluators:
                with self.endings.judging(evaluator.name):
                    evaluation = evaluated(evaluator, architecture, probe)
                evaluations.append(evaluation)
                self.relay.emit(
                    Evaluated(
                        branch.name,
                        branch.epoch,
                        branch.step,
                        evaluator.name,
                        dict(evaluation.metrics),
                    )
                )
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
        yield from self.relay.waiting()

    def _early(self, branches: list[Branch], found: Branch) -> dict[str, int] | None:
        """Where the branch stands that was chosen, if training was left off before its end."""
        epochs = self.assembly.plan.epochs
        if all(branch.ended or branch.epoch >= epochs for branch in branches):
            return None
        return {"epoch": found.epoch, "epochs": epochs, "step": found.step}

    def _best(self, branches: list[Branch]) -> Branch:
        """The run's own branch: of several leaves the one that the assembly's chooser takes."""
        leaves = [branch for branch in branches if not branch.ended] or branches
        trainer, chooser = self.assembly.trainer, self.assembly.chooser
        if len(leaves) == 1 or (trainer.valid is None and chooser.evaluator is None):
            return leaves[0]
        evaluator = defaults.LEAF_EVALUATOR if chooser.evaluator is None else chooser.evaluator.name
        with trainer.ledger.phase("evaluate"), self.endings.judging(evaluator):
            best, values = chooser.choose(leaves, trainer, self._stop.is_set)
        texts = {leaf.name: self._text(leaf) for leaf in leaves}
        record = {**values, "architectures": texts}
        self.relay.emit(UpdaterReported(best.name, best.epoch, best.step, "leaves", record))
        return best

    def _text(self, leaf: Branch) -> str:
        with blamed(self.endings.updater, f"deciding in branch {leaf.name}", self.endings.kept):
            architecture = leaf.updater.architecture(self.assembly.trainer.probe(leaf))
            return self.assembly.space.to_text(architecture)

    # ------------------------------------------------------------------ files

    def _save(self, branches: list[Branch], log: EventLog) -> None:
        log.check()
        for branch in branches:
            self.assembly.trainer.check(branch)
        steps = sum(branch.step for branch in branches)
        # An updater's state is its own: what it holds shows when it is stored.
        with blamed(self.endings.updater, "its state was stored", self.endings.kept):
            states = [branch.state_dict() for branch in branches]
            cost = self.assembly.trainer.ledger.cost()
            stored = Checkpoint(states, cost, log.position, version("nastk"), self._origin)
            path = checkpoint.write(self.folder.checkpoints, stored, f"{steps:012d}")
        branch = branches[0]
        self.relay.emit(CheckpointSaved(branch.name, branch.epoch, branch.step, str(path)))

    def _note_error(self, message: str, log: EventLog) -> None:
        # Where the disk is full, or the folder gone, the message still reaches the terminal; half a
        # message in the folder would help nobody.
        with suppress(OSError, NastkError):
            log.check()
            write_atomically(self.folder.path / "error.txt", f"{message}\n".encode())
