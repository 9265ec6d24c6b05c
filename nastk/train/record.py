"""A pass of a weight step recorded once and replayed: `Record`, with CUDA graphs behind it.

A supernet's pass launches thousands of small kernels, and at small batches the launching takes the
time; a graph launches them together. It reads and writes fixed places, so `Record` copies inputs in
and takes gradients out. `replay.py` says when that is worth it.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar, cast, runtime_checkable

import torch
from torch import Tensor

from nastk.data.streams import Batch
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch
from nastk.train.passes import forward

Places = tuple[Tensor, Tensor, list[Tensor | None]]
"""Loss, correct answers, and the gradients of the weights and of the mixture's (None: not met)."""
Made = TypeVar("Made")


@runtime_checkable
class Recorder(Protocol):
    """Records what `work` launches: answers how to launch it again, and where its answers lie."""

    def __call__(self, work: Callable[[], Made]) -> tuple[Callable[[], None], Made]:
        """Called with work that reads and writes fixed places."""


WARM_UP = 3


class Record:
    """One pass, for one supernet, one set of active operations and one batch shape.

    Args:
        branch, mixture, piece: what is recorded; the branch's weights are read where they lie.
        recorder: records on the branch's device.

    Example: `Record(branch, mixture, batch, cuda_recorder).play(mixture, batch, 1.0)`
    """

    def __init__(self, branch: Branch, mixture: Mixture, piece: Batch, recorder: Recorder) -> None:
        self._piece = Batch(piece.images.clone(), piece.labels.clone())
        weights = mixture.weights.detach().to(piece.images.device, copy=True)
        self._mixture = Mixture(
            weights.requires_grad_(mixture.weights.requires_grad), mixture.active
        )
        parameters = list(branch.supernet.parameters())

        def work() -> Places:
            loss, hits = forward(branch, self._mixture, self._piece)
            asked = [*parameters, *([weights] if weights.requires_grad else [])]
            found = torch.autograd.grad(loss, asked, allow_unused=True)
            return loss.detach(), hits, list(found)

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


def cuda_recorder(work: Callable[[], Made]) -> tuple[Callable[[], None], Made]:
    """Record `work` as a CUDA graph; passes on a side stream let libraries choose kernels first."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        places = work()
    return graph.replay, places
