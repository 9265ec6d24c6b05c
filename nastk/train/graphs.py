"""CUDA graphs: passes captured once and replayed, for weight steps and for measurements.

A pass of a supernet launches thousands of small kernels, and launching dominates at small batches;
a graph launches them together. It reads and writes fixed tensors, so inputs are copied in and
results copied out. `CapturedStep` captures a weight step, `CapturedForward` a forward pass, which
serves all mixtures whose active operations it contains.

Replaying is not always faster: with `auto`, both ways are timed on passes of the run itself. Rare
passes, and passes that draw random numbers, run eagerly. Graphs are off unless the user asks.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.base.errors import ConfigurationError
from nastk.base.events import Event, UpdaterReported
from nastk.data.streams import Batch
from nastk.nn.execution import Execution
from nastk.spaces.mixture import Mixture
from nastk.spaces.supernet import Answers, has_hooks
from nastk.train.branch import Branch
from nastk.train.options import Graphs
from nastk.train.passes import Pass, eager, forward

Images = Float[Tensor, "batch channels height width"]
Logits = Float[Tensor, "batch classes"]
Measuring = Callable[[Branch, Images], Answers]
"""Returns, for a branch and images, a function from mixtures to their logits."""
StepTensors = tuple[Tensor, Tensor, list[Tensor | None]]
"""Loss, correct answers, and gradients of the weights and mixture weights (None: not used)."""
Made = TypeVar("Made")
Result = TypeVar("Result")

WARM_UP = 3  # passes before a capture, in which libraries choose their kernels
TRIALS = 5  # timed passes of a kind, eager and replayed; the first of them only warms up
PATIENCE = 200  # passes after which all stay eager if no kind was frequent enough to be timed
CAPTURES = 2  # most captured steps of a supernet: each holds the memory of a pass
KINDS = 16  # most kinds of passes that are remembered for a supernet


def fastest(graphs: Graphs, execution: Execution, emit: Callable[[Event], None]) -> Pass:
    """Returns the pass of the trainer for a device; `graphs` is the option of the user.

    Raises:
        ConfigurationError: graphs are required on a CPU.
    """
    cuda = execution.device.type == "cuda"
    if graphs == "on" and not cuda:
        raise ConfigurationError(
            f"cuda_graphs=on needs a CUDA device, and this run is on {execution.device}. "
            "Use -t cuda_graphs=auto."
        )
    if graphs == "off" or not cuda:
        return eager
    return AutotunedPass(cuda_recorder, cuda_clock, emit, replays=True if graphs == "on" else None)


def measuring(
    graphs: Graphs, execution: Execution, emit: Callable[[Event], None] = lambda event: None
) -> Measuring:
    """Returns the measuring function for a device; `graphs` is the option of the user."""
    if graphs == "off" or execution.device.type != "cuda":
        return Branch.measuring
    return GraphedMeasurer(cuda_recorder, cuda_clock, emit, always=graphs == "on")


@runtime_checkable
class Recorder(Protocol):
    """Captures the kernels of `work`; returns a function that replays them, and their results."""

    def __call__(self, work: Callable[[], Made]) -> tuple[Callable[[], None], Made]:
        """Called with `work` that reads and writes fixed tensors."""


def cuda_recorder(work: Callable[[], Made]) -> tuple[Callable[[], None], Made]:
    """Capture `work` as a CUDA graph, after warm-up passes on a side stream."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = work()
    return graph.replay, results


def cuda_clock() -> float:
    """Returns the time in seconds after waiting for the device."""
    torch.cuda.synchronize()
    return time.perf_counter()


def random_states() -> list[Tensor]:
    """Returns the states of torch's global random streams, which drawing operations change."""
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = [torch.cuda.get_rng_state()] if started else []
    return [torch.get_rng_state(), *cuda]


@dataclass
class Trials(Generic[Made]):
    """Statistics of passes of a kind: their number, if they draw, and seconds in both ways.

    `captured` is the graph of the kind once there is one.
    """

    count: int = 0
    draws: bool = False
    eager: list[float] = field(default_factory=list)
    replayed: list[float] = field(default_factory=list)
    captured: Made | None = None

    @property
    def ready(self) -> bool:
        """True if the kind was frequent enough to be captured, and draws no random numbers."""
        # A replay draws too, but its numbers may differ from those of an eager pass.
        return self.captured is None and self.count >= TRIALS and not self.draws

    @property
    def timed(self) -> bool:
        """True if both ways were timed often enough to compare."""
        return min(len(self.eager), len(self.replayed)) >= TRIALS

    @property
    def seconds(self) -> tuple[float, float]:
        """The median seconds, eager and replayed, without the first pass of each."""
        return median(self.eager[1:]), median(self.replayed[1:])

    def watched(self, work: Callable[[], Result]) -> Result:
        """Returns the result of an eager pass; sets `draws` if it drew random numbers."""
        before = random_states()
        result = work()
        self.draws = self.draws or not all(map(torch.equal, before, random_states()))
        return result


class CapturedStep:
    """The pass of a weight step, for a supernet, a set of active operations and a batch shape.

    `recorder` captures on the branch's device; the graph reads the branch's weights in place.
    """

    def __init__(self, branch: Branch, mixture: Mixture, piece: Batch, recorder: Recorder) -> None:
        self._piece = Batch(piece.images.clone(), piece.labels.clone())
        weights = mixture.weights.detach().to(piece.images.device, copy=True)
        weights.requires_grad_(mixture.weights.requires_grad)
        self._mixture = Mixture(weights, mixture.active)
        parameters = list(branch.supernet.parameters())

        def work() -> StepTensors:
            minimised, loss, hits = forward(branch, self._mixture, self._piece)
            inputs = [*parameters, *([weights] if weights.requires_grad else [])]
            slopes = torch.autograd.grad(minimised, inputs, allow_unused=True)
            return loss, hits, list(slopes)

        self._launch, (self._loss, self._hits, slopes) = recorder(work)
        self._mixture_gradient = slopes[len(parameters)] if weights.requires_grad else None
        reached = [
            (weight, gradient)
            for weight, gradient in zip(parameters, slopes, strict=False)
            if gradient is not None
        ]
        self._weights = [weight for weight, _ in reached]
        self._gradients = [gradient for _, gradient in reached]
        self._sums = [torch.empty_like(gradient) for gradient in self._gradients]

    def play(self, mixture: Mixture, piece: Batch, parts: float) -> tuple[Tensor, Tensor]:
        """Called for every pass of this kind; fulfils the contract of `passes.Pass`."""
        with torch.no_grad():
            self._piece.images.copy_(piece.images, non_blocking=True)
            self._piece.labels.copy_(piece.labels, non_blocking=True)
            self._mixture.weights.copy_(mixture.weights, non_blocking=True)
            self._launch()
            self._add_gradients(parts)
            if self._mixture_gradient is not None:
                share = self._mixture_gradient.to(mixture.weights.device) / parts
                present = mixture.weights.grad
                mixture.weights.grad = share if present is None else present + share
            return self._loss / parts, self._hits.clone()

    def _add_gradients(self, parts: float) -> None:
        """Add the gradients to those of the weights; the first pass of a step sets them."""
        scaled = torch._foreach_div(self._gradients, parts)
        added = [i for i, weight in enumerate(self._weights) if weight.grad is not None]
        first = [i for i, weight in enumerate(self._weights) if weight.grad is None]
        if added:
            present = [cast(Tensor, self._weights[i].grad) for i in added]
            torch._foreach_add_(present, [scaled[i] for i in added])
        if first:
            # The next replay overwrites `_gradients`, so the sums are tensors of their own.
            sums = [self._sums[i] for i in first]
            torch._foreach_copy_(sums, [scaled[i] for i in first])
            for i in first:
                self._weights[i].grad = self._sums[i]


@dataclass
class AutotunedPass:
    """A `Pass` that is eager at first, then captured, and afterwards uses the faster way.

    Args:
        recorder, clock: capture passes; return the time in seconds once the device is idle.
        emit: receives the choice once, as a report on the topic `passes`.
        replays: the choice; None until both ways are timed, True from the start to force replays.

    Example: `AutotunedPass(cuda_recorder, cuda_clock, print)(branch, mixture, batch, 1.0)`
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
            kind.captured = CapturedStep(branch, mixture, piece, self.recorder)
            kinds = self._kinds[branch.supernet].values()
            for old in [known for known in kinds if known.captured][:-CAPTURES]:
                old.captured = None
        started = None if self.replays else self.clock()
        if kind.captured is not None:
            result = kind.captured.play(mixture, piece, parts)
        else:
            result = kind.watched(lambda: eager(branch, mixture, piece, parts))
            kind.count += 1
        if started is not None:
            (kind.replayed if kind.captured else kind.eager).append(self.clock() - started)
            self._choose(branch, kind)
        return result

    def _kind(self, branch: Branch, mixture: Mixture, piece: Batch) -> Trials[CapturedStep]:
        """Returns the statistics of this kind of pass; forgets the kind unused for longest."""
        known = self._kinds.setdefault(branch.supernet, OrderedDict())
        active = tuple(map(tuple, mixture.active.tolist()))
        key = (active, mixture.weights.requires_grad, tuple(piece.images.shape))
        kind: Trials[CapturedStep] = known.pop(key, None) or Trials()
        known[key] = kind
        if len(known) > KINDS:
            known.popitem(last=False)
        return kind

    def _choose(self, branch: Branch, kind: Trials[CapturedStep]) -> None:
        """Choose for the rest of the run, once both ways were timed on passes of a kind."""
        self._passes += 1
        if not kind.timed and self._passes < PATIENCE:
            return
        eager_, replayed = kind.seconds if kind.timed else (None, None)
        self.replays = eager_ is not None and replayed is not None and replayed < eager_
        if not self.replays:
            self._kinds.clear()
        values = {"cuda_graphs": self.replays, "eager_seconds": eager_, "replay_seconds": replayed}
        self.emit(UpdaterReported(branch.name, branch.epoch, branch.step, "passes", values))


class CapturedForward:
    """A captured forward pass on images of a shape, for all mixtures contained in `mixture`."""

    def __init__(
        self, branch: Branch, mixture: Mixture, images: Images, recorder: Recorder
    ) -> None:
        self._images = images.clone()
        self._weights = mixture.weights.detach().to(images.device, copy=True)
        fixed = Mixture(self._weights, mixture.active)
        self._launch, self._logits = recorder(lambda: branch.logits(fixed, self._images))

    def play(self, mixture: Mixture, images: Images) -> Logits:
        """Called for a mixture contained in the captured one: returns its logits."""
        # The graph computes all captured operations; weight zero removes those not in `mixture`.
        outside = ~mixture.active.to(images.device, non_blocking=True)
        weights = mixture.weights.to(images.device, non_blocking=True)
        self._images.copy_(images, non_blocking=True)
        self._weights.copy_(weights.masked_fill(outside, 0.0))
        self._launch()
        return self._logits.clone()


@dataclass
class Measurements(Trials[CapturedForward]):
    """Statistics of measurements on images of a shape, and the fullest mixture among them.

    `count` is the number of successive mixtures contained in the fullest. `eager` holds seconds per
    active operation, `replayed` seconds per replay, which computes all operations of the fullest.
    """

    fullest: Mixture | None = None

    def holds(self, mixture: Mixture) -> bool:
        """True if the fullest mixture has all active operations of `mixture`."""
        return self.fullest is not None and not bool((mixture.active & ~self.fullest.active).any())

    def count_in(self, mixture: Mixture) -> None:
        """Called for every eager pass before a capture: updates `count` and `fullest`."""
        inside = self.holds(mixture)
        self.count = self.count + 1 if inside else 1
        self.fullest = self.fullest if inside else mixture.detach()

    def pays(self, mixture: Mixture) -> bool:
        """True if a replay is faster than an eager pass of `mixture`, or until both are timed."""
        return not self.timed or self.seconds[1] < self.seconds[0] * int(mixture.active.sum())


@dataclass
class GraphedMeasurer:
    """A `Measuring` that is eager at first, then replays a graph if that is faster.

    Args:
        recorder, clock: capture passes; return the time in seconds once the device is idle.
        emit: receives the times of both ways, once for each shape, as a report on `measuring`.
        always: replay every measurement that can be replayed, without timing.

    Example: `GraphedMeasurer(cuda_recorder, cuda_clock, print)(branch, images)([mixture])`
    """

    recorder: Recorder
    clock: Callable[[], float]
    emit: Callable[[Event], None]
    always: bool = False
    _kinds: Any = field(default_factory=WeakKeyDictionary)

    def __call__(self, branch: Branch, images: Images) -> Answers:
        """Called for every batch on which mixtures are measured."""
        eager = branch.measuring(images)
        # A graph does not call the hooks of modules.
        if any(map(has_hooks, branch.supernet.modules())):
            return eager
        kinds: dict[tuple[int, ...], Measurements] = self._kinds.setdefault(branch.supernet, {})
        kind = kinds.setdefault(tuple(images.shape), Measurements())
        return _GraphedAnswers(
            eager.measure, owner=self, kind=kind, branch=branch, images=images, eager=eager
        )

    def report(self, kind: Measurements, branch: Branch, images: int) -> None:
        """Called once both ways are timed for batches of `images` images: emits the times."""
        names = ("images", "eager_seconds_an_operation", "replay_seconds")
        values = dict(zip(names, (images, *kind.seconds), strict=True))
        self.emit(UpdaterReported(branch.name, branch.epoch, branch.step, "measuring", values))


@dataclass(kw_only=True)
class _GraphedAnswers(Answers):
    """Returns the logits of a batch for a list of mixtures, from a graph or computed eagerly."""

    owner: GraphedMeasurer
    kind: Measurements
    branch: Branch
    images: Images
    eager: Answers

    def __call__(self, mixtures: Sequence[Mixture]) -> Sequence[Logits]:
        return [self._logits(mixture) for mixture in mixtures]

    def _logits(self, mixture: Mixture) -> Logits:
        kind, owner = self.kind, self.owner
        graph = kind.captured
        if graph and kind.holds(mixture) and (owner.always or kind.pays(mixture)):
            self.strategy = "graph"
            return self._timed(kind.replayed, 1, lambda: graph.play(mixture, self.images))
        self.strategy = self.eager.strategy
        operations = max(int(mixture.active.sum()), 1)

        def eagerly() -> Logits:
            return self._timed(kind.eager, operations, lambda: self.measure([mixture])[0])

        if graph:
            return eagerly()
        logits = kind.watched(eagerly)
        kind.count_in(mixture)
        if kind.ready and kind.fullest is not None:
            kind.captured = CapturedForward(self.branch, kind.fullest, self.images, owner.recorder)
        return logits

    def _timed(self, seconds: list[float], parts: int, work: Callable[[], Logits]) -> Logits:
        """Returns the result of `work`; appends its seconds per part until there are enough."""
        if self.owner.always or len(seconds) >= TRIALS:
            return work()
        started = self.owner.clock()
        logits = work()
        seconds.append((self.owner.clock() - started) / parts)
        if self.kind.timed:
            self.owner.report(self.kind, self.branch, len(self.images))
        return logits
