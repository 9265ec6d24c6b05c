"""A weight step: the textbook's, and that of the trainer with all its bookkeeping.

Both sides compute the gradients of the weights and of the mixing weights, as the authors' code does
in every weight step. An updater that does not ask for the latter saves them: `ratio_as_searched`.
"""

from dataclasses import replace

from benchmarks import parity
from benchmarks.ours import Ours
from benchmarks.pairing import Pair
from benchmarks.reference.training import optimizer_of, path_training_step, training_step
from benchmarks.timing import Action, ratio
from benchmarks.works.setting import Measured, Setting, compared, cpus


def weight_step(space: str, setting: Setting, bf16: bool = False) -> Measured:
    """A weight step in `space`, ours under bf16 autocast where asked for."""
    sizes = setting.sizes
    pair = setting.pair(space, sizes.train if space == "darts" else sizes.bench_train)
    report = parity.training(pair, sizes.parity)
    if bf16:
        report.note("our logits, bf16", bf16_deviation(pair))
    ours, reference = pair.both(bf16)
    optimizer, alpha = optimizer_of(reference), pair.alpha(0).requires_grad_()
    searched = {"as_searched": _step(pair.ours(bf16), pair, mixing=False)}
    measured, taken = compared(
        setting,
        lambda run: training_step(reference, optimizer, alpha, pair.images(run)),
        _step(ours, pair, mixing=True),
        searched,
    )
    without = ratio(cpus(taken["reference"]), cpus(taken["as_searched"])).value
    extra = {"ratio_as_searched": without, "batch": pair.batch_size, "parity": report.errors}
    return Measured(measured.ratio, {**measured.extra, **extra})


def path_step(space: str, setting: Setting, small: bool = False) -> Measured:
    """A weight step of one random path, another one in each run; `small` as studies train them.

    The reference computes the path's operations alone, and steps no weight that is not on it.
    """
    pair = setting.pair(space, setting.sizes.bench_train)
    if small:
        pair = replace(pair, options=setting.sizes.small, side=setting.sizes.small_side)
    report = parity.path(pair, setting.sizes.parity)
    ours, reference = pair.both()
    optimizer = optimizer_of(reference)

    def reference_step(run: int) -> None:
        path_training_step(reference, optimizer, pair.columns(run), pair.images(run))

    def our_step(run: int) -> None:
        ours.updater.path = pair.path(run)
        ours.step()

    measured, _ = compared(setting, reference_step, our_step)
    extra = {"batch": pair.batch_size, "side": pair.side, "parity": report.errors}
    return Measured(measured.ratio, {**measured.extra, **extra})


def bf16_deviation(pair: Pair) -> float:
    """How far our logits under bf16 are from the reference's in float32."""
    ours, reference = pair.both(bf16=True)
    weights = pair.mixture(0).weights
    found = ours.probe.logits(pair.mixture(0), pair.batch(0).images).detach()
    return parity.relative(found, reference(pair.images(0).images, weights).detach())


def _step(ours: Ours, pair: Pair, mixing: bool) -> Action:
    """A weight step of ours, with or without gradients of the mixing weights."""
    ours.updater.alpha = pair.alpha(0).requires_grad_(mixing)
    return lambda run: ours.step()
