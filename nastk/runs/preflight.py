"""The forecast of a run's cost: `rehearse`, behind `nastk search --dry-run`.

Two real weight steps and one forward pass are timed on the assembled run. `max_cost` of the updater
and of the evaluators says how many images they will use at most. The memory is that of a real
process which has done the steps that need the most memory once (`peak.py`). Nothing is written.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import repeat
from statistics import fmean
from typing import Any

import torch

from nastk.base.cost import PhaseCost
from nastk.base.errors import ConfigurationError, DivergenceError, NastkError, StopRequested
from nastk.base.failures import RAISED, as_nastk_error, out_of_memory
from nastk.base.plugins import catalogue
from nastk.base.renamed import renamed_fields
from nastk.base.seeds import generator
from nastk.nn.memory import available, memory_limit, peak_memory
from nastk.runs.assembly import Assembly
from nastk.runs.endings import raised_by
from nastk.runs.peak import exercise_peak
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch
from nastk.train.evaluator import RunHandle
from nastk.train.evaluator_metric import EvaluatorMetric
from nastk.train.ranking import Ranking


@renamed_fields(judging="evaluating")
@dataclass(frozen=True)
class Forecast:
    """Weight steps and images of the whole run, expected seconds, and peak memory in bytes.

    `updater_images_forward` and `_backward` are upper bounds, None where the updater gives none.
    `evaluating` has the same bounds for each evaluator, whose seconds are not part of `seconds`.
    `forward_seconds` and `backward_seconds` are the times of one image, as the method trains.
    `evaluation_seconds` is that of one evaluation, where a search without a supernet evaluates by
    images; the times of one image are then a share of it.
    `peak_memory` is that of the whole process, while one branch trains; `available_memory` is what
    was free before, None where the system does not say.

    Example: `rehearse(assembly).seconds`
    """

    epochs: int
    steps: int
    images_forward: int
    images_backward: int
    updater_images_forward: int | None
    updater_images_backward: int | None
    seconds: float
    peak_memory: int
    available_memory: int | None
    device: str
    parameters: int
    forward_seconds: float
    backward_seconds: float
    evaluating: Mapping[str, Mapping[str, int] | None]
    evaluation_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the forecast as a JSON object."""
        return asdict(self)


Clock = Callable[[], float]


def rehearse(
    assembly: Assembly,
    memory: bool = False,
    clock: Clock = time.perf_counter,
    patience: float = 0.0,
) -> Forecast:
    """Take two weight steps, discard them, and return a forecast for the whole run.

    With `memory`, also do the later steps of a run that need the most memory, so that `peak_memory`
    is the run's; without, it is that of the first steps. `clock` gives the time: with
    `time.process_time` the forecast's seconds are CPU seconds. With `patience` more steps are
    taken, until that many seconds have passed by the clock or the epoch is over.

    Raises:
        ConfigurationError: with `memory`, the run needs more than the device has; says which
            micro-batch would fit.
        PluginError: a component's own code failed; says which.
    """
    try:
        forecast = _within(assembly, available(assembly.execution.device)) if memory else None
        if memory and forecast is None:
            raise _too_large(assembly)
        return forecast or _timed(assembly, clock, patience)
    except NastkError:
        raise
    except RAISED as error:
        config = assembly.config
        evaluators = [("evaluator", spec.name) for spec in config.evaluators]
        updater = ("updater", config.updater.name)
        component = raised_by(error, config, *evaluators, updater) or catalogue().called(*updater)
        raise as_nastk_error(error, component, "the run was rehearsed") from error


def _within(assembly: Assembly, free: int | None) -> Forecast | None:
    """Returns the forecast with the run's peak memory; None where `free` bytes do not suffice."""
    device = assembly.execution.device
    random_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with memory_limit(device, free):
        try:
            forecast = _timed(assembly)
            with assembly.execution.settings(), random_state:
                exercise_peak(assembly)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return None
    return replace(forecast, peak_memory=peak_memory(device), available_memory=free)


def _too_large(assembly: Assembly) -> ConfigurationError:
    """Returns the error for a run that does not fit, with the largest micro-batch that does."""
    device, options = assembly.execution.device, assembly.trainer.options
    free = available(device)
    room = "" if free is None else f" into the {free / 2**30:.1f} GiB that are free"
    whole = options.micro_batch or options.batch_size
    # The smallest size is tried first: where it does not fit, the batch is not the cause.
    sizes = [2, *(whole >> shift for shift in range(1, whole.bit_length()) if whole >> shift > 2)]
    fitting = [size for size in sizes[:1] if _within(_with_micro_batch(assembly, size), free)]
    if not fitting:
        return ConfigurationError(
            f"This run does not fit{room} of {device}, not even with -t micro_batch=2: the "
            "supernet is too large, or what the updater measures. Use fewer channels, cells or "
            "partial channels, a smaller -t batch_size, or fewer images in a measurement (`nastk "
            f"describe {assembly.config.updater.name}`)."
        )
    size = next((size for size in sizes[1:] if _within(_with_micro_batch(assembly, size), free)), 2)
    return ConfigurationError(
        f"A weight step of {whole} images does not fit{room} of {device}. With -t "
        f"micro_batch={size} it does, as was tried: the gradient is the same, but norms see "
        f"{size} images at a time."
    )


def _with_micro_batch(assembly: Assembly, size: int) -> Assembly:
    """Returns the same run with another micro-batch."""
    options = assembly.trainer.options.model_copy(update={"micro_batch": size})
    return replace(assembly, trainer=replace(assembly.trainer, options=options))


def _timed(assembly: Assembly, clock: Clock = time.perf_counter, patience: float = 0.0) -> Forecast:
    """Returns the forecast from weight steps and forward passes; arguments as for `rehearse`."""
    trainer, plan = assembly.trainer, assembly.plan
    if not plan.steps_per_epoch:
        return _of_evaluations(assembly, clock, patience)
    branch = trainer.root()
    steps = plan.epochs * plan.steps_per_epoch
    mixtures = trained(assembly, branch)
    weight_seconds, updater_seconds = _time_step(assembly, branch, clock, patience)
    forward = _time_forward(assembly, branch, mixtures[0], clock, patience)
    backward = max(weight_seconds / (plan.batch_size * len(mixtures)) - forward, 0.0)
    max_cost = branch.updater.max_cost(plan)
    if max_cost is None:
        measuring_seconds = steps * updater_seconds
    else:
        measuring_seconds = max_cost.images_forward * forward + max_cost.images_backward * backward
    images = plan.epochs * plan.train_images * len(mixtures)
    return Forecast(
        plan.epochs,
        steps,
        images,
        images,
        max_cost.images_forward if max_cost else None,
        max_cost.images_backward if max_cost else None,
        steps * weight_seconds + measuring_seconds,
        peak_memory(assembly.execution.device),
        None,
        str(assembly.execution.device),
        sum(weight.numel() for weight in branch.supernet.parameters()),
        forward,
        backward,
        _evaluating(assembly),
    )


def _of_evaluations(assembly: Assembly, clock: Clock, patience: float) -> Forecast:
    """Returns the forecast of a run that evaluates architectures and trains no supernet.

    Evaluations are timed; seconds that were recorded where architectures were trained are added.
    """
    plan, device, one = assembly.plan, assembly.execution.device, assembly.plan.evaluation
    cost = assembly.trainer.root().updater.max_cost(plan)
    images = 0 if one is None else one.images_forward + one.images_backward
    evaluation = _time_evaluation(assembly, images, clock, patience) if images else None
    of_image = 0.0 if evaluation is None else evaluation / images
    recorded = 0.0 if cost is None else cost.seconds
    return Forecast(
        plan.epochs,
        0,
        0,
        0,
        None if cost is None else cost.images_forward,
        None if cost is None else cost.images_backward,
        plan.epochs * (evaluation or 0.0) + recorded,
        peak_memory(device),
        None,
        str(device),
        0,
        of_image,
        of_image,
        _evaluating(assembly),
        evaluation,
    )


class _Watch:
    """The run of an evaluator whose work is timed: stops it when some has been seen.

    `marks` has the time and the images so far, whenever the evaluator asked whether to go on.
    """

    def __init__(self, clock: Clock, patience: float) -> None:
        self.clock, self.patience, self.images = clock, patience, 0
        self.marks: list[tuple[float, int]] = []
        self.handle = RunHandle(charge=self.charge, stopping=self.stopping)

    def charge(self, forward: int, backward: int) -> None:
        """Called with every batch: counts the images."""
        self.images += forward + backward

    def stopping(self) -> bool:
        """Called between two pieces of work: True when the second of them has been timed."""
        if self.images:
            self.marks.append((self.clock(), self.images))
        if len(self.marks) < 3:
            return False
        return self.marks[-1][0] - self.marks[0][0] >= self.patience

    def of_image(self) -> float:
        """Returns the mean seconds of an image, after the first batch, which warmed up."""
        (began, first), (ended, last) = self.marks[0], self.marks[-1]
        return (ended - began) / max(last - first, 1)


def _time_evaluation(assembly: Assembly, images: int, clock: Clock, patience: float) -> float:
    """Returns the mean seconds of evaluating a random architecture, without recorded ones.

    A long evaluation is stopped, and its `images` say how long all of it would have taken.
    """
    space, trainer, device = assembly.space, assembly.trainer, assembly.execution.device
    criterion, random = trainer.criterion, generator(trainer.seed, "check")
    assert isinstance(criterion, EvaluatorMetric) and criterion.evaluator is not None
    evaluator, probe = criterion.evaluator, trainer.probe(trainer.root())
    random_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with assembly.execution.settings(), random_state:
        began = clock()
        times: list[float] = []
        while len(times) < 2 or clock() - began < patience:
            watch = _Watch(clock, patience)
            context = replace(evaluator.context, run=watch.handle)
            timed = replace(criterion, evaluator=type(evaluator)(context, evaluator.options))
            started = clock()
            try:
                timed(space.sample(space.full(), random), probe)
            except StopRequested:
                return watch.of_image() * images
            except DivergenceError:
                pass  # it took its time all the same
            times.append(clock() - started)
    # The first evaluation warmed up.
    return fmean(times[1:])


def _evaluating(assembly: Assembly) -> dict[str, dict[str, int] | None]:
    """Returns the most images of each requested evaluator; None where it does not say."""
    images: dict[str, dict[str, int] | None] = {}
    requested = {spec.name for spec in assembly.config.evaluators}
    for evaluator in assembly.evaluators:
        if evaluator.name not in requested:
            continue
        cost = evaluator.max_cost()
        images[evaluator.name] = (
            None
            if cost is None
            else {"images_forward": cost.images_forward, "images_backward": cost.images_backward}
        )
    plan = assembly.plan
    rankings = (watcher for watcher in assembly.trainer.watchers if isinstance(watcher, Ranking))
    for ranking in rankings:
        most = ranking.images(plan.epochs, plan.valid_images or plan.train_images)
        beside = ranking.max_cost_of_counters()
        images["ranking"] = {
            "images_forward": most + beside.images_forward,
            "images_backward": beside.images_backward,
        }
    return images


def trained(assembly: Assembly, branch: Branch) -> Sequence[Mixture]:
    """Returns the mixtures of the first weight step; each is trained on every image of the batch.

    `branch` must be a throw-away one: its random stream advances.
    """
    mixtures = branch.updater.mixtures(assembly.trainer.probe(branch))
    return [mixture.detach() for mixture in mixtures]


def _time_step(
    assembly: Assembly, branch: Branch, clock: Clock, patience: float
) -> tuple[float, float]:
    """Returns the mean seconds of a weight step without the updater, and of the updater in it.

    The first step warms up; where an epoch has only one step, that one is timed.
    """
    trainer, timed = assembly.trainer, 0
    moments = trainer.run([branch])
    device = assembly.execution.device
    random_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with assembly.execution.settings(), random_state:
        if assembly.plan.steps_per_epoch > 1:
            next(moments)
            _wait(branch)
        before, started = _updater_seconds(assembly, clock), clock()
        while not timed or (
            clock() - started < patience and timed + 1 < assembly.plan.steps_per_epoch
        ):
            next(moments)
            _wait(branch)
            timed += 1
        total = clock() - started
    updater_seconds = (_updater_seconds(assembly, clock) - before) / timed
    return max(total / timed - updater_seconds, 1e-9), updater_seconds


def _time_forward(
    assembly: Assembly, branch: Branch, mixture: Mixture, clock: Clock, patience: float
) -> float:
    """Returns the mean seconds of one image's forward pass, measured on one training batch."""
    batch, timed = assembly.trainer.train.at(0), 0
    scores = assembly.trainer.probe(branch).scores(repeat(mixture), [batch])
    with assembly.execution.settings():
        next(scores)
        started = clock()
        while not timed or clock() - started < patience:
            next(scores)
            timed += 1
        return (clock() - started) / timed / len(batch.labels)


def _updater_seconds(assembly: Assembly, clock: Clock) -> float:
    """Returns the seconds charged to the updater so far, by the clock."""
    phase = assembly.trainer.ledger.cost().phases.get("updater", PhaseCost())
    return phase.cpu_seconds if clock is time.process_time else phase.seconds


def _wait(branch: Branch) -> None:
    """Wait for the device to finish the step, by reading the branch's tally."""
    branch.tally.means()
