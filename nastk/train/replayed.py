"""Measurements replayed as CUDA graphs: `Replays`, what `Probe.scores` measures with on CUDA.

A forward pass of a supernet launches thousands of small kernels. The graph of one pass answers for
every mixture that computes nothing else, with other weights: what a mixture leaves out has the
weight zero. It takes as long for few operations as for many, and an eager pass does not, so either
may be faster; both are timed on questions of the search itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.base.events import Event, UpdaterReported
from nastk.nn.execution import Execution
from nastk.spaces.mixture import Mixture
from nastk.spaces.supernet import Answers, is_heard
from nastk.train.branch import Branch
from nastk.train.options import Graphs
from nastk.train.record import Recorder, cuda_recorder
from nastk.train.replay import TRIALS, cuda_clock, random_states

Images = Float[Tensor, "batch channels height width"]
Logits = Float[Tensor, "batch classes"]
Measuring = Callable[[Branch, Images], Answers]
"""What answers for many mixtures on the same images."""


def measuring(
    graphs: Graphs, execution: Execution, emit: Callable[[Event], None] = lambda event: None
) -> Measuring:
    """How a branch's mixtures are measured on this device; `graphs` is the user's word."""
    if graphs == "off" or execution.device.type != "cuda":
        return Branch.measuring
    return Replays(cuda_recorder, cuda_clock, emit, always=graphs == "on")


class Graph:
    """A forward pass on images of one shape, recorded for all mixtures inside one.

    Args:
        branch, mixture, images: what is recorded; the branch's weights are read where they lie.
        recorder: records on the branch's device.

    Example: `Graph(branch, mixture, images, cuda_recorder).play(mixture.without(0, 1), images)`
    """

    def __init__(
        self, branch: Branch, mixture: Mixture, images: Images, recorder: Recorder
    ) -> None:
        self._images = images.clone()
        self._weights = mixture.weights.detach().to(images.device, copy=True)
        told = Mixture(self._weights, mixture.active)
        self._launch, self._logits = recorder(lambda: branch.logits(told, self._images))

    def play(self, mixture: Mixture, images: Images) -> Logits:
        """Called for a mixture inside the recorded one: its logits."""
        outside = ~mixture.active.to(images.device, non_blocking=True)
        weights = mixture.weights.to(images.device, non_blocking=True)
        self._images.copy_(images, non_blocking=True)
        self._weights.copy_(weights.masked_fill(outside, 0.0))
        self._launch()
        return self._logits.clone()


@dataclass
class Kind:
    """Questions on images of one shape: the fullest mixture, how many came inside it, seconds.

    `eager` holds seconds of an eager pass for each operation computed, `replayed` those of a
    replay; `draws` says that operations draw random numbers, which a graph would not repeat.
    """

    fullest: Mixture | None = None
    count: int = 0
    draws: bool = False
    eager: list[float] = field(default_factory=list)
    replayed: list[float] = field(default_factory=list)
    graph: Graph | None = None

    def holds(self, mixture: Mixture) -> bool:
        """Whether the fullest mixture computes all that this one does."""
        return self.fullest is not None and not bool((mixture.active & ~self.fullest.active).any())

    def count_in(self, mixture: Mixture) -> None:
        """Called for every eager pass while nothing is recorded."""
        inside = self.holds(mixture)
        self.count = self.count + 1 if inside else 1
        self.fullest = self.fullest if inside else mixture.detach()

    @property
    def ready(self) -> bool:
        """Whether enough came inside one mixture to record it."""
        return self.graph is None and self.count >= TRIALS and not self.draws

    @property
    def timed(self) -> bool:
        """Whether both ways were timed often enough to compare."""
        return min(len(self.eager), len(self.replayed)) >= TRIALS

    def pays(self, mixture: Mixture) -> bool:
        """Whether a replay takes less than an eager pass of so many operations; first, try it."""
        if not self.timed:
            return True
        return median(self.replayed[1:]) < median(self.eager[1:]) * int(mixture.active.sum())


@dataclass
class Replays:
    """A `Measuring` that is eager at first, then replays a graph where that takes less time.

    Args:
        recorder, clock: how passes are recorded, and seconds once the device is idle.
        emit: hears once for each shape of images what both ways take, as a report on `measuring`.
        always: replay what can be replayed without timing anything.

    Example: `Replays(cuda_recorder, cuda_clock, print)(branch, images)([mixture])`
    """

    recorder: Recorder
    clock: Callable[[], float]
    emit: Callable[[Event], None]
    always: bool = False
    _kinds: Any = field(default_factory=WeakKeyDictionary)

    def __call__(self, branch: Branch, images: Images) -> Answers:
        """Called for every batch on which mixtures are measured."""
        eager = branch.measuring(images)
        # Whoever listens to a module would not be called by a graph.
        if any(map(is_heard, branch.supernet.modules())):
            return eager
        kinds: dict[tuple[int, ...], Kind] = self._kinds.setdefault(branch.supernet, {})
        return _Asked(self, kinds.setdefault(tuple(images.shape), Kind()), branch, images, eager)

    def report(self, branch: Branch, kind: Kind, images: Images) -> None:
        """Called when both ways are timed."""
        values = {
            "images": len(images),
            "eager_seconds_an_operation": median(kind.eager[1:]),
            "replay_seconds": median(kind.replayed[1:]),
        }
        self.emit(UpdaterReported(branch.name, branch.epoch, branch.step, "measuring", values))


class _Asked(Answers):
    """The answers on one batch, from a graph or from the eager path."""

    def __init__(
        self, owner: Replays, kind: Kind, branch: Branch, images: Images, eager: Answers
    ) -> None:
        super().__init__(eager.measure, eager.strategy)
        self._owner, self._kind, self._branch, self._images = owner, kind, branch, images
        self._eager_strategy = eager.strategy

    def __call__(self, mixtures: Sequence[Mixture]) -> Sequence[Logits]:
        return [self._one(each) for each in mixtures]

    def _one(self, mixture: Mixture) -> Logits:
        kind, owner = self._kind, self._owner
        graph = kind.graph
        if graph and kind.holds(mixture) and (owner.always or kind.pays(mixture)):
            self.strategy = "graph"
            return self._taken(kind.replayed, 1, lambda: graph.play(mixture, self._images))
        self.strategy = self._eager_strategy
        before = None if graph else random_states()
        operations = max(int(mixture.active.sum()), 1)
        answer = self._taken(kind.eager, operations, lambda: self.measure([mixture])[0])
        if before is not None:
            kind.draws = kind.draws or not all(map(torch.equal, before, random_states()))
            kind.count_in(mixture)
            if kind.ready and kind.fullest is not None:
                kind.graph = Graph(self._branch, kind.fullest, self._images, owner.recorder)
        return answer

    def _taken(self, seconds: list[float], parts: int, work: Callable[[], Logits]) -> Logits:
        """What `work` gives, timed as long as times are wanted."""
        if self._owner.always or len(seconds) >= TRIALS:
            return work()
        started = self._owner.clock()
        answer = work()
        seconds.append((self._owner.clock() - started) / parts)
        if self._kind.timed:
            self._owner.report(self._branch, self._kind, self._images)
        return answer
