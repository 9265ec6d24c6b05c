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
from nastk.base.errors import ConfigurationError, NastkError
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
from nastk.train.ranking import Ranking


@renamed_fields(judging="evaluating")
@dataclass(frozen=True)
class Forecast:
    """Weight steps and images of the whole run, expected seconds, and peak memory in bytes.

    `updater_images_forward` and `_backward` are upper bounds, None where the updater gives none.
    `evaluating` has the same bounds for each evaluator, whose seconds are not part of `seconds`.
    `forward_seconds` and `backward_seconds` are the times of one image, as the method trains.
    `evaluation_seconds` is that of one evaluation, if a search without a supernet evaluates by so
    few images that they do not say how long it takes; otherwise None.
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
FEW_BATCHES = 16
"""Evaluations of at most as many images are timed whole: making the network takes longer."""


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

    The images are timed on the network of a random architecture, or whole evaluations if they take
    few images; recorded seconds are added.
    """
    plan, device, one = assembly.plan, assembly.execution.device, assembly.plan.evaluation
    cost = assembly.trainer.root().updater.max_cost(plan)
    forward = backward = 0.0
    if cost is None or cost.images_forward:
        forward, backward = _time_network(assembly, clock, patience)
    images = (0, 0) if cost is None else (cost.images_forward, cost.images_backward)
    seconds = images[0] * forward + images[1] * backward
    evaluation = None
    few = FEW_BATCHES * plan.batch_size
    if one is not None and 0 < one.images_forward + one.images_backward <= few:
        evaluation = _time_evaluation(assembly, clock, patience)
        seconds = plan.epochs * evaluation
    return Forecast(
        plan.epochs,
        0,
        0,
        0,
        None if cost is None else images[0],
        None if cost is None else images[1],
        seconds + (0.0 if cost is None else cost.seconds),
        peak_memory(device),
        None,
        str(device),
        0,
        forward,
        backward,
        _evaluating(assembly),
        evaluation,
    )


def _time_evaluation(assembly: Assembly, clock: Clock, patience: float) -> float:
    """Returns the mean seconds of evaluating a random architecture, without recorded ones."""
    space, trainer, device = assembly.space, assembly.trainer, assembly.execution.device
    assert trainer.criterion is not None, "a plan has an evaluation only if the updater names one"
    probe, random = trainer.probe(trainer.root()), generator(trainer.seed, "check")
    random_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with assembly.execution.settings(), random_state:
        began = clock()
        times: list[float] = []
        while len(times) < 2 or clock() - began < patience:
            started = clock()
            trainer.criterion(space.sample(space.full(), random), probe)
            times.append(clock() - started)
    # The first evaluation warmed up.
    return fmean(times[1:])


def _time_network(assembly: Assembly, clock: Clock, patience: float) -> tuple[float, float]:
    """Returns the seconds of an image forward, and backward, in a random architecture's network."""
    space, trainer, execution = assembly.space, assembly.trainer, assembly.execution
    device = execution.device
    batch = trainer.train.at(0)
    random_state = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with execution.settings(), random_state:
        architecture = space.sample(space.full(), generator(trainer.seed, "check"))
        network = execution.place(space.network(architecture, assembly.task)).train()
        began = clock()
        times: list[tuple[float, float]] = []
        while len(times) < 2 or clock() - began < patience:
            started = clock()
            with execution.autocast():
                outputs = network(batch.images)
            logits = outputs[0] if isinstance(outputs, tuple) else outputs
            float(logits.detach().float().sum())  # waits for the device
            middle = clock()
            loss = trainer.task.objective.loss(logits.float(), batch.labels)
            gradients = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
            sum(float(one.sum()) for one in gradients if one is not None)
            times.append((middle - started, clock() - middle))
    # The first pass warmed up.
    forward, backward = (fmean(part) for part in zip(*times[1:], strict=True))
    return forward / len(batch.labels), backward / len(batch.labels)


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
