"""The way back through `fused_forward`: gradients of its weights, its state and its kernels.

With G the gradient at the node, y a convolution's output of mean m, root r = 1 / sqrt(v + e) and
weight a, h = sum(G (y - m)) is all that the norm needs: the weight's slope is h r, and the gradient
of y is a r G - (a h r^3 / n) (y - m) - a r mean(G), all for each channel.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.nn import column_sums, maps, positions
from nastk_spaces_nasbench201.node_state import (
    Dense,
    Matrix,
    NodeState,
    OutgoingOperation,
    shares,
    window_sums,
)
from nastk_spaces_nasbench201.operations import State
from nastk_spaces_nasbench201.reference import plain

Gradients = tuple[Tensor | None, ...]
"""Of the weights, of the state, then of each way's kernel."""


def differentiable(
    gradients: Mapping[int, State],
    outgoing: Sequence[OutgoingOperation],
    weights: Float[Tensor, "ways"],
    state: State,
    kernels: Sequence[Tensor | None],
) -> Gradients:
    """By the plain form, whose gradients have a graph of their own."""
    with torch.enable_grad():
        again = [
            replace(operation, weight=weight, kernel=kernel)
            for operation, weight, kernel in zip(outgoing, weights.unbind(), kernels, strict=True)
        ]
        totals = plain(state, [None] * (max(gradients) + 1), again)
        reached = [totals[node] for node in gradients]
        inputs = [weights, state, *kernels]
        wanted = [each for each in inputs if each is not None and each.requires_grad]
        outputs = [each for each in reached if each is not None]
        found = iter(
            torch.autograd.grad(outputs, wanted, list(gradients.values()), create_graph=True)
        )
    return tuple(None if x is None or not x.requires_grad else next(found) for x in inputs)


def fast(
    gradients: Mapping[int, State],
    outgoing: Sequence[OutgoingOperation],
    weights: Float[Tensor, "ways"],
    source: NodeState,
    low: torch.dtype | None,
    wanted: Sequence[bool],
) -> Gradients:
    """The gradients as numbers; `wanted` says of which inputs of `_Leave`, weights first."""
    back = Back(
        {node: positions(each) for node, each in gradients.items()}, outgoing, weights, source
    )
    of_state = back.of_plain(wanted[0])
    through = None
    if source.wide is not None:
        through = back.of_wide(source.wide, low)
    if source.narrow is not None:
        through = back.of_narrow(source.narrow, through)
    if through is not None and source.relu is not None:
        masked = torch.ops.aten.threshold_backward(through, positions(source.relu), 0)
        of_state = masked if of_state is None else of_state.add_(masked)
    slopes = torch.stack(back.slopes) if wanted[0] else None
    of_maps = None if of_state is None else maps(of_state, source.state.shape)
    return slopes, of_maps, *back.kernels


class Back:
    """The way back from the nodes to one state, whose parts are asked for in turn."""

    def __init__(
        self,
        gradients: Mapping[int, Matrix],
        outgoing: Sequence[OutgoingOperation],
        weights: Float[Tensor, "ways"],
        source: NodeState,
    ) -> None:
        self._gradients, self._outgoing, self._weights, self._source = (
            gradients,
            outgoing,
            weights,
            source,
        )
        self._numbers = weights.tolist()
        self._sums = {node: column_sums(each) for node, each in gradients.items()}
        self.slopes: list[Tensor] = [weights.new_zeros(())] * len(outgoing)
        self.kernels: list[Tensor | None] = [None] * len(outgoing)

    def of_plain(self, slopes: bool) -> Matrix | None:
        """The state's gradient through poolings and skips."""
        state, pool = self._source.state, self._source.pool
        pools = [
            place for place, operation in enumerate(self._outgoing) if operation.reads == "avg_pool"
        ]
        skips = [
            place for place, operation in enumerate(self._outgoing) if operation.reads == "state"
        ]
        if slopes:
            for place in (*pools, *skips):
                x = pool if place in pools else state
                assert x is not None
                self.slopes[place] = _product(self._at(place), positions(x))
        total = self._weighted(pools, None)
        if total is not None:
            spread = maps(total, state.shape)
            spread.mul_(shares(state.shape[2], state.shape[3], state.dtype))
            total = positions(window_sums(spread))
        return self._weighted(skips, total)

    def of_wide(self, wide: Dense, low: torch.dtype | None) -> Matrix:
        """What they read gets this gradient; that of each kernel is noted."""
        assert wide.output is not None and self._source.relu is not None
        output = positions(wide.output).to(self._source.relu.dtype)
        columns = output.chunk(len(wide.places), 1)
        held = torch.stack(
            [
                (self._at(place).t() @ part).diagonal()
                for place, part in zip(wide.places, columns, strict=True)
            ]
        )
        sums = torch.stack([self._sums[self._outgoing[place].node] for place in wide.places])
        held -= sums * wide.means
        scales, spread = self._through_norm(wide, held)
        share = 1 / len(output)
        slope = spread * (2 * share)
        shift = -share * scales * sums - slope * wide.means
        # What was brought back from reduced precision is written over.
        own = None if output.dtype == wide.output.dtype else output
        of_output = torch.addcmul(shift.flatten(), output, slope.flatten(), out=own)
        parts = of_output.chunk(len(wide.places), 1)
        for place, part, scale in zip(wide.places, parts, scales.unbind(), strict=True):
            part.addcmul_(self._at(place), scale)
        return self._through_convolution(maps(of_output, wide.output.shape), wide, low)

    def of_narrow(self, narrow: Dense, total: Matrix | None) -> Matrix:
        """The same, added to `total`; here W is known by h = G'(x - m) and C alone."""
        assert narrow.mean is not None and narrow.covariance is not None
        assert self._source.relu is not None
        relu, kernels = positions(self._source.relu), narrow.kernel
        products = torch.stack([self._at(place).t() @ relu for place in narrow.places])
        sums = torch.stack([self._sums[self._outgoing[place].node] for place in narrow.places])
        held = products - sums[:, :, None] * narrow.mean
        scales, spread = self._through_norm(narrow, (held * kernels).sum(2))
        spreads = 2 * spread[:, :, None] * kernels
        of_kernels = scales[:, :, None] * held + spreads @ narrow.covariance
        share = 1 / len(relu)
        through = (kernels.mT @ spreads).sum(0) * share
        scaled = kernels * scales[:, :, None]
        shift = -share * (sums[:, None] @ scaled).sum((0, 1)) - narrow.mean @ through
        total = (
            torch.addmm(shift, relu, through)
            if total is None
            else total.addmm_(relu, through).add_(shift)
        )
        for number, place in enumerate(narrow.places):
            total.addmm_(self._at(place), scaled[number])
            self.kernels[place] = of_kernels[number][:, :, None, None]
        return total

    def _through_norm(self, dense: Dense, held: Tensor) -> tuple[Tensor, Tensor]:
        """The factor a r of each channel, and the slope of its variance; notes the weights'."""
        by_weight = (held * dense.roots).sum(1)
        for place, slope in zip(dense.places, by_weight.unbind(), strict=True):
            self.slopes[place] = slope
        scales, _ = dense.factors(self._weights)
        return scales, -0.5 * held * scales * dense.roots.square()

    def _through_convolution(self, gradient: State, wide: Dense, low: torch.dtype | None) -> Matrix:
        relu = self._source.relu
        assert relu is not None
        given = [gradient, relu, wide.kernel]
        kind = relu.dtype
        if low is not None:
            given = [each.to(low) for each in given]
        of_relu, of_kernel, _ = torch.ops.aten.convolution_backward(
            *given, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False]
        )
        parts = of_kernel.to(kind).chunk(len(wide.places))
        for place, part in zip(wide.places, parts, strict=True):
            kernel = self._outgoing[place].kernel
            middle = kernel is not None and kernel.shape[-1] == 1
            self.kernels[place] = part[:, :, 1:2, 1:2] if middle else part
        return positions(of_relu.to(kind))

    def _weighted(self, places: Sequence[int], total: Matrix | None) -> Matrix | None:
        """The gradients at the ends of these ways, each with its weight, added to `total`."""
        for place in places:
            gradient, weight = self._at(place), self._numbers[place]
            total = gradient * weight if total is None else total.add_(gradient, alpha=weight)
        return total

    def _at(self, place: int) -> Matrix:
        return self._gradients[self._outgoing[place].node]


def _product(one: Matrix, other: Matrix) -> Float[Tensor, ""]:
    """The sum over all of `one * other`."""
    return torch.dot(one.reshape(-1), other.reshape(-1))
