"""The largest things a run does, done once: `exercise_peak`, for the memory that `--dry-run` says.

Besides its first weight steps these are a step of the last epoch (an updater may learn only after a
warm-up), what the updater measures after the first epoch in which it measures and after the last
one, and what watchers and evaluators push through the supernet. Each is done until the process has
stopped growing, then it is stopped, as a user would stop it. No method is known here.
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
"""Questions of one measuring: the first may build what the next reuse, and memory frays a while."""
EARLY, PARTS = 600, 64
"""Epochs that are all tried for the first measuring, and parts of the run whose ends are."""
STILL = 1.01
"""Growth of the peak below which a process no longer grows."""


def exercise_peak(assembly: Assembly) -> None:
    """Do everything that may need the most memory; the assembled run is as it was before."""
    branch = assembly.trainer.root()
    epochs, steps = assembly.plan.epochs, assembly.plan.steps_per_epoch
    _measurings(assembly, branch)
    branch.epoch, branch.step = epochs - 1, (epochs - 1) * steps
    _stepped(assembly, branch)
    branch.epoch, branch.step = epochs, epochs * steps
    _asked(assembly, branch, branch.updater.after_epoch)
    for watcher in assembly.trainer.watchers:
        _asked(assembly, branch, partial(_watched, watcher, branch))
    architecture = branch.updater.architecture(assembly.trainer.probe(branch))
    for evaluator in assembly.evaluators:
        if evaluator.needs_supernet:
            _asked(assembly, branch, partial(evaluator.evaluate, architecture))


def _watched(watcher: Watcher, branch: Branch, probe: Probe) -> object:
    """What a watcher does after the last epoch of the branch."""
    return watcher(FinishedEpoch(branch, probe, branch.updater.architecture(probe), last=True))


def _measurings(assembly: Assembly, branch: Branch) -> None:
    """What the updater measures after the first epoch in which it asks anything at all."""
    state, rng = copied(branch.updater.state_dict()), branch.rng.get_state()
    for epoch in _tried(assembly.plan.epochs):
        branch.epoch, branch.step = epoch, epoch * assembly.plan.steps_per_epoch
        asked = _asked(assembly, branch, branch.updater.after_epoch)
        branch.updater.load_state_dict(copied(state))
        branch.rng.set_state(rng)
        if asked:
            return


def _tried(epochs: int) -> list[int]:
    """Epochs after which an updater may measure first: the early ones, and equal parts of the run.

    Not all of them: a run may be asked for with more epochs than can be counted.
    """
    parts = {round(epochs * part / PARTS) for part in range(1, PARTS)}
    return sorted({*range(1, min(epochs, EARLY)), *(one for one in parts if 0 < one < epochs)})


def _asked(assembly: Assembly, branch: Branch, ask: Callable[[Probe], object]) -> int:
    """Let `ask` measure until memory grows no more; how many questions it asked."""
    questions, peak = 0, peak_memory(assembly.execution.device)

    def enough() -> bool:
        nonlocal questions, peak
        questions, before, peak = questions + 1, peak, peak_memory(assembly.execution.device)
        asked = questions - 1
        return asked >= MOST or (asked >= FEWEST and peak < STILL * before)

    with suppress(StopRequested), assembly.trainer.ledger.phase("updater"):
        ask(assembly.trainer.probe(branch, enough))
    return questions


def _stepped(assembly: Assembly, branch: Branch) -> None:
    """Weight steps of the branch's epoch, until memory grows no more."""
    peak = peak_memory(assembly.execution.device)
    for _, moment in zip(range(MOST), assembly.trainer.run([branch]), strict=False):
        before, peak = peak, peak_memory(assembly.execution.device)
        if moment != "step" or peak < STILL * before:
            return
