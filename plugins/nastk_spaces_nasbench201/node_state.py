"""A state of a cell as the operations that leave it see it: `NodeState`.

What is found out here does not depend on mixing weights: the outputs of the wide convolutions (all
as one), the moments of what the 1x1 convolutions read, the pooling. `sums` adds up.
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
"""A map with a row for each position; where several mixtures are measured, one for each of them."""


@dataclass(frozen=True, eq=False)
class OutgoingOperation:
    """An operation that leaves a state: to which node, with which weight, what it reads and does.

    A weight for each of several mixtures: the images are then those of all, one after the other.
    `reads` names one of `Views`, or `nothing` for `none`. A convolution reads `relu` and ends in a
    norm without scale and shift.

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
        """Called for an operation that `joins`."""
        if not isinstance(operation.body, nn.Sequential):
            return cls(node, weight, "nothing" if operation.is_none else operation.reads)
        convolution, norm = cast(tuple[nn.Conv2d, BatchNorm], tuple(operation.body))
        return cls(node, weight, operation.reads, convolution.weight, norm)


@dataclass(frozen=True, eq=False)
class Dense:
    """Convolutions of a state: their ways' places, their means and one over their deviations.

    `kernel` and `output` are those of all as one convolution, the output in the precision it was
    computed in; where 1x1 convolutions became matrices there is no output, but `mean` and
    `covariance` of what they read (None: frozen).
    """

    TENSORS: ClassVar[int] = 6

    places: list[int]
    kernel: Tensor
    means: Float[Tensor, "*groups convolutions out"]
    roots: Float[Tensor, "*groups convolutions out"]
    output: State | None = None
    mean: Float[Tensor, "*groups in"] | None = None
    covariance: Float[Tensor, "*groups in in"] | None = None

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """What there is to save for the way back; `Dense(places, *tensors)` is the same again."""
        return (
            self.kernel, self.means, self.roots, self.output, self.mean, self.covariance
        )  # fmt: skip

    def factors(
        self, weights: Float[Tensor, "*groups ways"]
    ) -> tuple[Float[Tensor, "*groups convolutions out"], Sequence[Float[Tensor, "*groups out"]]]:
        """What scales each output, norm and mixing weight in one, and what is then taken away."""
        scales = weights[..., self.places, None] * self.roots
        return scales, (scales * self.means).unbind(-2)


@dataclass(frozen=True, eq=False)
class NodeState:
    """A state and what is found out about it; what no way needs is None.

    `output` is that of `wide` in the state's precision.

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
        """Called once for every state and forward pass; wide convolutions are computed in `low`."""
        state = state.contiguous(memory_format=torch.channels_last)
        sizes = {
            place: operation.kernel.shape[-1]
            for place, operation in enumerate(outgoing)
            if operation.kernel is not None
        }
        # Of few positions a covariance in single precision says too little.
        rows = len(state) * state.shape[2] * state.shape[3] // prod(groups)
        many = has_covariance(rows)
        small = [place for place, size in sizes.items() if many and size == 1]
        large = [place for place in sizes if place not in small]
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
        weights: Float[Tensor, "*groups ways"],
        own: bool = False,
    ) -> dict[int, State]:
        """Called once: each node's total with what leaves this state for it.

        The totals' memory is written over where it is the caller's `own`.
        """

        def rows(x: State) -> Matrix:
            return positions(x).view(*weights.shape[:-1], -1, x.shape[1])

        running = {
            node: Running(None if total is None else rows(total), own)
            for node, total in totals.items()
        }
        if self.narrow is not None and self.relu is not None:
            scales, shifts = self.narrow.factors(weights)
            kernels = (self.narrow.kernel * scales[..., None]).mT.unbind(-3)
            for place, kernel, shift in zip(self.narrow.places, kernels, shifts, strict=True):
                running[outgoing[place].node].project(rows(self.relu), kernel, shift)
        for operation, weight in zip(outgoing, weights.unbind(-1), strict=True):
            if operation.reads in ("state", "avg_pool"):
                x = self.pool if operation.reads == "avg_pool" else self.state
                assert x is not None
                running[operation.node].add(rows(x), weight)
        if self.wide is not None and self.output is not None:
            scales, shifts = self.wide.factors(weights)
            columns = rows(self.output).chunk(scales.shape[-2], -1)
            for place, x, scale, shift in zip(
                self.wide.places, columns, scales.unbind(-2), shifts, strict=True
            ):
                running[outgoing[place].node].scale(x, scale, shift)
        return {
            node: torch.zeros_like(self.state) if done is None else maps(done, self.state.shape)
            for node, done in ((node, total.done()) for node, total in running.items())
        }


class Running:
    """A sum at a node, which writes over the matrix that it begins with if that is its `own`."""

    def __init__(self, total: Matrix | None, own: bool) -> None:
        self.total = total
        self.own = own
        self.shift: Tensor | None = None

    def project(self, x: Matrix, kernel: Float[Tensor, "*groups in out"], shift: Tensor) -> None:
        """Called for a convolution that is a matrix; `shift` is taken away at the end."""
        self._moves(shift)
        if self.total is None:
            self._is(x @ kernel)
            return
        add: Any = torch.addmm if x.ndim == 2 else torch.baddbmm
        self._is(add(self.total, x, kernel, out=self.total if self.own else None))

    def add(self, x: Matrix, weight: Float[Tensor, "*groups"]) -> None:
        """Called for an operation without weights."""
        self._plus(x, weight[..., None, None])

    def scale(self, x: Matrix, factors: Float[Tensor, "*groups out"], shift: Tensor) -> None:
        """Called for a convolution that was computed."""
        self._moves(shift)
        self._plus(x, factors[..., None, :])

    def done(self) -> Matrix | None:
        """Called last: the sum; None where nothing was added."""
        if self.total is None or self.shift is None:
            return self.total
        return self.total.sub_(self.shift[..., None, :])

    def _plus(self, x: Matrix, factor: Tensor) -> None:
        if self.total is None:
            self._is(x * factor)
        else:
            out = self.total if self.own else None
            self._is(torch.addcmul(self.total, x, factor, out=out))

    def _is(self, total: Matrix) -> None:
        self.total, self.own = total, True

    def _moves(self, shift: Tensor) -> None:
        self.shift = shift if self.shift is None else self.shift + shift


def pooled(x: State) -> State:
    """The mean of the 3x3 positions inside the image, by a convolution, which is faster."""
    return window_sums(x).mul_(shares(x.shape[2], x.shape[3], x.dtype))


def window_sums(x: State) -> State:
    """The sum of the 3x3 positions around each; its own transpose."""
    return F.conv2d(x, x.new_ones(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])


@lru_cache(maxsize=32)
def shares(height: int, width: int, dtype: torch.dtype) -> Float[Tensor, "1 1 height width"]:
    """One over the number of positions around each."""
    return 1 / window_sums(torch.ones(1, 1, height, width, dtype=dtype))


def _wide(
    relu: State,
    outgoing: Sequence[OutgoingOperation],
    places: list[int],
    low: torch.dtype | None,
    groups: Groups,
) -> tuple[Dense, State]:
    kernels = [
        each if each.shape[-1] == 3 else F.pad(each, (1, 1, 1, 1))
        for each in _kernels(outgoing, places)
    ]
    kernel = torch.cat(kernels).contiguous(memory_format=torch.channels_last)
    kind = relu.dtype if low is None else low
    output = F.conv2d(relu.to(kind), kernel.to(kind), padding=1)
    single = output.to(relu.dtype)
    known = _Known.of(outgoing, places)
    if known.all:
        return Dense(places, kernel, *known.roots(), output), single
    found = [each.view(*groups, len(places), -1) for each in statistics(single, groups)]
    return Dense(places, kernel, *known.roots(*found), output), single


def _narrow(
    relu: State, outgoing: Sequence[OutgoingOperation], places: list[int], groups: Groups
) -> Dense:
    kernel = torch.stack([each.flatten(1) for each in _kernels(outgoing, places)])
    known = _Known.of(outgoing, places)
    if known.all:
        return Dense(places, kernel, *known.roots())
    mean, covariance = moments(positions(relu), groups)
    variances = ((kernel @ covariance[..., None, :, :]) * kernel).sum(-1).clamp_(min=0)
    means = (kernel @ mean[..., None, :, None]).squeeze(-1)
    return Dense(places, kernel, *known.roots(means, variances), None, mean, covariance)


def _kernels(outgoing: Sequence[OutgoingOperation], places: Sequence[int]) -> list[Tensor]:
    kernels = [outgoing[place].kernel for place in places]
    return [each.detach() for each in kernels if each is not None]


class _Known:
    """The norms of some convolutions, and the statistics that are frozen in them."""

    def __init__(self, norms: Sequence[BatchNorm]) -> None:
        self.norms = norms
        self.frozen = [norm.frozen if norm.keeps else None for norm in norms]
        self.all = None not in self.frozen

    @classmethod
    def of(cls, outgoing: Sequence[OutgoingOperation], places: Sequence[int]) -> "_Known":
        """Those of the ways at these places."""
        norms = (outgoing[place].norm for place in places)
        return cls([each for each in norms if each is not None])

    def roots(
        self, means: Tensor | None = None, variances: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Means, and one over deviations; those of this pass, for norms that have none yet."""
        epsilon = self.norms[0].eps
        if means is None or variances is None:
            given = [each for each in self.frozen if each is not None]
        elif any(norm.keeps for norm in self.norms):
            given = self._kept(means, variances)
        else:
            return means, torch.rsqrt(variances + epsilon)
        variances = torch.stack([each.variance for each in given])
        return torch.stack([each.mean for each in given]), torch.rsqrt(variances + epsilon)

    def _kept(self, means: Tensor, variances: Tensor) -> list[Statistics]:
        found = []
        for norm, frozen, *own in zip(self.norms, self.frozen, means, variances, strict=True):
            if frozen is None:
                norm.keep(Statistics(*own))
            found.append(frozen or Statistics(*own))
        return found
