"""`NodeState`: a state of a cell with everything that its outgoing operations share.

The shared results do not depend on the mixing weights: the outputs of the 3x3 convolutions
(computed as one convolution), the moments of what the 1x1 convolutions read, and the pooling.
`NodeState.sums` then adds the weighted operations to the nodes that they lead to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.nn import (
    BatchNorm,
    Groups,
    Statistics,
    has_covariance,
    maps,
    moments,
    positions,
    statistics,
)
from nastk_spaces_nasbench201.operations import Operation, State

Matrix = Float[Tensor, "*groups positions _channels"]
"""A feature map as a matrix with one row per image and position.

Where several mixtures are measured in one pass, there is one matrix per mixture (`groups`).
"""


@dataclass(frozen=True, eq=False)
class OutgoingOperation:
    """An operation that leaves a state: the node it leads to, its weight, its view and its tensors.

    `weight` is a scalar, or a vector with one entry per mixture where several mixtures are measured
    in one pass; the images of the mixtures then follow one another in the batch.
    `reads` names a view of `Views`, or is `nothing` for the operation `none`. A convolution reads
    `relu` and is followed by a norm without scale and shift.

    Example: `OutgoingOperation(3, torch.tensor(0.2), "relu", convolution.weight, BatchNorm(16))`
    """

    node: int
    weight: Float[Tensor, "*groups"]
    reads: str
    kernel: Float[Tensor, "out in size size"] | None = None
    norm: BatchNorm | None = None

    @classmethod
    def of(
        cls, operation: Operation, node: int, weight: Float[Tensor, "*groups"]
    ) -> "OutgoingOperation":
        """Called by `SearchCell` for each active operation whose property `joins` is true."""
        if not isinstance(operation.body, nn.Sequential):
            return cls(node, weight, "nothing" if operation.is_none else operation.reads)
        convolution, norm = cast(tuple[nn.Conv2d, BatchNorm], tuple(operation.body))
        return cls(node, weight, operation.reads, convolution.weight, norm)


@dataclass(frozen=True, eq=False)
class Dense:
    """The convolutions of a state, computed as one, with the statistics of their outputs.

    `indices` are the positions of these operations in the list of outgoing operations, `means` the
    mean and `roots` one over the standard deviation of each output channel. `kernel` holds all
    kernels together.
    3x3 convolutions have an `output`, in the precision it was computed in. 1x1 convolutions are
    applied as matrices and have none; instead, `mean` and `covariance` are those of their input
    (None if all their norms have frozen statistics).
    """

    TENSORS: ClassVar[int] = 6

    indices: list[int]
    kernel: Tensor
    means: Float[Tensor, "*groups convolutions out"]
    roots: Float[Tensor, "*groups convolutions out"]
    output: State | None = None
    mean: Float[Tensor, "*groups in"] | None = None
    covariance: Float[Tensor, "*groups in in"] | None = None

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors to save for the backward pass; `Dense(indices, *tensors)` restores it."""
        return (
            self.kernel, self.means, self.roots, self.output, self.mean, self.covariance
        )  # fmt: skip

    def factors(
        self, weights: Float[Tensor, "*groups operations"]
    ) -> tuple[Float[Tensor, "*groups convolutions out"], Sequence[Float[Tensor, "*groups out"]]]:
        """Returns the factor of each output channel and, per convolution, the shift to subtract.

        With mixing weight a, mean m and r = 1 / sqrt(v + e), the weighted norm of y is
        a r (y - m): the factor is a r, the shift a r m.
        """
        scales = weights[..., self.indices, None] * self.roots  # groups x convolutions x out
        return scales, (scales * self.means).unbind(-2)


@dataclass(frozen=True, eq=False)
class NodeState:
    """A state and the results that its outgoing operations share; unneeded results are None.

    `relu` and `pool` are views of `state`. `wide` describes the convolutions that are computed (3x3
    kernels, and 1x1 kernels of states with few positions), `narrow` the 1x1 convolutions that are
    applied as matrices. `output` is `wide.output` in the state's precision.

    Example: `NodeState.of(state, outgoing, low=None).sums(outgoing, {3: None}, weights)[3]`
    """

    state: State
    relu: State | None
    pool: State | None
    wide: Dense | None
    narrow: Dense | None
    output: State | None = None

    @classmethod
    def of(
        cls,
        state: State,
        outgoing: Sequence[OutgoingOperation],
        low: torch.dtype | None,
        groups: Groups = (),
    ) -> "NodeState":
        """Called once per state and forward pass; computes 3x3 convolutions in precision `low`."""
        state = state.contiguous(memory_format=torch.channels_last)
        sizes = {
            index: operation.kernel.shape[-1]
            for index, operation in enumerate(outgoing)
            if operation.kernel is not None
        }
        # The covariance of few positions is too inaccurate in single precision.
        rows = len(state) * state.shape[2] * state.shape[3] // prod(groups)
        many = has_covariance(rows)
        small = [index for index, size in sizes.items() if many and size == 1]
        large = [index for index in sizes if index not in small]
        relu = torch.relu(state) if sizes else None
        pool = (
            pooled(state) if any(operation.reads == "avg_pool" for operation in outgoing) else None
        )
        wide, output = None, None
        if relu is not None and large:
            wide, output = _wide(relu, outgoing, large, low, groups)
        narrow = _narrow(relu, outgoing, small, groups) if relu is not None and small else None
        return cls(state, relu, pool, wide, narrow, output)

    def sums(
        self,
        outgoing: Sequence[OutgoingOperation],
        totals: Mapping[int, State | None],
        weights: Float[Tensor, "*groups operations"],
        overwrite: bool = False,
    ) -> dict[int, State]:
        """Called once: returns the total of each node with this state's operations added.

        The memory of `totals` is reused if `overwrite` is true.
        """

        def rows(x: State) -> Matrix:
            # (groups x images x height x width) x channels, as groups x positions x channels
            return positions(x).view(*weights.shape[:-1], -1, x.shape[1])

        running = {
            node: Running(None if total is None else rows(total), overwrite)
            for node, total in totals.items()
        }
        if self.narrow is not None and self.relu is not None:
            scales, shifts = self.narrow.factors(weights)
            # One groups x in x out matrix per convolution: weight, norm and kernel in one product.
            kernels = (self.narrow.kernel * scales[..., None]).mT.unbind(-3)
            for index, kernel, shift in zip(self.narrow.indices, kernels, shifts, strict=True):
                running[outgoing[index].node].project(rows(self.relu), kernel, shift)
        for operation, weight in zip(outgoing, weights.unbind(-1), strict=True):
            if operation.reads in ("state", "avg_pool"):
                x = self.pool if operation.reads == "avg_pool" else self.state
                assert x is not None
                running[operation.node].add(rows(x), weight)
        if self.wide is not None and self.output is not None:
            scales, shifts = self.wide.factors(weights)
            # Convolution k wrote the k-th block of output channels: groups x positions x out.
            columns = rows(self.output).chunk(scales.shape[-2], -1)
            for index, x, scale, shift in zip(
                self.wide.indices, columns, scales.unbind(-2), shifts, strict=True
            ):
                running[outgoing[index].node].scale(x, scale, shift)
        return {
            node: torch.zeros_like(self.state) if done is None else maps(done, self.state.shape)
            for node, done in ((node, total.done()) for node, total in running.items())
        }


class Running:
    """The running sum at a node; `overwrite` permits it to reuse the memory it begins with."""

    def __init__(self, total: Matrix | None, overwrite: bool) -> None:
        self.total = total
        self.overwrite = overwrite
        self.shift: Tensor | None = None

    def project(self, x: Matrix, kernel: Float[Tensor, "*groups in out"], shift: Tensor) -> None:
        """Called for a convolution applied as a matrix: adds `x @ kernel - shift`."""
        self._collect(shift)
        if self.total is None:
            self._replace(x @ kernel)
            return
        add: Any = torch.addmm if x.ndim == 2 else torch.baddbmm
        self._replace(add(self.total, x, kernel, out=self.total if self.overwrite else None))

    def add(self, x: Matrix, weight: Float[Tensor, "*groups"]) -> None:
        """Called for an operation without weights of its own: adds `weight * x`."""
        self._add_scaled(x, weight[..., None, None])

    def scale(self, x: Matrix, factors: Float[Tensor, "*groups out"], shift: Tensor) -> None:
        """Called for the output of a convolution: adds `factors * x - shift`."""
        self._collect(shift)
        self._add_scaled(x, factors[..., None, :])

    def done(self) -> Matrix | None:
        """Called last: returns the sum, or None if nothing was added."""
        if self.total is None or self.shift is None:
            return self.total
        return self.total.sub_(self.shift[..., None, :])

    def _add_scaled(self, x: Matrix, factor: Tensor) -> None:
        if self.total is None:
            self._replace(x * factor)
        else:
            out = self.total if self.overwrite else None
            self._replace(torch.addcmul(self.total, x, factor, out=out))

    def _replace(self, total: Matrix) -> None:
        # From the first addition on the sum lies in memory that nobody else reads.
        self.total, self.overwrite = total, True

    def _collect(self, shift: Tensor) -> None:
        # The shifts of all convolutions are summed first: one pass over the map in `done`.
        self.shift = shift if self.shift is None else self.shift + shift


def pooled(x: State) -> State:
    """Returns the 3x3 mean over positions inside the image, by a convolution, which is faster."""
    return window_sums(x).mul_(shares(x.shape[2], x.shape[3], x.dtype))


def window_sums(x: State) -> State:
    """Returns the sum of the 3x3 window around each position; this linear map is symmetric."""
    return F.conv2d(x, x.new_ones(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])


@lru_cache(maxsize=32)
def shares(height: int, width: int, dtype: torch.dtype) -> Float[Tensor, "1 1 height width"]:
    """Returns one over the number of positions in the 3x3 window around each position."""
    return 1 / window_sums(torch.ones(1, 1, height, width, dtype=dtype))


def _wide(
    relu: State,
    outgoing: Sequence[OutgoingOperation],
    indices: list[int],
    low: torch.dtype | None,
    groups: Groups,
) -> tuple[Dense, State]:
    """Runs the convolutions at `indices` as one; returns them and their output."""
    kernels = [
        kernel if kernel.shape[-1] == 3 else F.pad(kernel, (1, 1, 1, 1))
        for kernel in _kernels(outgoing, indices)
    ]
    # (convolutions x out) x in x 3 x 3
    kernel = torch.cat(kernels).contiguous(memory_format=torch.channels_last)
    kind = relu.dtype if low is None else low
    output = F.conv2d(relu.to(kind), kernel.to(kind), padding=1)
    single = output.to(relu.dtype)
    norms = _Norms.of(outgoing, indices)
    if norms.all_frozen:
        return Dense(indices, kernel, *norms.roots(), output), single
    # Mean and variance: groups x (convolutions x out) -> groups x convolutions x out
    batch = [values.view(*groups, len(indices), -1) for values in statistics(single, groups)]
    return Dense(indices, kernel, *norms.roots(*batch), output), single


def _narrow(
    relu: State, outgoing: Sequence[OutgoingOperation], indices: list[int], groups: Groups
) -> Dense:
    """Returns the 1x1 convolutions at `indices` with output statistics, without their outputs."""
    kernel = torch.stack([kernel.flatten(1) for kernel in _kernels(outgoing, indices)])
    norms = _Norms.of(outgoing, indices)
    if norms.all_frozen:
        return Dense(indices, kernel, *norms.roots())
    mean, covariance = moments(positions(relu), groups)  # groups x in, groups x in x in
    # With W the kernel (out x in), m and C the moments of x: W x has mean W m and variance
    # diag(W C W'). Rounding may leave a variance of zero slightly negative.
    variances = ((kernel @ covariance[..., None, :, :]) * kernel).sum(-1).clamp_(min=0)
    means = (kernel @ mean[..., None, :, None]).squeeze(-1)  # groups x convolutions x out
    return Dense(indices, kernel, *norms.roots(means, variances), None, mean, covariance)


def _kernels(outgoing: Sequence[OutgoingOperation], indices: Sequence[int]) -> list[Tensor]:
    kernels = [outgoing[index].kernel for index in indices]
    return [kernel.detach() for kernel in kernels if kernel is not None]


class _Norms:
    """The norms of some convolutions, and the statistics that are frozen in them."""

    def __init__(self, norms: Sequence[BatchNorm]) -> None:
        self.norms = norms
        self.frozen = [norm.frozen if norm.keeps else None for norm in norms]
        self.all_frozen = None not in self.frozen

    @classmethod
    def of(cls, outgoing: Sequence[OutgoingOperation], indices: Sequence[int]) -> "_Norms":
        """Returns the norms of the outgoing operations at `indices`."""
        norms = (outgoing[index].norm for index in indices)
        return cls([norm for norm in norms if norm is not None])

    def roots(
        self, means: Tensor | None = None, variances: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns means and 1 / sqrt(variance + epsilon), `convolutions x out` each.

        Frozen statistics are used where a norm has them, else those of this batch, which the norm
        keeps if it is to be frozen.
        """
        epsilon = self.norms[0].eps
        if means is None or variances is None:
            kept = [frozen for frozen in self.frozen if frozen is not None]
        elif any(norm.keeps for norm in self.norms):
            kept = self._kept(means, variances)
        else:
            return means, torch.rsqrt(variances + epsilon)
        variances = torch.stack([frozen.variance for frozen in kept])
        return torch.stack([frozen.mean for frozen in kept]), torch.rsqrt(variances + epsilon)

    def _kept(self, means: Tensor, variances: Tensor) -> list[Statistics]:
        """Freezes this batch's statistics in norms that have none; returns those of all norms."""
        kept = []
        for norm, frozen, *batch in zip(self.norms, self.frozen, means, variances, strict=True):
            if frozen is None:
                norm.keep(Statistics(*batch))
            kept.append(frozen or Statistics(*batch))
        return kept
