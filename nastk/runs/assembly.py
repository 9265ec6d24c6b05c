"""Everything of a run put together and checked before the first second of training: `assemble`.

Names and options were checked by `config.py`; here the data is opened, the splits a method needs
are looked for, the plan is shown to the updater, and a tiny batch is pushed through the supernet.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from nastk.base.errors import ConfigurationError, DataError, NastkError
from nastk.base.events import EvaluatorWorking
from nastk.base.failures import RAISED, as_nastk_error, blamed, out_of_memory
from nastk.base.plugins import Catalogue, catalogue
from nastk.base.seeds import generator, seed_of
from nastk.data.opening import stream
from nastk.data.pair import PairSource
from nastk.data.source import DataSource
from nastk.data.splits import Splits
from nastk.data.streams import Stream
from nastk.data.task import Task
from nastk.limits.space import ConstrainedSpace, LimitReport, LimitWatch
from nastk.nn.execution import Execution
from nastk.runs.config import SearchConfig
from nastk.spaces.mixture import Mixture
from nastk.spaces.pretrained import load_weights
from nastk.spaces.space import SearchSpace
from nastk.train.context import RunContext
from nastk.train.diagnostics import Diagnostics
from nastk.train.evaluator import EvaluationContext, Evaluator, RunHandle, evaluated
from nastk.train.leaf_selection import Chooser
from nastk.train.ranking import Ranking
from nastk.train.trainer import Trainer, UpdaterFactory
from nastk.train.updater import ArchitectureUpdater, Plan
from nastk.train.watching import Watcher


@dataclass
class Assembly:
    """A run's parts, ready: `trainer` trains, `evaluators` judge, `plan` says what is intended.

    `notes` is what the data source wants known; `weight_bytes` the size of one supernet's weights;
    `chooser` chooses among the leaves of a run that split.
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
        context: where cost and events of the run go; one of its own where None.
        begins: True if the run has no checkpoint yet; then the file `config.weights` is tried.

    Raises:
        ConfigurationError: the parts do not fit together; says why and what to do.
        DataError: the images cannot be used.
    """
    installed, context = installed or catalogue(), context or RunContext()
    execution = Execution.choose(
        config.device, config.precision, config.deterministic, config.trainer.threads
    )
    space: SearchSpace = _made(installed, "space", config.space.name, config.space.options)
    source, splits, task = _opened(config, data, installed)
    make_updater = _updater_factory(config, splits, installed)
    setting = EvaluationContext(space, task, splits, config.seed, execution.device)

    # From here on the space is the one within the limits, for updaters and evaluators alike.
    limited = _limited(installed, config, setting)
    space = limited or space
    train = _stream(splits, "train", config, execution)
    valid = _stream(splits, "valid", config, execution) if len(splits.valid) else None
    plan = _plan(config, splits, train)
    with blamed(installed.called("updater", config.updater.name), "it was made and shown the plan"):
        _check_plan(make_updater(space, generator(config.seed, "check"), torch.device("cpu")), plan)
    who = installed.called("space", config.space.name)
    weight_bytes = _rehearse(space, task, who, config.weights if begins else None)

    setting = replace(setting, space=space, run=_caller(context, plan.epochs))
    watchers = _watchers(installed, config, setting, limited)
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
    )
    evaluators = _evaluators(installed, config, setting, limited)
    chooser = _chooser(installed, config, setting)
    return Assembly(
        config,
        space,
        task,
        splits,
        trainer,
        evaluators,
        plan,
        execution,
        source.notes,
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
    """Another evaluator for an assembled run; its cost and events go to `context`, or the run's."""
    setting = EvaluationContext(
        assembly.space,
        assembly.task,
        assembly.splits,
        assembly.config.seed,
        assembly.execution.device,
        _caller(context or assembly.trainer.context, assembly.plan.epochs),
    )
    return _evaluator(installed or catalogue(), name, options, setting)


def _opened(
    config: SearchConfig, data: Any, installed: Catalogue
) -> tuple[DataSource, Splits, Task]:
    """The source of images, its splits, and the task that they pose."""
    with blamed(installed.called("data", config.data.name), "opening the images"):
        source = _source(config, data, installed)
        splits = source.splits(seed_of(config.seed, "data"))
        return source, splits, source.task_of(splits)


def _updater_factory(config: SearchConfig, splits: Splits, installed: Catalogue) -> UpdaterFactory:
    """Makes the updater of each branch; its options and the splits that it needs are checked."""
    updater: type[ArchitectureUpdater] = installed.load("updater", config.updater.name)
    options = updater.parse_options(config.updater.options)
    _check_splits(updater, splits, config)
    return lambda space, rng, device: updater(space, options, rng, device)


def _plan(config: SearchConfig, splits: Splits, train: Stream) -> Plan:
    """What the run intends, for checks and forecasts."""
    return Plan(
        config.trainer.epochs,
        len(train),
        config.trainer.batch_size,
        len(splits.train),
        len(splits.valid),
    )


def _watchers(
    installed: Catalogue,
    config: SearchConfig,
    setting: EvaluationContext,
    limited: ConstrainedSpace | None,
) -> list[Watcher]:
    """What looks at each branch after an epoch: diagnostics, limits, ranking quality."""
    watchers: list[Watcher] = [Diagnostics(), *([LimitWatch(limited)] if limited else [])]
    if config.ranking is not None:
        options = dict(config.ranking.evaluator_options)
        evaluator = _evaluator(installed, config.ranking.evaluator, options, setting)
        counter = config.ranking.counter
        counts = None if counter is None else _evaluator(installed, counter, {}, setting)
        watchers.append(Ranking(config.ranking, setting.space, evaluator, counts))
    return watchers


def _evaluators(
    installed: Catalogue,
    config: SearchConfig,
    setting: EvaluationContext,
    limited: ConstrainedSpace | None,
) -> list[Evaluator]:
    """What judges the architecture at the end of the run; its limits come last."""
    asked = [_evaluator(installed, one.name, one.options, setting) for one in config.evaluators]
    return [*asked, LimitReport(setting, limited)] if limited else asked


def _caller(context: RunContext, epochs: int) -> RunHandle:
    """The run as its evaluators see it; what they do is shown as after the last of its epochs."""

    def tell(message: str, done: int, total: int) -> None:
        context.emit(EvaluatorWorking("0", epochs, 0, message, done, total))

    return RunHandle(context.ledger.charge, tell, context.stopping)


def _made(installed: Catalogue, kind: str, name: str, options: dict[str, Any]) -> Any:
    found = installed.load(kind, name)
    with blamed(installed.called(kind, name), "it was made with these options"):
        return found(found.parse_options(options))


def _evaluator(
    installed: Catalogue, name: str, options: dict[str, Any], setting: EvaluationContext
) -> Evaluator:
    found: type[Evaluator] = installed.load("evaluator", name)
    with blamed(installed.called("evaluator", name), "it was made with these options"):
        return found(setting, found.parse_options(options))


def _chooser(installed: Catalogue, config: SearchConfig, setting: EvaluationContext) -> Chooser:
    """Who chooses among leaves; a metric that does not exist is said now, where that is known."""
    one = config.leaf_evaluator
    evaluator = None if one is None else _evaluator(installed, one.name, one.options, setting)
    chooser, space = Chooser(evaluator, config.leaf_metric, config.leaf_race), setting.space
    if evaluator is None:
        chooser.named(["valid_accuracy"])
    elif evaluator.criteria is not None:
        chooser.named(evaluator.criteria)
    elif not evaluator.needs_supernet:
        some = space.sample(space.full(), generator(config.seed, "check"))
        # A table need not hold this one.
        who = installed.called("evaluator", evaluator.name)
        with suppress(DataError), blamed(who, "naming its metrics"):
            chooser.named(evaluated(evaluator, some, None).metrics)
    return chooser


def _limited(
    installed: Catalogue, config: SearchConfig, setting: EvaluationContext
) -> ConstrainedSpace | None:
    """The space within the run's limits; None where there are none. One judge for equal ones.

    Updaters hold the space, and with it the judges: they get no test images.
    """
    setting = replace(setting, splits=setting.splits.without_test())
    known: dict[str, Evaluator] = {}
    limits = []
    for one in config.limits or []:
        key = f"{one.evaluator} {sorted(one.evaluator_options.items())}"
        if key not in known:
            known[key] = _evaluator(installed, one.evaluator, dict(one.evaluator_options), setting)
        limits.append((one, known[key]))
    return ConstrainedSpace(setting.space, limits) if limits else None


def _source(config: SearchConfig, data: Any, installed: Catalogue) -> DataSource:
    if config.data.name != PairSource.name:
        return _made(installed, "data", config.data.name, config.data.options)  # type: ignore[no-any-return]
    if not isinstance(data, Sequence) or not 1 <= len(data) <= 3:
        raise ConfigurationError(
            "This run's data sets were given in Python, and only Python can give them again: "
            "use nastk.search(data=(train, valid)) or nastk.resume(path, data=(train, valid))."
        )
    train, valid, test = (*data, None, None)[:3]
    return PairSource(train, valid, test, PairSource.parse_options(config.data.options))


def _stream(splits: Splits, name: str, config: SearchConfig, execution: Execution) -> Stream:
    return stream(
        getattr(splits, name),
        config.trainer.batch_size,
        config.seed,
        name,
        execution.device,
        workers=config.trainer.workers,
    )


def _check_splits(updater: type[ArchitectureUpdater], splits: Splits, config: SearchConfig) -> None:
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
    if why := updater.incompatibility(plan):
        raise ConfigurationError(why)
    if why := updater.space.why_empty(updater.space.full()):
        raise ConfigurationError(
            f"Space {updater.space.name!r} with these options holds no architecture: {why}."
        )


def _rehearse(space: SearchSpace, task: Task, who: str, weights: str | None) -> int:
    """Push two images through a supernet under every operation: shapes that do not fit show here.

    Answers the bytes of its weights. `who` is what the space is called; `weights` is the file that
    they are to begin with, if any.
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
            raise as_nastk_error(error, who, "making a supernet") from error
        raise ConfigurationError(
            f"{who} with these options cannot take images of {task.form}: {error}"
        ) from error
    if tuple(logits.shape) != (2, task.classes):
        raise ConfigurationError(
            f"The supernet of {who[0].lower()}{who[1:]} answered logits of shape "
            f"{tuple(logits.shape)}, expected (2, {task.classes})."
        )
    return sum(weight.nbytes for weight in supernet.parameters())
