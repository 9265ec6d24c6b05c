"""CUDA graphs: passes captured once and launched again, for weight steps and for measurements.

A pass of a supernet launches thousands of small kernels, and at small batches the launching takes
the time; a graph launches them together. It reads and writes fixed tensors, so inputs are copied in
and answers taken out: `CapturedStep` does so for a weight step, `CapturedForward` for a forward
pass, which answers for every mixture that computes nothing else.

Neither is always faster. With `auto`, `AutotunedPass` and `GraphedMeasurer` time both ways on
passes of the run itself, so nothing is computed twice. Whatever comes rarely, and whatever draws
random numbers inside the network, is computed eagerly. Off unless the user asks for it.
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
from nastk.spaces.supernet import Answers, is_heard
from nastk.train.branch import Branch
from nastk.train.options import Graphs
from nastk.train.passes import Pass, eager, forward

Images = Float[Tensor, "batch channels height width"]
Logits = Float[Tensor, "batch classes"]
Measuring = Callable[[Branch, Images], Answers]
"""What answers for many mixtures on the same images."""
StepTensors = tuple[Tensor, Tensor, list[Tensor | None]]
"""Loss, correct answers, and the gradients of the weights and of the mixture's (None: not met)."""
Made = TypeVar("Made")
Answer = TypeVar("Answer")

WARM_UP = 3  # passes before a capture, in which libraries choose their kernels
TRIALS = 5  # passes of a kind that are timed in each way; the first of them only warms up
PATIENCE = 200  # passes after which eager ones are kept unmeasured: no kind came often enough
CAPTURES = 2  # captured steps a supernet keeps at most: each holds the memory of a pass
KINDS = 16  # kinds of passes that are remembered for a supernet


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
    return AutotunedPass(cuda_recorder, cuda_clock, emit, replays=True if graphs == "on" else None)


def measuring(
    graphs: Graphs, execution: Execution, emit: Callable[[Event], None] = lambda event: None
) -> Measuring:
    """How a branch's mixtures are measured on this device; `graphs` is the user's word."""
    if graphs == "off" or execution.device.type != "cuda":
        return Branch.measuring
    return GraphedMeasurer(cuda_recorder, cuda_clock, emit, always=graphs == "on")


@runtime_checkable
class Recorder(Protocol):
    """Captures what `work` launches: answers how to launch it again, and where its answers lie."""

    def __call__(self, work: Callable[[], Made]) -> tuple[Callable[[], None], Made]:
        """Called with work that reads and writes fixed tensors."""


def cuda_recorder(work: Callable[[], Made]) -> tuple[Callable[[], None], Made]:
    """Capture `work` as a CUDA graph, after passes on a side stream."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answers = work()
    return graph.replay, answers


def cuda_clock() -> float:
    """Seconds, read once the device has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def random_states() -> list[Tensor]:
    """The states of torch's own random streams, which operations that draw move on."""
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = [torch.cuda.get_rng_state()] if started else []
    return [torch.get_rng_state(), *cuda]


@dataclass
class Trials(Generic[Made]):
    """Passes alike: how many came, whether their operations draw, and seconds in both ways.

    `captured` is their graph, once there is one.
    """

    count: int = 0
    draws: bool = False
    eager: list[float] = field(default_factory=list)
    replayed: list[float] = field(default_factory=list)
    captured: Made | None = None

    @property
    def ready(self) -> bool:
        """Whether it came often enough to be captured, and draws no random numbers."""
        # A replay would draw as well, but not surely the same numbers.
        return self.captured is None and self.count >= TRIALS and not self.draws

    @property
    def timed(self) -> bool:
        """Whether both ways were timed often enough to compare."""
        return min(len(self.eager), len(self.replayed)) >= TRIALS

    @property
    def seconds(self) -> tuple[float, float]:
        """The medians, eager and replayed, without the first pass of each."""
        return median(self.eager[1:]), median(self.replayed[1:])

    def watched(self, work: Callable[[], Answer]) -> Answer:
        """The answer of an eager pass; notes whether it drew random numbers."""
        before = random_states()
        answer = work()
        self.draws = self.draws or not all(map(torch.equal, before, random_states()))
        return answer


class CapturedStep:
    """A weight step's pass, for one supernet, one set of active operations and one batch shape.

    `recorder` captures on the branch's device; the branch's weights are read where they lie.
    """

    def __init__(self, branch: Branch, mixture: Mixture, piece: Batch, recorder: Recorder) -> None:
        self._piece = Batch(piece.images.clone(), piece.labels.clone())
        weights = mixture.weights.detach().to(piece.images.device, copy=True)
        weights.requires_grad_(mixture.weights.requires_grad)
        self._mixture = Mixture(weights, mixture.active)
        parameters = list(branch.supernet.parameters())

        def work() -> StepTensors:
            minimised, loss, hits = forward(branch, self._mixture, self._piece)
            asked = [*parameters, *([weights] if weights.requires_grad else [])]
            found = torch.autograd.grad(minimised, asked, allow_unused=True)
            return loss, hits, list(found)

        self._launch, (self._loss, self._hits, found) = recorder(work)
        self._slope = found[len(parameters)] if weights.requires_grad else None
        reached = [
            (weight, gradient)
            for weight, gradient in zip(parameters, found, strict=False)
            if gradient is not None
        ]
        self._weights = [weight for weight, _ in reached]
        self._gradients = [gradient for _, gradient in reached]
        self._sums = [torch.empty_like(gradient) for gradient in self._gradients]

    def play(self, mixture: Mixture, piece: Batch, parts: float) -> tuple[Tensor, Tensor]:
        """Called for every pass of this kind; does what `passes.Pass` promises."""
        with torch.no_grad():
            self._piece.images.copy_(piece.images, non_blocking=True)
            self._piece.labels.copy_(piece.labels, non_blocking=True)
            self._mixture.weights.copy_(mixture.weights, non_blocking=True)
            self._launch()
            self._give(parts)
            if self._slope is not None:
                share = self._slope.to(mixture.weights.device) / parts
                held = mixture.weights.grad
                mixture.weights.grad = share if held is None else held + share
            return self._loss / parts, self._hits.clone()

    def _give(self, parts: float) -> None:
        """Add the gradients to those that the weights have; a step's first pass sets them."""
        scaled = torch._foreach_div(self._gradients, parts)
        more = [place for place, weight in enumerate(self._weights) if weight.grad is not None]
        first = [place for place, weight in enumerate(self._weights) if weight.grad is None]
        if more:
            held = [cast(Tensor, self._weights[place].grad) for place in more]
            torch._foreach_add_(held, [scaled[place] for place in more])
        if first:
            sums = [self._sums[place] for place in first]
            torch._foreach_copy_(sums, [scaled[place] for place in first])
            for place in first:
                self._weights[place].grad = self._sums[place]


@dataclass
class AutotunedPass:
    """A `Pass` that is eager at first, then captured, and keeps to what took less time.

    Args:
        recorder, clock: how passes are captured, and seconds once the device is idle.
        emit: hears once what was chosen, as a report on the topic `passes`.
        replays: what was chosen; None until it is measured, True from the start to force it.

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
            captured = [one for one in self._kinds[branch.supernet].values() if one.captured]
            for one in captured[:-CAPTURES]:
                one.captured = None
        started = None if self.replays else self.clock()
        if kind.captured is not None:
            answer = kind.captured.play(mixture, piece, parts)
        else:
            answer = kind.watched(lambda: eager(branch, mixture, piece, parts))
            kind.count += 1
        if started is not None:
            (kind.replayed if kind.captured else kind.eager).append(self.clock() - started)
            self._choose(branch, kind)
        return answer

    def _kind(self, branch: Branch, mixture: Mixture, piece: Batch) -> Trials[CapturedStep]:
        """What is known of passes like this one; kinds not met for long are forgotten."""
        known = self._kinds.setdefault(branch.supernet, OrderedDict())
        active = tuple(map(tuple, mixture.active.tolist()))
        key = (active, mixture.weights.requires_grad, tuple(piece.images.shape))
        found: Trials[CapturedStep] = known.pop(key, None) or Trials()
        known[key] = found
        if len(known) > KINDS:
            known.popitem(last=False)
        return found

    def _choose(self, branch: Branch, kind: Trials[CapturedStep]) -> None:
        """Decide for the rest of the run, once both ways were timed on passes alike."""
        self._passes += 1
        if not kind.timed and self._passes < PATIENCE:
            return
        plain, replayed = kind.seconds if kind.timed else (None, None)
        self.replays = plain is not None and replayed is not None and replayed < plain
        if not self.replays:
            self._kinds.clear()
        values = {"cuda_graphs": self.replays, "eager_seconds": plain, "replay_seconds": replayed}
        self.emit(UpdaterReported(branch.name, branch.epoch, branch.step, "passes", values))


class CapturedForward:
    """A forward pass on images of one shape, captured for all mixtures inside one."""

    def __init__(
        self, branch: Branch, mixture: Mixture, images: Images, recorder: Recorder
    ) -> None:
        self._images = images.clone()
        self._weights = mixture.weights.detach().to(images.device, copy=True)
        held = Mixture(self._weights, mixture.active)
        self._launch, self._logits = recorder(lambda: branch.logits(held, self._images))

    def play(self, mixture: Mixture, images: Images) -> Logits:
        """Called for a mixture inside the captured one: its logits."""
        outside = ~mixture.active.to(images.device, non_blocking=True)
        weights = mixture.weights.to(images.device, non_blocking=True)
        self._images.copy_(images, non_blocking=True)
        self._weights.copy_(weights.masked_fill(outside, 0.0))
        self._launch()
        return self._logits.clone()


@dataclass
class Measurements(Trials[CapturedForward]):
    """Measurements on images of one shape, with the fullest mixture that came.

    `count` are those in a row that compute nothing that the fullest does not; `eager` holds seconds
    for each operation computed, `replayed` those of a replay, which always computes all.
    """

    fullest: Mixture | None = None

    def holds(self, mixture: Mixture) -> bool:
        """Whether the fullest mixture computes all that this one does."""
        return self.fullest is not None and not bool((mixture.active & ~self.fullest.active).any())

    def count_in(self, mixture: Mixture) -> None:
        """Called for every eager pass while nothing is captured."""
        inside = self.holds(mixture)
        self.count = self.count + 1 if inside else 1
        self.fullest = self.fullest if inside else mixture.detach()

    def pays(self, mixture: Mixture) -> bool:
        """Whether a replay takes less than an eager pass of so many operations; first, try it."""
        return not self.timed or self.seconds[1] < self.seconds[0] * int(mixture.active.sum())


@dataclass
class GraphedMeasurer:
    """A `Measuring` that is eager at first, then replays a graph where that takes less time.

    Args:
        recorder, clock: how passes are captured, and seconds once the device is idle.
        emit: hears once for each shape of images what both ways take, as a report on `measuring`.
        always: replay what can be replayed without timing anything.

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
        # Whoever listens to a module would not be called by a graph.
        if any(map(is_heard, branch.supernet.modules())):
            return eager
        kinds: dict[tuple[int, ...], Measurements] = self._kinds.setdefault(branch.supernet, {})
        kind = kinds.setdefault(tuple(images.shape), Measurements())
        return _Answered(
            eager.measure, owner=self, kind=kind, branch=branch, images=images, eager=eager
        )

    def report(self, kind: Measurements, branch: Branch, images: int) -> None:
        """Called when both ways are timed for batches of so many images."""
        names = ("images", "eager_seconds_an_operation", "replay_seconds")
        values = dict(zip(names, (images, *kind.seconds), strict=True))
        self.emit(UpdaterReported(branch.name, branch.epoch, branch.step, "measuring", values))


@dataclass(kw_only=True)
class _Answered(Answers):
    """The answers on one batch, from a graph or from the eager path."""

    owner: GraphedMeasurer
    kind: Measurements
    branch: Branch
    images: Images
    eager: Answers

    def __call__(self, mixtures: Sequence[Mixture]) -> Sequence[Logits]:
        return [self._one(each) for each in mixtures]

    def _one(self, mixture: Mixture) -> Logits:
        kind, owner = self.kind, self.owner
        graph = kind.captured
        if graph and kind.holds(mixture) and (owner.always or kind.pays(mixture)):
            self.strategy = "graph"
            return self._taken(kind.replayed, 1, lambda: graph.play(mixture, self.images))
        self.strategy = self.eager.strategy
        operations = max(int(mixture.active.sum()), 1)

        def measured() -> Logits:
            return self._taken(kind.eager, operations, lambda: self.measure([mixture])[0])

        if graph:
            return measured()
        answer = kind.watched(measured)
        kind.count_in(mixture)
        if kind.ready and kind.fullest is not None:
            kind.captured = CapturedForward(self.branch, kind.fullest, self.images, owner.recorder)
        return answer

    def _taken(self, seconds: list[float], parts: int, work: Callable[[], Logits]) -> Logits:
        """What `work` gives, timed as long as times are wanted."""
        if self.owner.always or len(seconds) >= TRIALS:
            return work()
        started = self.owner.clock()
        answer = work()
        seconds.append((self.owner.clock() - started) / parts)
        if self.kind.timed:
            self.owner.report(self.kind, self.branch, len(self.images))
        return answer
