"""The parts of a run, made and checked before training starts: `assemble`.

Names and options were checked by `config.py`. `assemble` opens the data, checks that the splits
which the method needs are not empty, shows the plan to the updater, and runs a tiny batch through
the supernet.
"""

from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from nastk.base.errors import ConfigurationError, DataError, NastkError
from nastk.base.events import EvaluatorWorking
from nastk.base.failures import RAISED, as_nastk_error, blamed, out_of_memory
from nastk.base.plugins import Catalogue, catalogue
from nastk.base.seeds import generator
from nastk.data.opening import stream
from nastk.data.splits import Splits
from nastk.data.streams import Stream
from nastk.data.task import Task
from nastk.limits.space import ConstrainedSpace, LimitReport
from nastk.nn.execution import Execution
from nastk.runs.criterion import check_without_supernet, criterion_of, left_out
from nastk.runs.images import open_data
from nastk.runs.search_config import SearchConfig
from nastk.runs.watchers import watchers_of
from nastk.spaces.mixture import Mixture
from nastk.spaces.pretrained import load_weights
from nastk.spaces.space import SearchSpace
from nastk.train.context import RunContext
from nastk.train.evaluator import EvaluationContext, Evaluator, RunHandle, evaluated
from nastk.train.evaluator_metric import EvaluatorMetric
from nastk.train.leaf_selection import Chooser
from nastk.train.look_up import LookUp
from nastk.train.trainer import Trainer, UpdaterFactory
from nastk.train.updater import ArchitectureUpdater, Plan


@dataclass
class Assembly:
    """The parts of a run, ready to be driven.

    `trainer` trains, `evaluators` evaluate the decision, `plan` holds the epochs, steps and images
    that are intended. `notes` are remarks for the user, of the data source and on what is left out
    of a run without a supernet; `weight_bytes` is the size of one supernet's weights; `chooser`
    chooses among the leaves of a run that split.
    """

    config: SearchConfig
    space: SearchSpace
    task: Task
    splits: Splits
    trainer: Trainer
    evaluators: list[Evaluator]
    plan: Plan
    execution: Execution
    notes: list[str]
    weight_bytes: int
    chooser: Chooser = field(default_factory=Chooser)


def assemble(
    config: SearchConfig,
    data: Any = None,
    installed: Catalogue | None = None,
    context: RunContext | None = None,
    begins: bool = False,
) -> Assembly:
    """Build and check the parts of a run.

    Args:
        config: a resolved configuration.
        data: where the configuration says `pair`, the (train, valid) or (train, valid, test) sets.
        installed: the catalogue to load classes from.
        context: receives the run's cost and events; a new one where None.
        begins: True if the run has no checkpoint yet; then the file `config.weights` is tried.

    Raises:
        ConfigurationError: the parts do not fit together; the message says why and what to do.
        DataError: the images cannot be used.
    """
    installed, context = installed or catalogue(), context or RunContext()
    execution = Execution.choose(
        config.device, config.precision, config.deterministic, config.trainer.threads
    ).shared(context.processes)
    space: SearchSpace = _component(installed, "space", config.space.name, config.space.options)
    source, splits, task = open_data(config, data, installed)
    make_updater = _updater_factory(config, splits, installed)
    evaluation_context = EvaluationContext(space, task, splits, config.seed, execution.device)

    # From here on updaters and evaluators alike see only the space within the limits.
    limited = _limited(installed, config, evaluation_context)
    space = limited or space
    train = _stream(splits, "train", config, execution)
    valid = _stream(splits, "valid", config, execution) if len(splits.valid) else None
    evaluation_context = replace(
        evaluation_context, space=space, run=_run_handle(context, config.trainer.epochs)
    )
    with blamed(installed.called("updater", config.updater.name), "it was made and shown the plan"):
        updater = make_updater(space, generator(config.seed, "check"), torch.device("cpu"))
        criterion = criterion_of(updater, evaluation_context, partial(_evaluator, installed))
        plan = _plan(config, splits, train, updater, criterion)
        _check_plan(updater, plan)
    check_without_supernet(updater, config)
    weight_bytes = 0
    if updater.trains_supernet:
        space_name = installed.called("space", config.space.name)
        weight_bytes = _rehearse(space, task, space_name, config.weights if begins else None)

    # A ranking asks its evaluator for the truth.
    with context.ledger.phase("watch") if config.ranking else nullcontext():
        make = partial(_evaluator, installed)
        watchers = watchers_of(config, evaluation_context, limited, updater, make)
    trainer = Trainer(
        space,
        task,
        make_updater,
        train,
        valid,
        config.trainer,
        execution,
        config.seed,
        context,
        watchers,
        criterion,
    )
    evaluators = _evaluators(installed, config, evaluation_context, limited)
    notes = [*source.notes, *left_out(updater, evaluators, config)]
    if not updater.trains_supernet:
        evaluators = [one for one in evaluators if not one.needs_supernet]
    watchers += [LookUp(evaluator) for evaluator in evaluators if evaluator.looks_up]
    chooser = _chooser(installed, config, evaluation_context)
    return Assembly(
        config,
        space,
        task,
        splits,
        trainer,
        evaluators,
        plan,
        execution,
        notes,
        weight_bytes,
        chooser,
    )


def evaluator(
    assembly: Assembly,
    name: str,
    options: dict[str, Any],
    context: RunContext | None = None,
    installed: Catalogue | None = None,
) -> Evaluator:
    """Returns another evaluator for an assembled run.

    Its cost and events go to `context`; to the run's own where that is None.
    """
    evaluation_context = EvaluationContext(
        assembly.space,
        assembly.task,
        assembly.splits,
        assembly.config.seed,
        assembly.execution.device,
        _run_handle(context or assembly.trainer.context, assembly.plan.epochs),
    )
    return _evaluator(installed or catalogue(), name, options, evaluation_context)


def _updater_factory(config: SearchConfig, splits: Splits, installed: Catalogue) -> UpdaterFactory:
    """Returns the function that makes a branch's updater, after checking its options and splits."""
    updater: type[ArchitectureUpdater] = installed.load("updater", config.updater.name)
    options = updater.parse_options(config.updater.options)
    _check_splits(updater, splits, config)
    return lambda space, rng, device: updater(space, options, rng, device)


def _plan(
    config: SearchConfig,
    splits: Splits,
    train: Stream,
    updater: ArchitectureUpdater,
    criterion: EvaluatorMetric | None,
) -> Plan:
    """Returns the epochs, steps and images that the run intends, for checks and forecasts."""
    evaluator = None if criterion is None else criterion.evaluator
    return Plan(
        config.trainer.epochs,
        len(train) if updater.trains_supernet else 0,
        config.trainer.batch_size,
        len(splits.train),
        len(splits.valid),
        evaluation=None if evaluator is None else evaluator.max_cost(),
    )


def _evaluators(
    installed: Catalogue,
    config: SearchConfig,
    context: EvaluationContext,
    limited: ConstrainedSpace | None,
) -> list[Evaluator]:
    """Returns the evaluators of the run's decision; the report on its limits comes last."""
    evaluators = [
        _evaluator(installed, spec.name, spec.options, context) for spec in config.evaluators
    ]
    return [*evaluators, LimitReport(context, limited)] if limited else evaluators


def _run_handle(context: RunContext, epochs: int) -> RunHandle:
    """Returns the run as its evaluators see it.

    Their progress is reported in events of the run's last epoch.
    """

    def tell(message: str, done: int, total: int) -> None:
        context.emit(EvaluatorWorking("0", epochs, 0, message, done, total))

    return RunHandle(context.ledger.charge, tell, context.stopping, context.ledger.record)


def _component(installed: Catalogue, kind: str, name: str, options: dict[str, Any]) -> Any:
    """Returns the component called `name`, made with these options."""
    component = installed.load(kind, name)
    with blamed(installed.called(kind, name), "it was made with these options"):
        return component(component.parse_options(options))


def _evaluator(
    installed: Catalogue, name: str, options: dict[str, Any], context: EvaluationContext
) -> Evaluator:
    """Returns the evaluator called `name`, made with these options."""
    evaluator: type[Evaluator] = installed.load("evaluator", name)
    with blamed(installed.called("evaluator", name), "it was made with these options"):
        return evaluator(context, evaluator.parse_options(options))


def _chooser(installed: Catalogue, config: SearchConfig, context: EvaluationContext) -> Chooser:
    """Returns the chooser among leaves; checks its metric now where the evaluator's are known.

    Raises:
        ConfigurationError: the evaluator has no such metric.
    """
    spec = config.leaf_evaluator
    evaluator = None if spec is None else _evaluator(installed, spec.name, spec.options, context)
    chooser, space = Chooser(evaluator, config.leaf_metric, config.leaf_race), context.space
    if evaluator is None:
        chooser.named(["valid_accuracy"])
    elif evaluator.criteria is not None:
        chooser.named(evaluator.criteria)
    elif not evaluator.needs_supernet:
        architecture = space.sample(space.full(), generator(config.seed, "check"))
        # The table of a tabular evaluator may lack this architecture.
        who = installed.called("evaluator", evaluator.name)
        with suppress(DataError), blamed(who, "naming its metrics"):
            chooser.named(evaluated(evaluator, architecture, None).metrics)
    return chooser


def _limited(
    installed: Catalogue, config: SearchConfig, context: EvaluationContext
) -> ConstrainedSpace | None:
    """Returns the space within the run's limits; None where the run has none.

    Limits whose evaluators have equal options share one evaluator. Updaters hold the space, and
    with it these evaluators, so they get no test images.
    """
    context = replace(context, splits=context.splits.without_test())
    evaluators: dict[str, Evaluator] = {}
    limits = []
    for limit in config.limits or []:
        key = f"{limit.evaluator} {sorted(limit.evaluator_options.items())}"
        if key not in evaluators:
            evaluators[key] = _evaluator(
                installed, limit.evaluator, dict(limit.evaluator_options), context
            )
        limits.append((limit, evaluators[key]))
    return ConstrainedSpace(context.space, limits) if limits else None


def _stream(splits: Splits, name: str, config: SearchConfig, execution: Execution) -> Stream:
    """Returns the batches of the split called `name`."""
    return stream(
        getattr(splits, name),
        config.trainer.batch_size,
        config.seed,
        name,
        execution.device,
        workers=config.trainer.workers,
        processes=execution.processes,
    )


def _check_splits(updater: type[ArchitectureUpdater], splits: Splits, config: SearchConfig) -> None:
    """Raises `ConfigurationError` where a split that the updater learns on is empty."""
    fraction = config.data.options.get("train_fraction")
    for name in sorted(updater.needs):
        if not len(getattr(splits, name)):
            word = {"valid": "validation"}.get(name, name)
            raise ConfigurationError(
                f"Updater {updater.name!r} learns on the {word} split, "
                f"which is empty (train_fraction = {fraction}). "
                "Set -d train_fraction=0.5, or use a single-level updater."
            )
    if len(splits.train) < 2:
        raise ConfigurationError(
            f"The train split holds {len(splits.train)} images; training needs at least 2."
        )


def _check_plan(updater: ArchitectureUpdater, plan: Plan) -> None:
    """Raises `ConfigurationError` where the updater rejects the plan or the space is empty."""
    if why := updater.incompatibility(plan):
        raise ConfigurationError(why)
    if why := updater.space.why_empty(updater.space.full()):
        raise ConfigurationError(
            f"Space {updater.space.name!r} with these options holds no architecture: {why}."
        )


def _rehearse(space: SearchSpace, task: Task, space_name: str, weights: str | None) -> int:
    """Run two images through a supernet with all operations mixed, so that wrong shapes show now.

    Returns the bytes of its weights. `space_name` is for error messages; `weights` is the file
    that the run begins with, if any.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            supernet = space.supernet(task)
            if weights is not None:
                load_weights(supernet, weights)
            images = torch.randn(2, *task.shape)
            logits = supernet(images, Mixture.uniform(space.full()))
    except NastkError:
        raise
    except RAISED as error:
        if out_of_memory(error) or not isinstance(error, (RuntimeError, ValueError)):
            raise as_nastk_error(error, space_name, "making a supernet") from error
        raise ConfigurationError(
            f"{space_name} with these options cannot take images of {task.form}: {error}"
        ) from error
    if tuple(logits.shape) != (2, task.classes):
        raise ConfigurationError(
            f"The supernet of {space_name[0].lower()}{space_name[1:]} answered logits of shape "
            f"{tuple(logits.shape)}, expected (2, {task.classes})."
        )
    return sum(weight.nbytes for weight in supernet.parameters())
