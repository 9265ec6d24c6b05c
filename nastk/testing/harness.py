"""A whole search on the toy space in a second: `Harness`, for tests of training without files."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nastk.base.events import Event
from nastk.base.plugins import catalogue
from nastk.base.processes import ALONE, Processes
from nastk.data.opening import stream
from nastk.data.source import DataSource
from nastk.nn.execution import Execution
from nastk.runs.criterion import criterion_of
from nastk.spaces.space import SearchSpace
from nastk.testing.toy import ToyData, ToySpace
from nastk.train.branch import Branch
from nastk.train.context import RunContext
from nastk.train.evaluator import EvaluationContext, Evaluator, RunHandle
from nastk.train.options import TrainerOptions
from nastk.train.trainer import Moment, Trainer
from nastk.train.updater import ArchitectureUpdater, Plan
from nastk.train.watching import Watcher


@dataclass
class Harness:
    """Trains an updater on a space and on data, small by default, and keeps the events.

    Example:
        harness = Harness(Shapley, {"samples": 2, "warmup": 0})
        (branch,) = harness.run()
        branch.updater.architecture(harness.trainer.probe(branch))
    """

    updater: type[ArchitectureUpdater]
    options: Mapping[str, Any] = field(default_factory=dict)
    space: SearchSpace = field(default_factory=ToySpace)
    data: DataSource = field(default_factory=ToyData)
    trainer_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"
    events: list[Event] = field(default_factory=list)
    watchers: Sequence[Watcher] = ()
    processes: Processes = ALONE

    def __post_init__(self) -> None:
        options = TrainerOptions(
            **{"epochs": 3, "batch_size": 16, "learning_rate": 0.05, **self.trainer_options}
        )
        execution = Execution(torch.device(self.device), processes=self.processes)
        self.splits = self.data.splits(self.seed)
        parsed = self.updater.parse_options(self.options)

        def batches(name: str) -> Any:
            split = getattr(self.splits, name)
            return (
                stream(split, options.batch_size, self.seed, name, execution.device)
                if len(split)
                else None
            )

        self.context = RunContext(emit=self.events.append)
        asked = self.updater(self.space, parsed, torch.Generator())
        self.criterion = criterion_of(asked, self._evaluation_context(execution), _evaluator)
        self.trainer = Trainer(
            self.space,
            self.data.task_of(self.splits),
            lambda space, rng, device: self.updater(space, parsed, rng, device),
            batches("train"),
            batches("valid"),
            options,
            execution,
            self.seed,
            self.context,
            self.watchers,
            self.criterion,
        )

    def _evaluation_context(self, execution: Execution) -> EvaluationContext:
        """Returns what the evaluator that the updater searches by is made with."""
        ledger = self.context.ledger
        run = RunHandle(ledger.charge, record=ledger.record)
        task = self.data.task_of(self.splits)
        return EvaluationContext(self.space, task, self.splits, self.seed, execution.device, run)

    @property
    def plan(self) -> Plan:
        """The plan of this run, for the updater's `incompatibility` and `max_cost`."""
        options = self.trainer.options
        sizes = len(self.splits.train), len(self.splits.valid)
        steps = len(self.trainer.train) if self.updater.trains_supernet else 0
        evaluator = None if self.criterion is None else self.criterion.evaluator
        evaluation = None if evaluator is None else evaluator.max_cost()
        return Plan(options.epochs, steps, options.batch_size, *sizes, evaluation=evaluation)

    def run(self, branches: list[Branch] | None = None, steps: int | None = None) -> list[Branch]:
        """Train `branches` (None: a new root) to the end, or for `steps` steps; returns them."""
        branches = [self.trainer.root()] if branches is None else branches
        taken = 0
        for moment in self.trainer.run(branches):
            taken += moment == "step"
            if steps is not None and taken >= steps:
                break
        return branches

    def until(self, moment: Moment) -> list[Branch]:
        """Train from the start up to the first moment of this kind; returns the branches."""
        branches = [self.trainer.root()]
        for reached in self.trainer.run(branches):
            if reached == moment:
                break
        return branches

    def resumed(self, branches: list[Branch]) -> list[Branch]:
        """Returns branches that are rebuilt from the states of these, as in a resumed run."""
        return [self.trainer.restore(branch.state_dict()) for branch in branches]


def _evaluator(name: str, options: dict[str, Any], context: EvaluationContext) -> Evaluator:
    """Returns the installed evaluator of this name."""
    evaluator: type[Evaluator] = catalogue().load("evaluator", name)
    return evaluator(context, evaluator.parse_options(options))


def fingerprint(value: Any) -> str:
    """Returns a hash of nested tensors and plain values: equal only for equal bits."""
    digest = hashlib.sha256()

    def add(item: Any) -> None:
        if isinstance(item, Tensor):
            digest.update(f"{item.dtype}{tuple(item.shape)}".encode())
            digest.update(
                item.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            )
        elif isinstance(item, Mapping):
            for key in item:
                digest.update(repr(key).encode())
                add(item[key])
        elif isinstance(item, (list, tuple)):
            digest.update(f"{len(item)}".encode())
            for element in item:
                add(element)
        else:
            digest.update(repr(item).encode())

    add(value)
    return digest.hexdigest()
