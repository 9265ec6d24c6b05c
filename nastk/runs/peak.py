"""The steps of a run that need the most memory, taken once: `exercise_peak`, for `--dry-run`.

Besides the first weight steps these are a step of the last epoch (an updater may learn only after a
warm-up), the updater's measurements after the first epoch in which it measures and after the last
one, and the supernet's passes for watchers and evaluators. Each goes on until the peak memory of
the process no longer grows, and is then stopped as a user would stop it. The code knows no method.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from nastk.base.errors import StopRequested
from nastk.nn.memory import peak_memory
from nastk.runs.assembly import Assembly
from nastk.train.branch import Branch, copied
from nastk.train.probe import Probe
from nastk.train.watching import FinishedEpoch, Watcher

FEWEST, MOST = 2, 8
"""Least and most forward passes of a measurement while memory is watched.

The first pass may build buffers that later ones reuse, and an allocator takes some passes to reach
its peak.
"""
EARLY, PARTS = 600, 64
"""All epochs below `EARLY` are tried for a first measurement, then the ends of `PARTS` equal parts
of the run."""
STILL = 1.01
"""A peak that grows by less than this factor counts as not growing."""


def exercise_peak(assembly: Assembly) -> None:
    """Do everything that may need the most memory; the assembled run is unchanged afterwards.

    A run without a supernet has no pass of one: nothing is done.
    """
    if not assembly.plan.steps_per_epoch:
        return
    branch = assembly.trainer.root()
    epochs, steps = assembly.plan.epochs, assembly.plan.steps_per_epoch
    _measure_first(assembly, branch)
    branch.epoch, branch.step = epochs - 1, (epochs - 1) * steps
    _take_steps(assembly, branch)
    branch.epoch, branch.step = epochs, epochs * steps
    _measure(assembly, branch, branch.updater.after_epoch)
    for watcher in assembly.trainer.watchers:
        _measure(assembly, branch, partial(_watch_last, watcher, branch))
    architecture = branch.updater.architecture(assembly.trainer.probe(branch))
    for evaluator in assembly.evaluators:
        if evaluator.needs_supernet:
            _measure(assembly, branch, partial(evaluator.evaluate, architecture))


def _watch_last(watcher: Watcher, branch: Branch, probe: Probe) -> object:
    """Call a watcher as after the last epoch of the branch."""
    return watcher(FinishedEpoch(branch, probe, branch.updater.architecture(probe), last=True))


def _measure_first(assembly: Assembly, branch: Branch) -> None:
    """Let the updater measure after the first epoch in which it measures anything."""
    state, rng = copied(branch.updater.state_dict()), branch.rng.get_state()
    for epoch in _candidate_epochs(assembly.plan.epochs):
        branch.epoch, branch.step = epoch, epoch * assembly.plan.steps_per_epoch
        passes = _measure(assembly, branch, branch.updater.after_epoch)
        branch.updater.load_state_dict(copied(state))
        branch.rng.set_state(rng)
        if passes:
            return


def _candidate_epochs(epochs: int) -> list[int]:
    """Returns the epochs to try for a first measurement: early ones, and ends of equal parts.

    Not all epochs are tried, as a request may ask for more of them than could be counted.
    """
    ends = {round(epochs * part / PARTS) for part in range(1, PARTS)}
    return sorted({*range(1, min(epochs, EARLY)), *(end for end in ends if 0 < end < epochs)})


def _measure(assembly: Assembly, branch: Branch, measure: Callable[[Probe], object]) -> int:
    """Call `measure` until the peak memory no longer grows; returns the number of passes.

    A probe calls `enough` before every pass, and stops with `StopRequested` once it is true.
    """
    passes, peak = 0, peak_memory(assembly.execution.device)

    def enough() -> bool:
        nonlocal passes, peak
        passes, before, peak = passes + 1, peak, peak_memory(assembly.execution.device)
        done = passes - 1
        return done >= MOST or (done >= FEWEST and peak < STILL * before)

    with suppress(StopRequested), assembly.trainer.ledger.phase("updater"):
        measure(assembly.trainer.probe(branch, enough))
    return passes


def _take_steps(assembly: Assembly, branch: Branch) -> None:
    """Take weight steps in the branch's epoch until the peak memory no longer grows."""
    peak = peak_memory(assembly.execution.device)
    for _, moment in zip(range(MOST), assembly.trainer.run([branch]), strict=False):
        before, peak = peak, peak_memory(assembly.execution.device)
        if moment != "step" or peak < STILL * before:
            return
