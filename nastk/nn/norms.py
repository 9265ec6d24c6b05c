"""The norm of supernets: `BatchNorm` uses the statistics of the batch and has no running ones.

Measuring therefore changes nothing in a supernet. `Frozen` uses the statistics of one forward pass
in the next ones, so that mixtures that are compared do not differ in normalisation too.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nastk.nn.batch_moments import Statistics
from nastk.nn.kernels.batch_norm import batch_norm

State = Float[Tensor, "batch channels _height _width"]

Normalise = Callable[[Tensor, Tensor | None, Tensor | None, float], Tensor]
"""Returns a map normalised, given (map, scale, shift, epsilon); see `synchronised.py`."""

FrozenStatistics = dict[nn.Module, Statistics]
"""The frozen statistics of each norm of a network."""

MANY_POSITIONS = 8192
"""With more positions, torch's sums in single precision lose digits (see `batch_moments.py`)."""


class BatchNorm(nn.BatchNorm2d):
    """A norm by the statistics of the batch, in training and evaluation alike.

    If a channel has a single value (one image of one position), the output is zero plus the shift,
    since the value is its own mean; torch raises an error in this case.

    Example: `BatchNorm(16)(state)`, with scale and shift `BatchNorm(16, affine=True)(state)`
    """

    def __init__(self, channels: int, affine: bool = False, epsilon: float = 1e-5) -> None:
        super().__init__(channels, eps=epsilon, affine=affine, track_running_stats=False)
        self._shared: FrozenStatistics | None = None  # set while a `Frozen` is applied
        self._of_all: Normalise | None = None  # set by `synchronise`
        self._statistics: Callable[[Tensor], Statistics] = Statistics.of

    @property
    def frozen(self) -> Statistics | None:
        """The statistics of an earlier forward pass that are to be used; None for the batch's."""
        return None if self._shared is None else self._shared.get(self)

    @property
    def keeps(self) -> bool:
        """True if the statistics of this forward pass are to be used in the next ones."""
        return self._shared is not None

    def keep(self, statistics: Statistics) -> None:
        """Called with the statistics of the batch by the code that computed them.

        They are stored if `keeps`.
        """
        if self._shared is not None:
            self._shared[self] = statistics

    @property
    def synchronised(self) -> bool:
        """True if the statistics are those of the images of several processes."""
        return self._of_all is not None

    def synchronise(
        self, statistics: Callable[[Tensor], Statistics], normalise: "Normalise"
    ) -> None:
        """Called by `synchronise`: use these functions, which see the images of all processes."""
        self._statistics, self._of_all = statistics, normalise

    def forward(self, input: State) -> State:
        """Called in every forward pass."""
        if self._shared is not None:
            if self.frozen is None:
                self.keep(self._statistics(input))
            return self._normalised(input, self._shared[self])
        if self._of_all is not None:
            return self._of_all(input, self.weight, self.bias, self.eps)
        positions = input.shape[0] * input.shape[2] * input.shape[3]
        if positions > 1:
            if not _loses_digits(input, positions):
                return self._of_batch(input)
            return batch_norm(input, self.weight, self.bias, self.eps)
        centred = input - input  # zero, or NaN if the input is not finite
        if self.bias is None:
            return centred
        return centred * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)

    def _of_batch(self, x: State) -> State:
        """Returns `x` normalised by its own statistics, which torch computes."""
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)

    def _normalised(self, x: State, by: Statistics) -> State:
        """Returns `x` normalised by given statistics."""
        return F.batch_norm(x, by.mean, by.variance, self.weight, self.bias, False, 0.0, self.eps)


def _loses_digits(x: State, positions: int) -> bool:
    """True if torch would sum the statistics of `x` position by position in single precision.

    It does so for channels-last maps on CPUs.
    """
    single = x.device.type == "cpu" and x.dtype == torch.float32
    return single and positions > MANY_POSITIONS and not x.is_contiguous()


class Frozen:
    """The statistics that each norm of `module` had in its first forward pass inside `applied`.

    Torch's own norms are frozen too, if they use the statistics of the batch.

    Example:
        frozen = Frozen(supernet)
        with torch.no_grad(), frozen.applied():
            full = supernet(images, mixture)  # stores the statistics
            reduced = supernet(images, mixture.without(0, 1))  # uses them
    """

    def __init__(self, module: nn.Module) -> None:
        norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
        self._own_norms = [norm for norm in norms if isinstance(norm, BatchNorm)]
        self._torch_norms = [norm for norm in norms if not isinstance(norm, BatchNorm)]
        self.kept: FrozenStatistics = {}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the context, norms use the frozen statistics, and store those still missing.

        Afterwards the norms work as before.
        """
        hooks = [norm.register_forward_hook(self._freeze_torch) for norm in self._torch_norms]
        for norm in self._own_norms:
            norm._shared = self.kept
        try:
            yield
        finally:
            for norm in self._own_norms:
                norm._shared = None
            for hook in hooks:
                hook.remove()

    def _freeze_torch(
        self, norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
    ) -> Tensor | None:
        """Called after the forward pass of a torch norm: stores its statistics, or applies them."""
        assert isinstance(norm, _BatchNorm)
        if norm not in self.kept:
            # `synchronise` gives a norm statistics of the images of all processes.
            self.kept[norm] = getattr(norm, "_statistics", Statistics.of)(inputs[0])
            return None
        mean, variance = self.kept[norm]
        return F.batch_norm(inputs[0], mean, variance, norm.weight, norm.bias, False, 0.0, norm.eps)


def parameter_free(norm: nn.Module) -> bool:
    """True if the sum at a node may fuse `norm`: a `BatchNorm` without scale and shift.

    One whose statistics are those of several processes is not fused.
    """
    return isinstance(norm, BatchNorm) and not norm.affine and not norm.synchronised
