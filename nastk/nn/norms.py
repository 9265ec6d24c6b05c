"""The norm of supernets: `BatchNorm` uses the statistics of the batch and keeps none.

Measuring then changes nothing. `Frozen` lets the statistics of one forward pass serve the next
ones, so that what several mixtures differ by is not also a difference of normalisation.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nastk.nn.batch_moments import Statistics, statistics

State = Float[Tensor, "batch channels _height _width"]

Kept = dict[nn.Module, Statistics]

MANY_POSITIONS = 8192
"""From here on sums over positions, one after the other in single precision, lose digits."""


class BatchNorm(nn.BatchNorm2d):
    """Normalises by the batch's statistics and keeps none, in training and evaluation alike.

    A single value for each channel (one image, one position) is its own mean, so the answer is zero
    plus the shift, where torch refuses.

    Example: `BatchNorm(16)(state)`, with scale and shift `BatchNorm(16, affine=True)(state)`
    """

    def __init__(self, channels: int, affine: bool = False, epsilon: float = 1e-5) -> None:
        super().__init__(channels, eps=epsilon, affine=affine, track_running_stats=False)
        self._kept: Kept | None = None

    @property
    def frozen(self) -> Statistics | None:
        """The statistics of an earlier forward pass that are to be used; None: the batch's."""
        return None if self._kept is None else self._kept.get(self)

    @property
    def keeps(self) -> bool:
        """Whether the statistics of a forward pass are wanted for the next ones."""
        return self._kept is not None

    def keep(self, statistics: Statistics) -> None:
        """Called with the batch's statistics by whoever computed them: kept if they are to be."""
        if self._kept is not None:
            self._kept[self] = statistics

    def forward(self, input: State) -> State:
        """Called on every forward pass."""
        if self._kept is not None:
            if self.frozen is None:
                self.keep(Statistics.of(input))
            return self._normalised(input, self._kept[self])
        positions = input.shape[0] * input.shape[2] * input.shape[3]
        if positions > 1:
            if not _loses_digits(input, positions):
                return self._of_batch(input)
            if not torch.is_grad_enabled():
                return self._normalised(input, statistics(input))
            # Channels first, both the statistics and their gradients have all digits.
            return self._of_batch(input.contiguous()).contiguous(memory_format=torch.channels_last)
        centred = input - input
        if self.bias is None:
            return centred
        return centred * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)

    def _of_batch(self, x: State) -> State:
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)

    def _normalised(self, x: State, by: Statistics) -> State:
        return F.batch_norm(x, by.mean, by.variance, self.weight, self.bias, False, 0.0, self.eps)


def _loses_digits(x: State, positions: int) -> bool:
    """Whether torch would take statistics of `x` one position after the other in single precision.

    It does so of channels-last maps on CPUs.
    """
    single = x.device.type == "cpu" and x.dtype == torch.float32
    return single and positions > MANY_POSITIONS and not x.is_contiguous()


class Frozen:
    """The statistics that each norm of `module` had when it was first used inside `applied`.

    Torch's own norms are frozen as well, where they use the statistics of the batch.

    Example:
        frozen = Frozen(supernet)
        with torch.no_grad(), frozen.applied():
            whole = supernet(images, mixture)  # gathers
            less = supernet(images, mixture.without(0, 1))  # normalises alike
    """

    def __init__(self, module: nn.Module) -> None:
        norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
        self.own = [each for each in norms if isinstance(each, BatchNorm)]
        self.foreign = [each for each in norms if not isinstance(each, BatchNorm)]
        self.kept: Kept = {}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Norms use what is frozen, and freeze what is not yet; afterwards all is as before."""
        hooks = [norm.register_forward_hook(self._again) for norm in self.foreign]
        for norm in self.own:
            norm._kept = self.kept
        try:
            yield
        finally:
            for norm in self.own:
                norm._kept = None
            for hook in hooks:
                hook.remove()

    def _again(self, norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        assert isinstance(norm, _BatchNorm)
        if norm not in self.kept:
            self.kept[norm] = Statistics.of(inputs[0])
            return None
        mean, variance = self.kept[norm]
        return F.batch_norm(inputs[0], mean, variance, norm.weight, norm.bias, False, 0.0, norm.eps)


def parameter_free(norm: nn.Module) -> bool:
    """Whether `norm` is a `BatchNorm` without scale and shift, which a sum may take over."""
    return isinstance(norm, BatchNorm) and not norm.affine
