"""Norms that use the statistics of a batch that several processes share: `synchronise`."""

from functools import partial
from typing import Any
from weakref import proxy

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nastk.base.processes import Processes
from nastk.nn.batch_moments import Statistics
from nastk.nn.norms import BatchNorm

State = Float[Tensor, "batch channels *_positions"]


def synchronise(network: nn.Module, processes: Processes) -> None:
    """Make all batch norms of `network` use the statistics of the images of all processes.

    Its norms then equal those of one process with the whole batch, to rounding. Each costs an
    exchange in the forward pass and one in the backward pass, and the faster code that computes
    norms together with the sum at a node is not used. Does nothing for one process.

    Example: `synchronise(supernet, Processes.started())`
    """
    if processes.size == 1:
        return
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.synchronise(
                partial(shared_statistics, processes), partial(normalised, processes)
            )
        elif isinstance(module, _BatchNorm):
            # Only a norm that uses the statistics of the batch is in a supernet.
            module._statistics = partial(shared_statistics, processes)  # type: ignore[assignment]
            # A reference to itself would keep the norm, and so the network, in memory.
            module.forward = partial(_of_batch, processes, proxy(module))  # type: ignore[method-assign,arg-type]


def shared_statistics(processes: Processes, x: State) -> Statistics:
    """Returns mean and biased variance of each channel over the images of all processes."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    totals = torch.cat([x.sum(axes).double(), x.new_tensor([x.numel() // x.shape[1]]).double()])
    (totals,) = processes.summed([totals])
    count = totals[-1]
    mean = totals[:-1] / count
    squares = (x - _wide(mean.to(x.dtype), x)).square().sum(axes).double()
    (squares,) = processes.summed([squares])
    return Statistics(mean.to(x.dtype), (squares / count).to(x.dtype))


def normalised(
    processes: Processes,
    x: State,
    weight: Float[Tensor, " channels"] | None,
    bias: Float[Tensor, " channels"] | None,
    epsilon: float,
) -> State:
    """Returns `x` normalised by the statistics of the images of all processes, with gradients."""
    unscaled: Tensor = _Normalised.apply(x, processes, epsilon)
    if weight is None or bias is None:
        return unscaled
    return unscaled * _wide(weight, x) + _wide(bias, x)


def _of_batch(processes: Processes, norm: _BatchNorm, x: State) -> State:
    """Called in place of the `forward` of a torch norm."""
    return normalised(processes, x, norm.weight, norm.bias, norm.eps)


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, processes: Processes, epsilon: float) -> Tensor:
        mean, variance = shared_statistics(processes, x)
        ctx.processes = processes
        output = F.batch_norm(x, mean, variance, None, None, False, 0.0, epsilon)
        ctx.save_for_backward(output, (variance + epsilon).rsqrt())
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        output, scale = ctx.saved_tensors  # y = (x - mean) scale
        axes = [axis for axis in range(output.ndim) if axis != 1]
        # With g = dL/dy: dL/dx = scale (g - mean(g) - y mean(g y)), means over all processes.
        totals = torch.stack([gradient.sum(axes), (gradient * output).sum(axes)]).double()
        count = totals.new_tensor([output.numel() // output.shape[1]])
        totals, count = ctx.processes.summed([totals, count])
        of_gradient, of_product = (totals / count).to(output.dtype)
        centred = gradient - _wide(of_gradient, output) - output * _wide(of_product, output)
        return centred * _wide(scale, output), None, None


def _wide(values: Float[Tensor, " channels"], like: Tensor) -> Tensor:
    """Returns a value for each channel in a shape that fits the axes of `like`."""
    return values.view(1, -1, *[1] * (like.ndim - 2))
