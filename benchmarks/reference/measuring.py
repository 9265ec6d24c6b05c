"""How the textbook measures: the loss of each mixture, one whole forward pass for each.

A removed operation has the weight zero, and costs what it always costs.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.reference.training import Images


@torch.no_grad()
def losses(network: nn.Module, mixings: Iterable[Tensor], batch: Images) -> list[float]:
    """Mean cross-entropy on `batch` for each table of mixing weights (edges x operations)."""
    return [
        float(F.cross_entropy(network(batch.images, mixing), batch.labels)) for mixing in mixings
    ]


@torch.no_grad()
def freeze(network: nn.Module, mixing: Tensor, batch: Images) -> None:
    """Evaluation mode, with every norm's statistics set to those of `mixing` on `batch`."""
    found: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def keep(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        (state,) = inputs
        found[norm] = state.mean((0, 2, 3)), state.var((0, 2, 3), unbiased=False)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(keep) for norm in norms]
    network.train()
    network(batch.images, mixing)
    for hook in hooks:
        hook.remove()
    # The pass itself has also moved the running statistics: put those of the batch in their place.
    for norm in norms:
        norm.running_mean, norm.running_var = found[norm]
    network.eval()
