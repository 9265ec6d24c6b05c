"""The backward pass of `fused_forward`: gradients of its weights, its state and its kernels.

An operation adds a r (y - m) to a node, for each channel: y is the convolution's output, m its
mean and v its variance over n positions, r = 1 / sqrt(v + e), and a the mixing weight. With G the
gradient at the node, the single sum h = sum(G (y - m)) determines what passes through the norm:

    gradient of a = sum over channels of h r
    gradient of v = -1/2 a h r^3
    gradient of y = a r G - a r mean(G) - (a h r^3 / n) (y - m)

(the last term is the gradient of v times dv/dy = 2 (y - m) / n; the mean of y - m is zero).
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
"""The gradients of the weights, of the state, then of each outgoing operation's kernel."""


def differentiable(
    gradients: Mapping[int, State],
    outgoing: Sequence[OutgoingOperation],
    weights: Float[Tensor, "operations"],
    state: State,
    kernels: Sequence[Tensor | None],
) -> Gradients:
    """Returns gradients that can be differentiated again, through the reference form."""
    with torch.enable_grad():
        again = [
            replace(operation, weight=weight, kernel=kernel)
            for operation, weight, kernel in zip(outgoing, weights.unbind(), kernels, strict=True)
        ]
        totals = plain(state, [None] * (max(gradients) + 1), again)
        reached = [totals[node] for node in gradients]
        inputs = [weights, state, *kernels]
        wanted = [x for x in inputs if x is not None and x.requires_grad]
        outputs = [total for total in reached if total is not None]
        computed = iter(
            torch.autograd.grad(outputs, wanted, list(gradients.values()), create_graph=True)
        )
    return tuple(None if x is None or not x.requires_grad else next(computed) for x in inputs)


def fast(
    gradients: Mapping[int, State],
    outgoing: Sequence[OutgoingOperation],
    weights: Float[Tensor, "operations"],
    source: NodeState,
    low: torch.dtype | None,
    wanted: Sequence[bool],
) -> Gradients:
    """Returns the gradients without a graph.

    `wanted` says which inputs of `_FusedForward` need a gradient, the weights first.
    """
    backward = BackwardPass(
        {node: positions(gradient) for node, gradient in gradients.items()},
        outgoing,
        weights,
        source,
    )
    of_state = backward.of_plain(wanted[0])
    # The convolutions' gradients are added up first, so that the ReLU's mask is applied once.
    of_relu = None
    if source.wide is not None:
        of_relu = backward.of_wide(source.wide, low)
    if source.narrow is not None:
        of_relu = backward.of_narrow(source.narrow, of_relu)
    if of_relu is not None and source.relu is not None:
        masked = torch.ops.aten.threshold_backward(of_relu, positions(source.relu), 0)
        of_state = masked if of_state is None else of_state.add_(masked)
    slopes = torch.stack(backward.slopes) if wanted[0] else None
    of_maps = None if of_state is None else maps(of_state, source.state.shape)
    return slopes, of_maps, *backward.kernels


class BackwardPass:
    """The gradients from the nodes back to one state; `fast` calls its methods in turn.

    `slopes` (gradients of the mixing weights) and `kernels` (of the kernels) fill up on the way.
    """

    def __init__(
        self,
        gradients: Mapping[int, Matrix],
        outgoing: Sequence[OutgoingOperation],
        weights: Float[Tensor, "operations"],
        source: NodeState,
    ) -> None:
        self._gradients, self._outgoing, self._weights, self._source = (
            gradients,
            outgoing,
            weights,
            source,
        )
        self._numbers = weights.tolist()
        self._sums = {node: column_sums(gradient) for node, gradient in gradients.items()}
        self.slopes: list[Tensor] = [weights.new_zeros(())] * len(outgoing)
        self.kernels: list[Tensor | None] = [None] * len(outgoing)

    def of_plain(self, slopes: bool) -> Matrix | None:
        """Returns the gradient of the state through poolings and skips, positions x channels."""
        state, pool = self._source.state, self._source.pool
        pools = [
            index for index, operation in enumerate(self._outgoing) if operation.reads == "avg_pool"
        ]
        skips = [
            index for index, operation in enumerate(self._outgoing) if operation.reads == "state"
        ]
        if slopes:
            for index in (*pools, *skips):
                x = pool if index in pools else state
                assert x is not None
                self.slopes[index] = _product(self._gradient_at(index), positions(x))
        total = self._weighted(pools, None)
        if total is not None:
            # Forward: window sums, then the division. Backward: the transposes in reverse order.
            spread = maps(total, state.shape)
            spread.mul_(shares(state.shape[2], state.shape[3], state.dtype))
            total = positions(window_sums(spread))
        return self._weighted(skips, total)

    def of_wide(self, wide: Dense, low: torch.dtype | None) -> Matrix:
        """Returns the gradient of the ReLU through the computed convolutions; notes the kernels'.

        The result is positions x in.
        """
        assert wide.output is not None and self._source.relu is not None
        output = positions(wide.output).to(self._source.relu.dtype)
        columns = output.chunk(len(wide.indices), 1)  # per convolution: positions x out
        # h = sum(G (y - m)) = sum(G y) - sum(G) m. The diagonal of G'y holds sum(G y) of each
        # channel: a matrix product is faster than multiplying the maps and summing over positions.
        centred = torch.stack(
            [
                (self._gradient_at(index).t() @ part).diagonal()
                for index, part in zip(wide.indices, columns, strict=True)
            ]
        )  # convolutions x out
        sums = torch.stack([self._sums[self._outgoing[index].node] for index in wide.indices])
        centred -= sums * wide.means
        scales, by_variance = self._through_norm(wide, centred)  # convolutions x out
        share = 1 / len(output)
        # The gradient of y as slope y + shift + a r G, so that it is two passes over the map.
        slope = by_variance * (2 * share)
        shift = -share * scales * sums - slope * wide.means
        # An output that was just converted from reduced precision is a copy: overwrite it.
        copy = None if output.dtype == wide.output.dtype else output
        of_output = torch.addcmul(shift.flatten(), output, slope.flatten(), out=copy)
        parts = of_output.chunk(len(wide.indices), 1)
        for index, part, scale in zip(wide.indices, parts, scales.unbind(), strict=True):
            part.addcmul_(self._gradient_at(index), scale)
        return self._through_convolution(maps(of_output, wide.output.shape), wide, low)

    def of_narrow(self, narrow: Dense, total: Matrix | None) -> Matrix:
        """Returns `total` plus the gradient of the ReLU through the 1x1 convolutions.

        Here y = x W' is never computed. With m and C the mean and covariance of x, b the gradient
        of the variance diag(W C W') and H = G'(x - m), which is out x in:

            h = sum over in of H W
            gradient of W = a r H + 2 b W C
            gradient of x = a r (G - mean(G)) W + (2 / n) (x - m) W' diag(b) W
        """
        assert narrow.mean is not None and narrow.covariance is not None
        assert self._source.relu is not None
        relu, kernels = positions(self._source.relu), narrow.kernel
        # G'x: convolutions x out x in; less sum(G) m' it is H.
        products = torch.stack([self._gradient_at(index).t() @ relu for index in narrow.indices])
        sums = torch.stack([self._sums[self._outgoing[index].node] for index in narrow.indices])
        centred = products - sums[:, :, None] * narrow.mean
        scales, by_variance = self._through_norm(narrow, (centred * kernels).sum(2))
        spreads = 2 * by_variance[:, :, None] * kernels  # 2 b W: convolutions x out x in
        of_kernels = scales[:, :, None] * centred + spreads @ narrow.covariance
        share = 1 / len(relu)
        through = (kernels.mT @ spreads).sum(0) * share  # (2 / n) W' diag(b) W: in x in
        scaled = kernels * scales[:, :, None]  # a r W: convolutions x out x in
        # All terms of x's gradient that are the same at every position, in one row of `in`.
        shift = -share * (sums[:, None] @ scaled).sum((0, 1)) - narrow.mean @ through
        total = (
            torch.addmm(shift, relu, through)
            if total is None
            else total.addmm_(relu, through).add_(shift)
        )
        for number, index in enumerate(narrow.indices):
            total.addmm_(self._gradient_at(index), scaled[number])
            self.kernels[index] = of_kernels[number][:, :, None, None]
        return total

    def _through_norm(self, dense: Dense, centred: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a r and the gradient of v from h (`centred`); notes the weights' gradients.

        All are convolutions x out.
        """
        by_weight = (centred * dense.roots).sum(1)
        for index, slope in zip(dense.indices, by_weight.unbind(), strict=True):
            self.slopes[index] = slope
        scales, _ = dense.factors(self._weights)
        return scales, -0.5 * centred * scales * dense.roots.square()

    def _through_convolution(self, gradient: State, wide: Dense, low: torch.dtype | None) -> Matrix:
        """Returns the gradient of the convolutions' input; notes those of the kernels."""
        relu = self._source.relu
        assert relu is not None
        given = [gradient, relu, wide.kernel]
        kind = relu.dtype
        if low is not None:
            given = [tensor.to(low) for tensor in given]
        of_relu, of_kernel, _ = torch.ops.aten.convolution_backward(
            *given, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False]
        )
        parts = of_kernel.to(kind).chunk(len(wide.indices))  # per convolution: out x in x 3 x 3
        for index, part in zip(wide.indices, parts, strict=True):
            kernel = self._outgoing[index].kernel
            # A 1x1 kernel was padded with zeros; only its middle is a parameter.
            middle = kernel is not None and kernel.shape[-1] == 1
            self.kernels[index] = part[:, :, 1:2, 1:2] if middle else part
        return positions(of_relu.to(kind))

    def _weighted(self, indices: Sequence[int], total: Matrix | None) -> Matrix | None:
        """Returns `total` plus the weighted gradients at the nodes of these operations."""
        for index in indices:
            gradient, weight = self._gradient_at(index), self._numbers[index]
            total = gradient * weight if total is None else total.add_(gradient, alpha=weight)
        return total

    def _gradient_at(self, index: int) -> Matrix:
        """Returns the gradient at the node that the outgoing operation `index` leads to."""
        return self._gradients[self._outgoing[index].node]


def _product(left: Matrix, right: Matrix) -> Float[Tensor, ""]:
    """Returns the sum of `left * right` over all entries."""
    return torch.dot(left.reshape(-1), right.reshape(-1))
