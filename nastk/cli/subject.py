"""What a command works on that trains or measures one architecture: `subject_of`, and `at_work`.

The architecture, its space and its images come from a run, or from elsewhere with `--space` and
`--data`. Commands of plugins use this; `evaluate.py` shares the parts that concern runs.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nastk.base import defaults
from nastk.base.component import ComponentSpec, assignments, written
from nastk.base.cost import Cost
from nastk.base.errors import CheckpointError, ConfigurationError, DataError
from nastk.base.events import EvaluatorWorking
from nastk.base.plugins import catalogue
from nastk.base.seeds import seed_of
from nastk.base.wording import command
from nastk.cli import output
from nastk.cli.given import given_architecture
from nastk.cli.progress import ProgressView
from nastk.cli.signals import stop_on_signals
from nastk.data.inventory import Inventory
from nastk.data.source import DataSource
from nastk.nn.execution import Execution
from nastk.runs import continuing
from nastk.runs.assembly import Assembly, assemble
from nastk.runs.checkpoint import Checkpoint, newest
from nastk.runs.config import component_use, merge
from nastk.runs.evaluating import EvaluatorUses
from nastk.runs.folder import RunFolder, means_a_run
from nastk.runs.latest import Latest
from nastk.runs.result import Result
from nastk.spaces.architecture import Architecture
from nastk.spaces.supernet import Supernet
from nastk.train.branch import Branch
from nastk.train.evaluator import Evaluation, EvaluationContext, RunHandle


@dataclass(frozen=True)
class SubjectRequest:
    """The flags that say which space and images an architecture has, as they were typed.

    Example: `SubjectRequest(space="darts", data="cifar10")`
    """

    space: str | None = None
    space_options: Sequence[str] = ()
    data: str | None = None
    data_options: Sequence[str] = ()
    device: str | None = None


@dataclass(frozen=True)
class Subject:
    """An architecture with its space, its images and the device; perhaps the finding of a run.

    `space` and `data` have all options written out, `digests` identify the images of each split.
    `folder` is the run's folder, None for an architecture from elsewhere.

    Example: `subject_of("runs/a", SubjectRequest()).context.splits.train`
    """

    architecture: Architecture
    space: ComponentSpec
    data: ComponentSpec
    context: EvaluationContext
    execution: Execution
    folder: Path | None = None
    _assembly: Assembly | None = field(default=None, repr=False)

    def digests(self) -> dict[str, str]:
        """Returns a digest of the images of each split, in their order."""
        inventory = Inventory.of(self.context.splits, self.context.task)
        return {name: part.digest for name, part in inventory.parts.items()}

    def options_of(self, evaluator: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns all options of an evaluator for this space and data, its preset filled in.

        Raises:
            ConfigurationError: an unknown option or preset, or a value out of range.
        """
        uses = EvaluatorUses(self.space.name, self.data.name, catalogue())
        found: dict[str, Any] = uses.config(ComponentSpec(evaluator, options))["options"]
        return found

    def supernet(self) -> Supernet:
        """Returns the trained supernet of the run.

        Raises:
            ConfigurationError: there is no run, or it has no checkpoint.
            CheckpointError: the supernet at the end of the run is lost.
        """
        if self.folder is None or self._assembly is None:
            raise ConfigurationError(
                "Only a run has a trained supernet, and this architecture is from elsewhere. Name "
                "the run folder of a search."
            )
        folder = RunFolder(self.folder)
        stored = newest(folder.checkpoints)
        if stored is None:
            raise ConfigurationError(f"{self.folder} has no checkpoint, so its supernet is lost.")
        branch = final_branch(folder, self._assembly, *stored)
        if not branch.updater.trains_supernet:
            raise ConfigurationError(
                f"{self.folder} has no supernet: its updater {branch.updater.name!r} trains none."
            )
        return branch.supernet

    def add(self, evaluation: Evaluation, cost: Cost) -> None:
        """Adds an evaluation and its cost to the run's result; nothing without a run."""
        if self.folder is not None:
            Result(RunFolder(self.folder)).add(evaluation, cost)


def subject_of(word: str, request: SubjectRequest) -> Subject:
    """Returns what a command works on: `word` is a run folder, or an architecture in any form.

    Raises:
        ConfigurationError: it is none, or a flag lacks or does not fit.
        DataError: the images cannot be used, or are not those of the run.
    """
    return (
        _of_run(RunFolder.open(word), request)
        if means_a_run(word)
        else _from_elsewhere(word, request)
    )


@contextmanager
def at_work(
    subject: Subject, quiet: bool = False, folder: Path | None = None
) -> Iterator[EvaluationContext]:
    """Context for long work: shows its progress, and stops at SIGINT and SIGTERM.

    The context that it gives has a run handle (`EvaluationContext.run`) for progress and for the
    signal to stop; cost is the caller's to count. `nastk watch` shows what it is at if `folder` is
    where the work is kept.

    Example: `with at_work(subject) as context: Training(architecture, context, ...)`
    """
    stop = _Stop()
    latest = None if folder is None else Latest(folder)
    show = nullcontext() if quiet else ProgressView(output.stderr())
    with subject.execution.settings(), stop_on_signals(stop), show as view:

        def tell(message: str, done: int, total: int) -> None:
            event = EvaluatorWorking("0", 0, 0, message, done, total)
            if view is not None:
                view(event)
            if latest is not None:
                latest.write(event)

        try:
            yield replace(subject.context, run=RunHandle(tell=tell, stopping=lambda: stop.stopping))
        finally:
            if latest is not None:
                latest.remove()


class _Stop:
    """Remembers that a signal asked for the end of the work."""

    stopping = False

    def stop(self) -> None:
        """Called at the first signal."""
        self.stopping = True


def refuse_for_run(
    folder: RunFolder, space: str | None, space_options: Sequence[str], data: str | None
) -> None:
    """Called where a run is named: raises an error for flags that only others need.

    Raises:
        ConfigurationError: one of the flags was typed.
    """
    for flag, value in {"--space": space, "-s": space_options, "--data": data}.items():
        if value:
            raise ConfigurationError(
                f"{flag} is for an architecture from elsewhere; {folder.path} is a run, which says "
                "itself what it searched. Leave it out."
            )


def _of_run(folder: RunFolder, request: SubjectRequest) -> Subject:
    """Returns the architecture that a run found, with the run's space and images."""
    refuse_for_run(folder, request.space, request.space_options, request.data)
    architecture = Result(folder).architecture
    changed = assignments(request.data_options, "-d")
    layers = {"data": {"name": None, "options": changed}, "device": request.device}
    continuing.configuration(folder, None)
    config = continuing.resolved(folder, merge(folder.config(), layers))
    assembly = assemble(config)
    output.warn(assembly.notes)
    output.warn(check_images(folder, assembly, bool(changed)))
    context = EvaluationContext(
        assembly.space, assembly.task, assembly.splits, config.seed, assembly.execution.device
    )
    space = ComponentSpec(config.space.name, config.space.options)
    data = ComponentSpec(config.data.name, config.data.options)
    execution = assembly.execution
    return Subject(architecture, space, data, context, execution, folder.path, assembly)


def _from_elsewhere(word: str, request: SubjectRequest) -> Subject:
    """Returns an architecture from elsewhere, with the images that the request names."""
    given = given_architecture(word, request.space, request.space_options)
    if request.data is None:
        raise ConfigurationError(
            f"An architecture from elsewhere needs images. Name them, e.g. --data "
            f"{defaults.DATA_EXAMPLE}, or --data {defaults.DATA_FROM_FOLDER}."
        )
    spec = component_use("data", request.data)
    source_class: type[DataSource] = catalogue().load("data", spec.name)
    changed = assignments(request.data_options, "-d")
    source = source_class(source_class.parse_options({**spec.options, **changed}))
    splits = source.splits(seed_of(0, "data"))
    output.warn(source.notes)
    execution = Execution.choose(request.device or "auto")
    context = EvaluationContext(given.space, source.task_of(splits), splits, 0, execution.device)
    space = ComponentSpec(given.space.name, written(given.space.options))
    data = ComponentSpec(spec.name, written(source.options))
    return Subject(given.architecture, space, data, context, execution)


def check_images(folder: RunFolder, assembly: Assembly, redivided: bool) -> list[str]:
    """Raises `DataError` for images other than the run's; a warning where they are `redivided`.

    They are where the user asked for other options of the data, or for another seed.
    """
    try:
        return continuing.images(folder, assembly, None)
    except DataError as error:
        if not redivided:
            raise
        return [str(error)]


def final_branch(
    folder: RunFolder, assembly: Assembly, checkpoint: Checkpoint, messages: Sequence[str]
) -> Branch:
    """Returns the branch that made a finished run's decision, with its last weights.

    `messages` are about damaged checkpoints that are newer than `checkpoint`.
    """
    name = folder.result()["branch"]
    states = {state["name"]: state for state in checkpoint.branches}
    if messages or name not in states:
        raise CheckpointError(
            f"{' '.join(messages) or f'The newest checkpoint has no branch {name!r}.'} The "
            "supernet as it was at the end of the run is lost; to train it again from the "
            f"checkpoint before, remove {folder.path / 'result.json'} and type "
            f"`{command('nastk', 'resume', folder.path)}`."
        )
    return continuing.restored(assembly.trainer, checkpoint, assembly.config, states[name])
