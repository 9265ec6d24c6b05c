"""How the textbook trains: `training_step`, and the gradient of DARTS's unrolled step.

Mixing weights are the softmax of `alpha`, a leaf that requires gradient: `backward` of a weight
step therefore also computes alpha's gradient, as it does in the authors' code.
"""

from copy import deepcopy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Images(NamedTuple):
    """A batch: NCHW images and their labels."""

    images: Tensor
    labels: Tensor


def optimizer_of(network: nn.Module) -> torch.optim.SGD:
    """SGD as DARTS trains weights (Liu et al. 2019, appendix A.1.1)."""
    return torch.optim.SGD(network.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)


def loss_of(network: nn.Module, alpha: Tensor, batch: Images) -> Tensor:
    """Mean cross-entropy under the softmax of `alpha`."""
    return F.cross_entropy(network(batch.images, torch.softmax(alpha, -1)), batch.labels)


def training_step(
    network: nn.Module, optimizer: torch.optim.SGD, alpha: Tensor, batch: Images
) -> None:
    """Forward, backward, clip to norm 5, and one step of SGD."""
    optimizer.zero_grad()
    alpha.grad = None
    loss_of(network, alpha, batch).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()


def path_training_step(
    network: nn.Module, optimizer: torch.optim.SGD, columns: Tensor, batch: Images
) -> None:
    """The same along a path: `columns` has the number of each edge's operation.

    Weights that are not on it have no gradient, and torch's SGD leaves them as they are.
    """
    optimizer.zero_grad()
    F.cross_entropy(network(batch.images, columns), batch.labels).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()


def unrolled_gradient(
    network: nn.Module,
    optimizer: torch.optim.SGD,
    alpha: Tensor,
    train: Images,
    valid: Images,
    epsilon: float = 0.01,
) -> Tensor:
    """DARTS's second-order gradient of alpha (Liu et al. 2019, equations 6 to 8).

    A copy of the network takes one step of SGD on `train`; alpha's gradient of its loss on `valid`
    is then corrected by a finite difference of two more gradients on `train`.
    """
    rate = optimizer.param_groups[0]["lr"]
    ahead = _stepped_copy(network, optimizer, alpha, train)
    weights = list(ahead.parameters())
    direct, *vector = torch.autograd.grad(loss_of(ahead, alpha, valid), [alpha, *weights])
    scale = epsilon / torch.cat([part.flatten() for part in vector]).norm()
    plus = _shifted_gradient(network, vector, scale, alpha, train)
    minus = _shifted_gradient(network, vector, -2 * scale, alpha, train)
    _shift(network, vector, scale)
    gradient: Tensor = direct - rate * (plus - minus) / (2 * scale)
    return gradient


def _stepped_copy(
    network: nn.Module, optimizer: torch.optim.SGD, alpha: Tensor, batch: Images
) -> nn.Module:
    """A copy of the network after one step that the network itself does not take."""
    group = optimizer.param_groups[0]
    weights = list(network.parameters())
    gradients = torch.autograd.grad(loss_of(network, alpha, batch), weights)
    ahead = deepcopy(network)
    with torch.no_grad():
        for copy, weight, gradient in zip(ahead.parameters(), weights, gradients, strict=True):
            step = gradient + group["weight_decay"] * weight
            if "momentum_buffer" in optimizer.state[weight]:
                step += group["momentum"] * optimizer.state[weight]["momentum_buffer"]
            copy.sub_(group["lr"] * step)
    return ahead


def _shifted_gradient(
    network: nn.Module, vector: list[Tensor], by: Tensor, alpha: Tensor, batch: Images
) -> Tensor:
    """Alpha's gradient once the weights have been moved by `by` times `vector`; they stay there."""
    _shift(network, vector, by)
    (gradient,) = torch.autograd.grad(loss_of(network, alpha, batch), alpha)
    return gradient


@torch.no_grad()
def _shift(network: nn.Module, vector: list[Tensor], by: Tensor) -> None:
    for weight, part in zip(network.parameters(), vector, strict=True):
        weight.add_(by * part)
