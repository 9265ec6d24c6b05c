"""`nastk evaluate`: an evaluator judges what a run found, or an architecture from elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from nastk.base import defaults
from nastk.base.component import ComponentSpec, assignments
from nastk.base.cost import Ledger
from nastk.base.errors import CheckpointError, ConfigurationError, DataError
from nastk.base.events import EvaluatorWorking
from nastk.base.failures import blamed
from nastk.base.plugins import catalogue
from nastk.base.seeds import seed_of
from nastk.base.wording import command
from nastk.cli import output
from nastk.cli.brought import Brought, brought
from nastk.cli.progress import ProgressView
from nastk.data.augment import Augmentation
from nastk.data.image_size import read_size
from nastk.data.source import DataSource
from nastk.data.splits import Split, Splits
from nastk.data.task import Task
from nastk.nn.execution import Execution
from nastk.nn.memory import peak_memory
from nastk.report.summary import summary
from nastk.runs import continuing
from nastk.runs.assembly import Assembly, assemble, evaluator
from nastk.runs.checkpoint import Checkpoint, newest
from nastk.runs.config import component_use, evaluator_config, merge
from nastk.runs.evaluating import EvaluatorUses, evaluator_use
from nastk.runs.folder import RunFolder, means_a_run
from nastk.runs.result import Result
from nastk.runs.search_config import ComponentConfig, SearchConfig
from nastk.spaces.space import SearchSpace
from nastk.train.branch import Branch
from nastk.train.context import RunContext
from nastk.train.evaluator import Evaluation, EvaluationContext, Evaluator, RunHandle, evaluated
from nastk.train.probe import Probe

USUAL = Task(classes=10, channels=3, size=32)
"""The images that a network is counted for where none are named: CIFAR's."""


@dataclass(frozen=True)
class Request:
    """What `nastk evaluate` was asked for besides the architecture; flags as they were typed."""

    evaluators: Sequence[str]
    options: Sequence[str] = ()
    space: str | None = None
    space_options: Sequence[str] = ()
    data: str | None = None
    data_options: Sequence[str] = ()
    seed: int | None = None
    device: str | None = None

    def uses(self) -> list[ComponentSpec]:
        """The evaluators with their options.

        Raises:
            ConfigurationError: one is named twice, or options do not say whose they are.
        """
        named = [evaluator_use(one) for one in self.evaluators]
        names = [one.name for one in named]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f"Evaluator {twice[0]!r} is named twice. Name it once.")
        if self.options and len(named) > 1:
            raise ConfigurationError(
                f"-o does not say which of {', '.join(names)} it is for. Write it behind its "
                f"evaluator: -e {names[0]},{self.options[0]}."
            )
        more = assignments(self.options, "-o")
        return [ComponentSpec(one.name, {**one.options, **more}) for one in named]


def evaluate(word: str, asked: Request, json: bool) -> None:
    """Judge, keep what was found in the run's result if there is a run, and print what is new."""
    uses = asked.uses()
    if means_a_run(word):
        found = _of_run(RunFolder.open(word), asked, uses)
    else:
        found = _elsewhere(brought(word, asked.space, asked.space_options), asked, uses)
    if json:
        values = [one.to_json() for one in found]
        output.print_json(values[0] if len(values) == 1 else values)
    else:
        output.show(summary({"evaluations": [one.to_json() for one in found]}, []))


def _of_run(folder: RunFolder, asked: Request, uses: Sequence[ComponentSpec]) -> list[Evaluation]:
    """Judge what a run found, in the setting of the run, and add it to the run's result."""
    flags = {"--space": asked.space, "-s": asked.space_options, "--data": asked.data}
    for flag, value in flags.items():
        if value:
            raise ConfigurationError(
                f"{flag} is for an architecture from elsewhere; {folder.path} is a run, which says "
                "itself what it searched. Leave it out."
            )
    result = Result(folder)
    architecture = result.architecture
    changed = assignments(asked.data_options, "-d")
    layers: dict[str, Any] = {"data": {"name": None, "options": changed}}
    layers |= {"device": asked.device, "seed": asked.seed}
    continuing.configuration(folder, None)
    config = continuing.resolved(folder, merge(folder.config(), layers))
    configs = [evaluator_config(use, config) for use in uses]
    installed = catalogue()
    if not asked.data_options and not any(
        each.needs_images or each.needs_supernet
        for each in (installed.load("evaluator", use.name) for use in uses)
    ):
        return _without_images(folder, result, config, configs)
    assembly = assemble(config)
    another = bool(asked.data_options) or asked.seed is not None
    output.warn(_same_images(folder, assembly, another))
    found = []
    for one in configs:
        ledger = Ledger()
        with assembly.execution.settings(), ProgressView(output.stderr()) as view:
            context = RunContext(ledger, view)
            judging = evaluator(assembly, one.name, one.options, context)
            probe = _probe(folder, assembly, judging, context)
            who = installed.called("evaluator", one.name)
            with ledger.phase("evaluate"), blamed(who, "judging"):
                evaluation = evaluated(judging, architecture, probe)
                ledger.memory(peak_memory(assembly.execution.device))
        result.add(evaluation, ledger.cost())
        found.append(evaluation)
    return found


def _same_images(folder: RunFolder, assembly: Assembly, another: bool) -> list[str]:
    """Refuse other images than the run's; only warn where `another` division was asked for."""
    try:
        return continuing.images(folder, assembly, None)
    except DataError as error:
        if not another:
            raise
        return [str(error)]


def _probe(
    folder: RunFolder, assembly: Assembly, evaluator: Evaluator, context: RunContext
) -> Probe | None:
    """Measures the supernet that the run trained, for evaluators that need one."""
    if not evaluator.needs_supernet:
        return None
    stored = newest(folder.checkpoints)
    if stored is None:
        raise ConfigurationError(
            f"Evaluator {evaluator.name!r} needs the trained supernet, and {folder.path} has no "
            "checkpoint."
        )
    branch = _branch(folder, assembly, *stored)
    return replace(assembly.trainer, context=context).probe(branch)


def _branch(
    folder: RunFolder, assembly: Assembly, found: Checkpoint, complaints: Sequence[str]
) -> Branch:
    """The branch that a finished run's architecture came from, with its last weights."""
    name = folder.result()["branch"]
    states = {state["name"]: state for state in found.branches}
    if complaints or name not in states:
        raise CheckpointError(
            f"{' '.join(complaints) or f'The newest checkpoint has no branch {name!r}.'} The "
            "supernet as it was at the end of the run is lost; to train it again from the "
            f"checkpoint before, remove {folder.path / 'result.json'} and type "
            f"`{command('nastk', 'resume', folder.path)}`."
        )
    return continuing.restored(assembly.trainer, found, assembly.config, states[name])


def _without_images(
    folder: RunFolder,
    result: Result,
    config: SearchConfig,
    judges: Sequence[ComponentConfig],
) -> list[Evaluation]:
    """Judge what a run found without opening its images, which may be gone."""
    installed = catalogue()
    space_class: type[SearchSpace] = installed.load("space", config.space.name)
    space = space_class(space_class.parse_options(config.space.options))
    setting = EvaluationContext(space, result.task, _nothing(result.task), config.seed)
    found = []
    for one in judges:
        judge_class: type[Evaluator] = installed.load("evaluator", one.name)
        evaluator = judge_class(setting, judge_class.parse_options(one.options))
        with blamed(installed.called("evaluator", one.name), "judging"):
            evaluation = evaluated(evaluator, result.architecture, None)
        result.add(evaluation)
        found.append(evaluation)
    return found


def _elsewhere(given: Brought, asked: Request, uses: Sequence[ComponentSpec]) -> list[Evaluation]:
    """Judge an architecture that no run found."""
    installed = catalogue()
    classes: list[type[Evaluator]] = [installed.load("evaluator", use.name) for use in uses]
    for one in classes:
        if one.needs_supernet:
            raise ConfigurationError(
                f"Evaluator {one.name!r} needs a trained supernet, which only a run has. Search "
                f"first (nastk search --space {given.space.name} ...) and evaluate that run, or "
                f"use one that needs none, such as {' or '.join(defaults.NETWORK_EVALUATORS)}."
            )
        if one.needs_images and asked.data is None:
            raise ConfigurationError(
                f"Evaluator {one.name!r} needs images. Name them, e.g. --data "
                f"{defaults.DATA_EXAMPLE}, or --data {defaults.DATA_FROM_FOLDER}."
            )
    execution = Execution.choose(asked.device or "auto")
    setting = _setting(given, asked, execution, any(one.needs_images for one in classes))
    data = component_use("data", asked.data).name if asked.data else ""
    judges = EvaluatorUses(given.space.name, data, installed)
    found = []
    with execution.settings(), ProgressView(output.stderr()) as view:
        told = replace(
            setting,
            run=RunHandle(tell=lambda *piece: view(EvaluatorWorking("0", 0, 0, *piece))),
        )
        for use, one in zip(uses, classes, strict=True):
            evaluator = one(told, one.parse_options(judges.config(use)["options"]))
            with blamed(installed.called("evaluator", one.name), "judging"):
                found.append(evaluated(evaluator, given.architecture, None))
    return found


def _setting(
    given: Brought, asked: Request, execution: Execution, images: bool
) -> EvaluationContext:
    """The space with the images that were named; without any, those of `USUAL`, or of `-d`."""
    options, seed = assignments(asked.data_options, "-d"), asked.seed or 0
    if asked.data is None:
        task = _task(options)
        return EvaluationContext(given.space, task, _nothing(task), seed, execution.device)
    use = component_use("data", asked.data)
    found: type[DataSource] = catalogue().load("data", use.name)
    source = found(found.parse_options({**use.options, **options}))
    output.warn(source.notes)
    if not images:
        return EvaluationContext(
            given.space, source.task, _nothing(source.task), seed, execution.device
        )
    splits = source.splits(seed_of(seed, "data"))
    return EvaluationContext(given.space, source.task_of(splits), splits, seed, execution.device)


def _task(options: Mapping[str, Any]) -> Task:
    """`USUAL` with other sizes.

    Raises:
        ConfigurationError: an option that is none of `Task`'s numbers.
    """
    readers: dict[str, Callable[[Any], Any]] = {
        "classes": _count,
        "channels": _count,
        "size": read_size,
    }
    found: dict[str, Any] = {name: getattr(USUAL, name) for name in readers}
    for name, value in options.items():
        try:
            found[name] = readers[name](value)
        except (KeyError, ValueError):
            raise ConfigurationError(
                f"Without --data, -d says for which images a network is counted: classes, "
                f"channels and size, each a whole number from 1 (size also as HEIGHTxWIDTH, such "
                f"as 24x32); got {name}={value!r}."
            ) from None
    return Task(**found)


def _count(value: Any) -> int:
    """A whole number from 1.

    Raises:
        ValueError: it is none.
    """
    if type(value) is not int or value < 1:
        raise ValueError(value)
    return value


def _nothing(task: Task) -> Splits:
    """Splits without images, for evaluators that look at none."""
    images = torch.zeros(0, *task.shape, dtype=torch.uint8)
    channels = (0.0,) * task.channels, (1.0,) * task.channels
    empty = Split(images, torch.zeros(0, dtype=torch.long), Augmentation(*channels))
    return Splits(empty, empty, empty)
