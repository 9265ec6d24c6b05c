"""Whether weight steps are replayed as CUDA graphs: `fastest`, chosen by measuring.

The measuring passes are passes of the training itself, so nothing is computed twice. A record holds
for one supernet, one set of active operations and one batch shape; whatever else comes, and
whatever draws random numbers inside the network, is computed the plain way.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from nastk.base.errors import ConfigurationError
from nastk.base.events import Event, UpdaterReported
from nastk.data.streams import Batch
from nastk.nn.execution import Execution
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch
from nastk.train.options import Graphs
from nastk.train.passes import Pass, eager
from nastk.train.record import Record, Recorder, cuda_recorder

TRIALS = 5
"""Passes of a kind that are timed in each way; the first of them only warms up."""
PATIENCE = 200
"""Passes after which the choice falls without measuring: none came often enough."""
RECORDS = 2
"""Records a supernet keeps at most: each holds the memory of a pass."""
KINDS = 16
"""Kinds of passes that are remembered for a supernet."""


def fastest(graphs: Graphs, execution: Execution, emit: Callable[[Event], None]) -> Pass:
    """How the trainer runs its passes on this device; `graphs` is the user's word.

    Raises:
        ConfigurationError: graphs are asked for on a CPU.
    """
    cuda = execution.device.type == "cuda"
    if graphs == "on" and not cuda:
        raise ConfigurationError(
            f"cuda_graphs=on needs a CUDA device, and this run is on {execution.device}. "
            "Use -t cuda_graphs=auto."
        )
    if graphs == "off" or not cuda:
        return eager
    return Fastest(cuda_recorder, cuda_clock, emit, replays=True if graphs == "on" else None)


@dataclass
class Kind:
    """Passes alike: how many came, whether their operations draw, seconds eager and replayed."""

    count: int = 0
    draws: bool = False
    plain: list[float] = field(default_factory=list)
    replayed: list[float] = field(default_factory=list)
    record: Record | None = None

    @property
    def ready(self) -> bool:
        """Whether it came often enough to be recorded, and draws no random numbers."""
        # A replay would draw as well, but not surely the same numbers.
        return self.record is None and self.count >= TRIALS and not self.draws


@dataclass
class Fastest:
    """A `Pass` that is eager at first, then recorded, and keeps to what took less time.

    Args:
        recorder, clock: how passes are recorded, and seconds once the device is idle.
        emit: hears once what was chosen, as a report on the topic `passes`.
        replays: what was chosen; None until it is measured, True from the start to force it.

    Example: `Fastest(cuda_recorder, cuda_clock, print)(branch, mixture, batch, 1.0)`
    """

    recorder: Recorder
    clock: Callable[[], float]
    emit: Callable[[Event], None]
    replays: bool | None = None
    _passes: int = 0
    _kinds: Any = field(default_factory=WeakKeyDictionary)

    def __call__(
        self, branch: Branch, mixture: Mixture, piece: Batch, parts: float
    ) -> tuple[Tensor, Tensor]:
        """See `Pass`."""
        if self.replays is False:
            return eager(branch, mixture, piece, parts)
        kind = self._kind(branch, mixture, piece)
        if kind.ready:
            kind.record = Record(branch, mixture, piece, self.recorder)
            self._keep_few(branch)
        if self.replays:
            return self._run(kind, branch, mixture, piece, parts)
        started = self.clock()
        answer = self._run(kind, branch, mixture, piece, parts)
        (kind.replayed if kind.record else kind.plain).append(self.clock() - started)
        self._choose(branch, kind)
        return answer

    def _run(
        self, kind: Kind, branch: Branch, mixture: Mixture, piece: Batch, parts: float
    ) -> tuple[Tensor, Tensor]:
        if kind.record is not None:
            return kind.record.play(mixture, piece, parts)
        before = random_states()
        answer = eager(branch, mixture, piece, parts)
        kind.draws = kind.draws or not all(map(torch.equal, before, random_states()))
        kind.count += 1
        return answer

    def _kind(self, branch: Branch, mixture: Mixture, piece: Batch) -> Kind:
        """What is known of passes like this one; kinds not met for long are forgotten."""
        known = self._kinds.setdefault(branch.supernet, OrderedDict())
        active = tuple(map(tuple, mixture.active.tolist()))
        key = (active, mixture.weights.requires_grad, tuple(piece.images.shape))
        found: Kind = known.pop(key, None) or Kind()
        known[key] = found
        if len(known) > KINDS:
            known.popitem(last=False)
        return found

    def _keep_few(self, branch: Branch) -> None:
        recorded = [kind for kind in self._kinds[branch.supernet].values() if kind.record]
        for kind in recorded[:-RECORDS]:
            kind.record = None

    def _choose(self, branch: Branch, kind: Kind) -> None:
        """Decide for the rest of the run, once both ways were timed on passes alike."""
        self._passes += 1
        seconds: dict[str, float | None] = {"eager_seconds": None, "replay_seconds": None}
        if len(kind.replayed) >= TRIALS:
            plain, replayed = median(kind.plain[1:]), median(kind.replayed[1:])
            self.replays = replayed < plain
            seconds = {"eager_seconds": plain, "replay_seconds": replayed}
        elif self._passes >= PATIENCE:
            self.replays = False
        if self.replays is None:
            return
        if not self.replays:
            self._kinds.clear()
        values = {"cuda_graphs": self.replays, **seconds}
        self.emit(UpdaterReported(branch.name, branch.epoch, branch.step, "passes", values))


def cuda_clock() -> float:
    """Seconds, read once the device has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def random_states() -> list[Tensor]:
    """The states of torch's own random streams, which operations that draw move on."""
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = [torch.cuda.get_rng_state()] if started else []
    return [torch.get_rng_state(), *cuda]
