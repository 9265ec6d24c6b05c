"""A state of a cell as the operations that leave it see it: `Source`.

What is found out here does not depend on mixing weights: the outputs of the wide convolutions (all
as one), the moments of what the 1x1 convolutions read, the pooling. `sums` adds up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nastk.kernels import terms
from nastk.kernels.moments import maps, moments, positions, statistics
from nastk.norms import BatchNorm, Statistics
from nastk_spaces_nasbench201.operations import Operation, State

Matrix = Float[Tensor, "positions _channels"]


@dataclass(frozen=True, eq=False)
class Way:
    """An operation that leaves a state: to which node, with which weight, what it reads and does.

    `reads` names one of `Views`, or `nothing` for `none`. A convolution reads `relu` and ends in a
    norm without scale and shift.

    Example: `Way(3, torch.tensor(0.2), "relu", convolution.weight, BatchNorm(16))`
    """

    node: int
    weight: Float[Tensor, ""]
    reads: str
    kernel: Float[Tensor, "out in size size"] | None = None
    norm: BatchNorm | None = None

    @classmethod
    def of(cls, operation: Operation, node: int, weight: Float[Tensor, ""]) -> "Way":
        """Called for an operation that `joins`."""
        if not isinstance(operation.body, nn.Sequential):
            return cls(node, weight, "nothing" if operation.is_none else operation.reads)
        convolution, norm = cast(tuple[nn.Conv2d, BatchNorm], tuple(operation.body))
        return cls(node, weight, operation.reads, convolution.weight, norm)


@dataclass(frozen=True, eq=False)
class Dense:
    """Convolutions of a state: their ways' places, their means and one over their deviations.

    `kernel` and `output` are those of all as one convolution; where 1x1 convolutions became
    matrices there is no output, but `mean` and `covariance` of what they read (None: frozen).
    """

    TENSORS: ClassVar[int] = 6

    places: list[int]
    kernel: Tensor
    means: Float[Tensor, "convolutions out"]
    roots: Float[Tensor, "convolutions out"]
    output: State | None = None
    mean: Float[Tensor, "in"] | None = None
    covariance: Float[Tensor, "in in"] | None = None

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """What there is to save for the way back; `Dense(places, *tensors)` is the same again."""
        return (
            self.kernel, self.means, self.roots, self.output, self.mean, self.covariance
        )  # fmt: skip

    def factors(
        self, weights: Float[Tensor, "ways"]
    ) -> tuple[Float[Tensor, "convolutions out"], Sequence[Float[Tensor, "out"]]]:
        """What scales each output, norm and mixing weight in one, and what is then taken away."""
        scales = weights[self.places, None] * self.roots
        return scales, (scales * self.means).unbind()


@dataclass(frozen=True, eq=False)
class Source:
    """A state and what is found out about it; what no way needs is None.

    Example: `Source.of(state, ways, low=None).sums(ways, {3: None}, weights)[3]`
    """

    state: State
    relu: State | None
    pool: State | None
    wide: Dense | None
    narrow: Dense | None

    @classmethod
    def of(cls, state: State, ways: Sequence[Way], low: torch.dtype | None) -> "Source":
        """Called once for every state and forward pass; wide convolutions are computed in `low`."""
        state = state.contiguous(memory_format=torch.channels_last)
        sizes = {
            place: way.kernel.shape[-1] for place, way in enumerate(ways) if way.kernel is not None
        }
        # Of few positions a covariance in single precision says too little.
        many = len(state) * state.shape[2] * state.shape[3] >= terms.FEWEST_POSITIONS
        small = [place for place, size in sizes.items() if many and size == 1]
        large = [place for place in sizes if place not in small]
        relu = torch.relu(state) if sizes else None
        pool = pooled(state) if any(way.reads == "avg_pool" for way in ways) else None
        wide = _wide(relu, ways, large, low) if relu is not None and large else None
        narrow = _narrow(positions(relu), ways, small) if relu is not None and small else None
        return cls(state, relu, pool, wide, narrow)

    def sums(
        self,
        ways: Sequence[Way],
        totals: Mapping[int, State | None],
        weights: Float[Tensor, "ways"],
    ) -> dict[int, State]:
        """Called once: each node's total with what leaves this state for it."""
        running = {
            node: Running(None if total is None else positions(total))
            for node, total in totals.items()
        }
        if self.narrow is not None and self.relu is not None:
            scales, shifts = self.narrow.factors(weights)
            kernels = (self.narrow.kernel * scales[:, :, None]).mT.unbind()
            for place, kernel, shift in zip(self.narrow.places, kernels, shifts, strict=True):
                running[ways[place].node].project(positions(self.relu), kernel, shift)
        for way, weight in zip(ways, weights.tolist(), strict=True):
            if way.reads in ("state", "avg_pool"):
                x = self.pool if way.reads == "avg_pool" else self.state
                assert x is not None
                running[way.node].add(positions(x), weight)
        if self.wide is not None and self.wide.output is not None:
            scales, shifts = self.wide.factors(weights)
            columns = positions(self.wide.output).chunk(len(scales), 1)
            for place, x, scale, shift in zip(
                self.wide.places, columns, scales.unbind(), shifts, strict=True
            ):
                running[ways[place].node].scale(x, scale, shift)
        return {
            node: torch.zeros_like(self.state) if done is None else maps(done, self.state.shape)
            for node, done in ((node, total.done()) for node, total in running.items())
        }


class Running:
    """A sum at a node, which overwrites its own matrix but not the one that it begins with."""

    def __init__(self, total: Matrix | None) -> None:
        self.total = total
        self.own = False
        self.shift: Tensor | None = None

    def project(self, x: Matrix, kernel: Float[Tensor, "in out"], shift: Tensor) -> None:
        """Called for a convolution that is a matrix; `shift` is taken away at the end."""
        self._moves(shift)
        if self.total is None:
            self._is(x @ kernel)
        elif self.own:
            self.total.addmm_(x, kernel)
        else:
            self._is(torch.addmm(self.total, x, kernel))

    def add(self, x: Matrix, weight: float) -> None:
        """Called for an operation without weights."""
        if self.total is None:
            self._is(x * weight)
        elif self.own:
            self.total.add_(x, alpha=weight)
        else:
            self._is(torch.add(self.total, x, alpha=weight))

    def scale(self, x: Matrix, factors: Float[Tensor, "out"], shift: Tensor) -> None:
        """Called for a convolution that was computed."""
        self._moves(shift)
        if self.total is None:
            self._is(x * factors)
        elif self.own:
            self.total.addcmul_(x, factors)
        else:
            self._is(torch.addcmul(self.total, x, factors))

    def done(self) -> Matrix | None:
        """Called last: the sum; None where nothing was added."""
        if self.total is None or self.shift is None:
            return self.total
        return self.total.sub_(self.shift)

    def _moves(self, shift: Tensor) -> None:
        self.shift = shift if self.shift is None else self.shift + shift

    def _is(self, total: Matrix) -> None:
        self.total, self.own = total, True


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


def _wide(relu: State, ways: Sequence[Way], places: list[int], low: torch.dtype | None) -> Dense:
    kernels = [
        each if each.shape[-1] == 3 else F.pad(each, (1, 1, 1, 1))
        for each in _kernels(ways, places)
    ]
    kernel = torch.cat(kernels).contiguous(memory_format=torch.channels_last)
    if low is None:
        output = F.conv2d(relu, kernel, padding=1)
    else:
        output = F.conv2d(relu.to(low), kernel.to(low), padding=1).to(relu.dtype)
    frozen = [norm.frozen for norm in _norms(ways, places)]
    if None not in frozen:
        return Dense(places, kernel, *_stacked(frozen, ways, places), output)
    means, variances = (each.view(len(places), -1) for each in statistics(output))
    return Dense(places, kernel, *_kept(ways, places, means, variances), output)


def _narrow(relu: Matrix, ways: Sequence[Way], places: list[int]) -> Dense:
    kernel = torch.stack([each.flatten(1) for each in _kernels(ways, places)])
    frozen = [norm.frozen for norm in _norms(ways, places)]
    if None not in frozen:
        return Dense(places, kernel, *_stacked(frozen, ways, places))
    mean, covariance = moments(relu)
    variances = ((kernel @ covariance) * kernel).sum(2).clamp_(min=0)
    kept = _kept(ways, places, kernel @ mean, variances)
    return Dense(places, kernel, *kept, None, mean, covariance)


def _kept(
    ways: Sequence[Way], places: Sequence[int], means: Tensor, variances: Tensor
) -> tuple[Tensor, Tensor]:
    """Means and roots, with those of earlier passes where norms have such."""
    norms, found = _norms(ways, places), []
    for norm, *known in zip(_norms(ways, places), means, variances, strict=True):
        if norm.frozen is None:
            norm.keep(Statistics(*known))
        found.append(norm.frozen or Statistics(*known))
    if all(norm.frozen is None for norm in norms):
        return means, torch.rsqrt(variances + norms[0].eps)
    return _stacked(found, ways, places)


def _stacked(
    statistics: Sequence[Statistics | None], ways: Sequence[Way], places: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The means, and one over the deviations."""
    given = [each for each in statistics if each is not None]
    variances = torch.stack([each.variance for each in given])
    epsilon = _norms(ways, places)[0].eps
    return torch.stack([each.mean for each in given]), torch.rsqrt(variances + epsilon)


def _kernels(ways: Sequence[Way], places: Sequence[int]) -> list[Tensor]:
    kernels = [ways[place].kernel for place in places]
    return [each.detach() for each in kernels if each is not None]


def _norms(ways: Sequence[Way], places: Sequence[int]) -> list[BatchNorm]:
    norms = [ways[place].norm for place in places]
    return [each for each in norms if each is not None]
