"""`nastk evaluate`: evaluate the architecture of a run, or one from another source."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from nastk.base import defaults
from nastk.base.component import ComponentSpec, assignments
from nastk.base.cost import Ledger
from nastk.base.errors import ConfigurationError
from nastk.base.events import EvaluatorWorking
from nastk.base.failures import blamed
from nastk.base.plugins import catalogue
from nastk.base.seeds import seed_of
from nastk.cli import output
from nastk.cli.given import GivenArchitecture, given_architecture
from nastk.cli.progress import ProgressView
from nastk.cli.subject import check_images, final_branch, refuse_for_run
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
from nastk.runs.checkpoint import newest
from nastk.runs.config import component_use, evaluator_config, merge
from nastk.runs.evaluating import EvaluatorUses, evaluator_use
from nastk.runs.folder import RunFolder, means_a_run
from nastk.runs.result import Result
from nastk.runs.search_config import ComponentConfig, SearchConfig
from nastk.spaces.space import SearchSpace
from nastk.train.context import RunContext
from nastk.train.evaluator import Evaluation, EvaluationContext, Evaluator, RunHandle, evaluated
from nastk.train.probe import Probe

USUAL = Task(classes=10, channels=3, size=32)
"""The task for which a network's size is counted where no data is named: that of CIFAR-10."""


@dataclass(frozen=True)
class Request:
    """The request of `nastk evaluate` without the architecture; flags as they were typed.

    Example: `Request(["size"], space="darts").uses()`
    """

    evaluators: Sequence[str]
    options: Sequence[str] = ()
    space: str | None = None
    space_options: Sequence[str] = ()
    data: str | None = None
    data_options: Sequence[str] = ()
    seed: int | None = None
    device: str | None = None

    def uses(self) -> list[ComponentSpec]:
        """Returns the evaluators with their options.

        Raises:
            ConfigurationError: an evaluator is named twice, or `-o` is used with several.
        """
        specs = [evaluator_use(text) for text in self.evaluators]
        names = [spec.name for spec in specs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f"Evaluator {twice[0]!r} is named twice. Name it once.")
        if self.options and len(specs) > 1:
            raise ConfigurationError(
                f"-o does not say which of {', '.join(names)} it is for. Write it behind its "
                f"evaluator: -e {names[0]},{self.options[0]}."
            )
        added = assignments(self.options, "-o")
        return [ComponentSpec(spec.name, {**spec.options, **added}) for spec in specs]


def evaluate(word: str, request: Request, json: bool) -> None:
    """`nastk evaluate`: print evaluations; those of a run's architecture join its result."""
    specs = request.uses()
    if means_a_run(word):
        evaluations = _of_run(RunFolder.open(word), request, specs)
    else:
        given = given_architecture(word, request.space, request.space_options)
        evaluations = _of_architecture(given, request, specs)
    if json:
        values = [evaluation.to_json() for evaluation in evaluations]
        output.print_json(values[0] if len(values) == 1 else values)
    else:
        values = [evaluation.to_json() for evaluation in evaluations]
        output.show(summary({"evaluations": values}, []))


def _of_run(
    folder: RunFolder, request: Request, specs: Sequence[ComponentSpec]
) -> list[Evaluation]:
    """Evaluate the architecture of a run in the run's context, and add that to the run's result."""
    refuse_for_run(folder, request.space, request.space_options, request.data)
    result = Result(folder)
    architecture = result.architecture
    changed = assignments(request.data_options, "-d")
    layers: dict[str, Any] = {"data": {"name": None, "options": changed}}
    layers |= {"device": request.device, "seed": request.seed}
    continuing.configuration(folder, None)
    config = continuing.resolved(folder, merge(folder.config(), layers))
    configs = [evaluator_config(requested, config) for requested in specs]
    installed = catalogue()
    if not request.data_options and not any(
        evaluator_class.needs_images or evaluator_class.needs_supernet
        for evaluator_class in (installed.load("evaluator", requested.name) for requested in specs)
    ):
        return _without_images(folder, result, config, configs)
    assembly = assemble(config)
    redivided = bool(request.data_options) or request.seed is not None
    output.warn(check_images(folder, assembly, redivided))
    evaluations = []
    for spec in configs:
        ledger = Ledger()
        with assembly.execution.settings(), ProgressView(output.stderr()) as view:
            context = RunContext(ledger, view)
            component = evaluator(assembly, spec.name, spec.options, context)
            probe = _probe(folder, assembly, component, context)
            called = installed.called("evaluator", spec.name)
            with ledger.phase("evaluate"), blamed(called, "evaluating"):
                evaluation = evaluated(component, architecture, probe)
                ledger.memory(peak_memory(assembly.execution.device))
        result.add(evaluation, ledger.cost())
        evaluations.append(evaluation)
    return evaluations


def _probe(
    folder: RunFolder, assembly: Assembly, evaluator: Evaluator, context: RunContext
) -> Probe | None:
    """Returns a probe of the run's trained supernet, for an evaluator that needs it; else None."""
    if not evaluator.needs_supernet:
        return None
    stored = newest(folder.checkpoints)
    if stored is None:
        raise ConfigurationError(
            f"Evaluator {evaluator.name!r} needs the trained supernet, and {folder.path} has no "
            "checkpoint."
        )
    branch = final_branch(folder, assembly, *stored)
    return replace(assembly.trainer, context=context).probe(branch)


def _without_images(
    folder: RunFolder,
    result: Result,
    config: SearchConfig,
    specs: Sequence[ComponentConfig],
) -> list[Evaluation]:
    """Evaluate the architecture of a run without opening its images, which may be deleted."""
    installed = catalogue()
    space_class: type[SearchSpace] = installed.load("space", config.space.name)
    space = space_class(space_class.parse_options(config.space.options))
    context = EvaluationContext(space, result.task, _no_images(result.task), config.seed)
    evaluations = []
    for spec in specs:
        evaluator_class: type[Evaluator] = installed.load("evaluator", spec.name)
        evaluator = evaluator_class(context, evaluator_class.parse_options(spec.options))
        with blamed(installed.called("evaluator", spec.name), "evaluating"):
            evaluation = evaluated(evaluator, result.architecture, None)
        result.add(evaluation)
        evaluations.append(evaluation)
    return evaluations


def _of_architecture(
    given: GivenArchitecture, request: Request, specs: Sequence[ComponentSpec]
) -> list[Evaluation]:
    """Evaluate an architecture that comes from no run of the user."""
    installed = catalogue()
    classes: list[type[Evaluator]] = [installed.load("evaluator", spec.name) for spec in specs]
    for evaluator_class in classes:
        if evaluator_class.needs_supernet:
            others = " or ".join(defaults.NETWORK_EVALUATORS)
            raise ConfigurationError(
                f"Evaluator {evaluator_class.name!r} needs a trained supernet, which only a run "
                f"has. Search first (nastk search --space {given.space.name} ...) and evaluate "
                f"that run, or use one that needs none, such as {others}."
            )
        if evaluator_class.needs_images and request.data is None:
            raise ConfigurationError(
                f"Evaluator {evaluator_class.name!r} needs images. Name them, e.g. --data "
                f"{defaults.DATA_EXAMPLE}, or --data {defaults.DATA_FROM_FOLDER}."
            )
    execution = Execution.choose(request.device or "auto")
    need_images = any(evaluator_class.needs_images for evaluator_class in classes)
    context = _context(given, request, execution, need_images)
    data = component_use("data", request.data).name if request.data else ""
    uses = EvaluatorUses(given.space.name, data, installed)
    evaluations = []
    with execution.settings(), ProgressView(output.stderr()) as view:
        context = replace(
            context,
            run=RunHandle(tell=lambda *progress: view(EvaluatorWorking("0", 0, 0, *progress))),
        )
        for spec, evaluator_class in zip(specs, classes, strict=True):
            options = evaluator_class.parse_options(uses.config(spec)["options"])
            evaluator = evaluator_class(context, options)
            with blamed(installed.called("evaluator", evaluator_class.name), "evaluating"):
                evaluations.append(evaluated(evaluator, given.architecture, None))
    return evaluations


def _context(
    given: GivenArchitecture, request: Request, execution: Execution, images: bool
) -> EvaluationContext:
    """Returns the space with the named data's task, and with its splits if `images` are needed.

    Without data the task is `USUAL`, with the sizes that `-d` gives.
    """
    options, seed = assignments(request.data_options, "-d"), request.seed or 0
    if request.data is None:
        task = _task(options)
        return EvaluationContext(given.space, task, _no_images(task), seed, execution.device)
    spec = component_use("data", request.data)
    source_class: type[DataSource] = catalogue().load("data", spec.name)
    source = source_class(source_class.parse_options({**spec.options, **options}))
    output.warn(source.notes)
    if not images:
        return EvaluationContext(
            given.space, source.task, _no_images(source.task), seed, execution.device
        )
    splits = source.splits(seed_of(seed, "data"))
    return EvaluationContext(given.space, source.task_of(splits), splits, seed, execution.device)


def _task(options: Mapping[str, Any]) -> Task:
    """Returns `USUAL` with other sizes.

    Raises:
        ConfigurationError: an option is not among `Task`'s sizes, or no whole number from 1.
    """
    readers: dict[str, Callable[[Any], Any]] = {
        "classes": _count,
        "channels": _count,
        "size": read_size,
    }
    sizes: dict[str, Any] = {name: getattr(USUAL, name) for name in readers}
    for name, value in options.items():
        try:
            sizes[name] = readers[name](value)
        except (KeyError, ValueError):
            raise ConfigurationError(
                f"Without --data, -d says for which images a network is counted: classes, "
                f"channels and size, each a whole number from 1 (size also as HEIGHTxWIDTH, such "
                f"as 24x32); got {name}={value!r}."
            ) from None
    return Task(**sizes)


def _count(value: Any) -> int:
    """Returns a value that is a whole number from 1.

    Raises:
        ValueError: it is not.
    """
    if type(value) is not int or value < 1:
        raise ValueError(value)
    return value


def _no_images(task: Task) -> Splits:
    """Returns splits without images, for evaluators that need none."""
    images = torch.zeros(0, *task.shape, dtype=torch.uint8)
    channels = (0.0,) * task.channels, (1.0,) * task.channels
    empty = Split(images, torch.zeros(0, dtype=torch.long), Augmentation(*channels))
    return Splits(empty, empty, empty)
