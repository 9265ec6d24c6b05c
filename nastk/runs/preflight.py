"""What a run will take, before it takes it: `rehearse`, behind `nastk search --dry-run`.

Two real weight steps and one forward pass are timed on the assembled run; the updater's own
forecast says how many images it will measure at most, and an evaluator's how many judging takes.
Its memory is that of a real process which has done, once, the largest things a run does:
`exercise_peak.py` has them done. Nothing is written.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from nastk.base.errors import ConfigurationError, NastkError
from nastk.base.failures import RAISED, as_nastk_error, out_of_memory
from nastk.base.plugins import catalogue
from nastk.nn.memory import available, memory_limit, peak_memory
from nastk.runs.assembly import Assembly
from nastk.runs.endings import raised_by
from nastk.runs.peak import exercise_peak
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch
from nastk.train.ranking import Ranking


@dataclass(frozen=True)
class Forecast:
    """Weight steps and images of the whole run, seconds expected, and bytes at the largest step.

    `updater_images_forward` and `_backward` are upper bounds, None where the updater does not say;
    `judging` has the like of each evaluator, whose seconds are not among the `seconds`;
    `forward_seconds` and `backward_seconds` are those of one image, as the method trains.
    `peak_memory` is that of the whole process, while one branch trains; `available_memory` is what
    it might have taken beyond its first bytes, None where the system does not say.
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
    judging: Mapping[str, Mapping[str, int] | None]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def rehearse(assembly: Assembly, memory: bool = False) -> Forecast:
    """Take two weight steps and forget them; say what the whole run will take.

    With `memory`, do the largest things that come later in a run as well, so that `peak_memory` is
    the run's; without, it is that of the first steps.

    Raises:
        ConfigurationError: with `memory`, the run needs more than the device has; says which
            micro-batch would fit.
        PluginError: a component's own code failed; says whose.
    """
    try:
        found = _within(assembly, available(assembly.execution.device)) if memory else None
        if memory and found is None:
            raise _too_large(assembly)
        return found or _timed(assembly)
    except NastkError:
        raise
    except RAISED as error:
        config = assembly.config
        judges = [("evaluator", one.name) for one in config.evaluators]
        updater = ("updater", config.updater.name)
        who = raised_by(error, config, *judges, updater) or catalogue().called(*updater)
        raise as_nastk_error(error, who, "the run was rehearsed") from error


def _within(assembly: Assembly, free: int | None) -> Forecast | None:
    """The forecast after the largest things were done; None where `free` bytes do not suffice."""
    device = assembly.execution.device
    caller = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with memory_limit(device, free):
        try:
            found = _timed(assembly)
            with assembly.execution.settings(), caller:
                exercise_peak(assembly)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            return None
    return replace(found, peak_memory=peak_memory(device), available_memory=free)


def _too_large(assembly: Assembly) -> ConfigurationError:
    """What to say where a run does not fit: the largest micro-batch that was tried and does."""
    device, options = assembly.execution.device, assembly.trainer.options
    free = available(device)
    said = "" if free is None else f" into the {free / 2**30:.1f} GiB that are free"
    whole = options.micro_batch or options.batch_size
    # The smallest first: where it does not fit, it is not the batch that is too large.
    sizes = [2, *(whole >> shift for shift in range(1, whole.bit_length()) if whole >> shift > 2)]
    fitting = [size for size in sizes[:1] if _within(_cut(assembly, size), free)]
    if not fitting:
        return ConfigurationError(
            f"This run does not fit{said} of {device}, not even with -t micro_batch=2: the "
            "supernet is too large, or what the updater measures. Use fewer channels, cells or "
            "partial channels, a smaller -t batch_size, or fewer images in a measurement (`nastk "
            f"describe {assembly.config.updater.name}`)."
        )
    size = next((size for size in sizes[1:] if _within(_cut(assembly, size), free)), 2)
    return ConfigurationError(
        f"A weight step of {whole} images does not fit{said} of {device}. With -t "
        f"micro_batch={size} it does, as was tried: the gradient is the same, but norms see "
        f"{size} images at a time."
    )


def _cut(assembly: Assembly, size: int) -> Assembly:
    """The same run with another micro-batch."""
    options = assembly.trainer.options.model_copy(update={"micro_batch": size})
    return replace(assembly, trainer=replace(assembly.trainer, options=options))


def _timed(assembly: Assembly) -> Forecast:
    """The forecast from two weight steps and a forward pass."""
    trainer, plan = assembly.trainer, assembly.plan
    branch = trainer.root()
    steps = plan.epochs * plan.steps_per_epoch
    mixtures = trained(assembly, branch)
    weight_seconds, updater_seconds = _time_step(assembly, branch)
    forward = _time_forward(assembly, branch, mixtures[0])
    backward = max(weight_seconds / (plan.batch_size * len(mixtures)) - forward, 0.0)
    own = branch.updater.max_cost(plan)
    if own is None:
        measuring = steps * updater_seconds
    else:
        measuring = own.images_forward * forward + own.images_backward * backward
    images = plan.epochs * plan.train_images * len(mixtures)
    return Forecast(
        plan.epochs,
        steps,
        images,
        images,
        own.images_forward if own else None,
        own.images_backward if own else None,
        steps * weight_seconds + measuring,
        peak_memory(assembly.execution.device),
        None,
        str(assembly.execution.device),
        sum(weight.numel() for weight in branch.supernet.parameters()),
        forward,
        backward,
        _judging(assembly),
    )


def _judging(assembly: Assembly) -> dict[str, dict[str, int] | None]:
    """The most images of each evaluator that was asked for; None where it does not say."""
    found: dict[str, dict[str, int] | None] = {}
    for asked, evaluator in zip(assembly.config.evaluators, assembly.evaluators, strict=False):
        own = evaluator.max_cost()
        found[asked.name] = (
            None
            if own is None
            else {"images_forward": own.images_forward, "images_backward": own.images_backward}
        )
    plan = assembly.plan
    for ranking in (each for each in assembly.trainer.watchers if isinstance(each, Ranking)):
        most = ranking.images(plan.epochs, plan.valid_images or plan.train_images)
        found["ranking"] = {"images_forward": most, "images_backward": 0}
    return found


def trained(assembly: Assembly, branch: Branch) -> Sequence[Mixture]:
    """What the first weight step trains: each of its mixtures takes every image of the batch.

    `branch` is for trying things out: its random stream moves on.
    """
    return [each.detach() for each in branch.updater.mixtures(assembly.trainer.probe(branch))]


def _time_step(assembly: Assembly, branch: Branch) -> tuple[float, float]:
    """Seconds of the second weight step (the first one warms up), and of the updater inside it.

    A pass of one step, or a run of one step, is timed on its only step.
    """
    trainer = assembly.trainer
    moments = trainer.run([branch])
    device = assembly.execution.device
    caller = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with assembly.execution.settings(), caller:
        if assembly.plan.steps_per_epoch > 1:
            next(moments)
        before, started = _updater_seconds(assembly), time.perf_counter()
        next(moments)
        _wait(branch)
        total = time.perf_counter() - started
    updater = _updater_seconds(assembly) - before
    return max(total - updater, 1e-9), updater


def _time_forward(assembly: Assembly, branch: Branch, mixture: Mixture) -> float:
    """Seconds to push one image forward, measured on one training batch."""
    batch = assembly.trainer.train.at(0)
    scores = assembly.trainer.probe(branch).scores(iter([mixture] * 2), [batch])
    with assembly.execution.settings():
        next(scores)
        started = time.perf_counter()
        next(scores)
        return (time.perf_counter() - started) / len(batch.labels)


def _updater_seconds(assembly: Assembly) -> float:
    phase = assembly.trainer.ledger.cost().phases.get("updater")
    return phase.seconds if phase else 0.0


def _wait(branch: Branch) -> None:
    """Reading the tally waits for the device to finish the step."""
    branch.tally.means()
