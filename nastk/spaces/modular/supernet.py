"""`ModularSupernet`: an ordinary network with choices as a `Supernet`.

The network is adapted once to the rules of supernets: its norms drop their running statistics and
use those of the batch, frozen weights become buffers (so that all parameters are trained), and a
buffer that changes in a forward pass is an error.
"""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from nastk.base.errors import ConfigurationError
from nastk.data.task import Task
from nastk.spaces.mixture import Mixture
from nastk.spaces.modular.choice import use_terms
from nastk.spaces.modular.marked import Decision
from nastk.spaces.supernet import Supernet

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class ModularSupernet(Supernet):
    """`network` as a supernet, whose choices compute the mixture of each call.

    Example: `space.supernet(task)(images, Mixture.uniform(space.full()))`
    """

    def __init__(self, network: nn.Module, decisions: Sequence[Decision], task: Task) -> None:
        super().__init__()
        self.network = network
        self._decisions = decisions
        for edge, decision in enumerate(decisions):
            for choice in decision.choices.values():
                choice.edge = edge
        for module in network.modules():
            _forget_statistics(module)
            _fix_frozen(module)
        self._refuse_lazy()
        self._refuse_changing(task)

    def forward(
        self, images: Float[Tensor, "batch channels height width"], mixture: Mixture
    ) -> Float[Tensor, "batch classes"]:
        """Called for every weight step and every measurement: returns the logits of `mixture`."""
        with use_terms(mixture.terms):
            return cast(Tensor, self.network(images))

    def operations(self) -> Iterator[tuple[int, int, nn.Module]]:
        """Called by updaters that hook or inspect operations: (edge, operation, module)."""
        for edge, decision in enumerate(self._decisions):
            for choice in decision.choices.values():
                for column, module in enumerate(choice.operations):
                    yield edge, column, module

    def _refuse_lazy(self) -> None:
        """Raise a `ConfigurationError` if a parameter or buffer has no shape yet."""
        for name, value in (*self.network.named_parameters(), *self.network.named_buffers()):
            if is_lazy(value):
                raise ConfigurationError(
                    f"The weight {name} has no size before the first images (a lazy module). "
                    "Say its channels: search and checkpoints need the weights from the start."
                )

    def _refuse_changing(self, task: Task) -> None:
        """Raise a `ConfigurationError` if a forward pass changes a buffer: measuring must not."""
        before = {name: value.clone() for name, value in self.named_buffers()}
        if not before:
            return
        active = torch.ones(len(self._decisions), self._width(), dtype=torch.bool)
        for edge, decision in enumerate(self._decisions):
            active[edge, len(decision.operations) :] = False
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            images = torch.randn(2, *task.shape)
            self(images, Mixture(active.float(), active))
        for name, value in self.named_buffers():
            if not torch.equal(value, before[name]):
                raise ConfigurationError(
                    f"A forward pass changes the buffer {name.removeprefix('network.')}. A "
                    "supernet is measured many times a step and must not remember it: take the "
                    "layer that keeps it out, or its updating."
                )

    def _width(self) -> int:
        return max(len(decision.operations) for decision in self._decisions)


def _forget_statistics(module: nn.Module) -> None:
    """Make a norm use the statistics of the batch in evaluation mode too."""
    if isinstance(module, _NormBase) and module.track_running_stats:
        module.track_running_stats = False
        for name in STATISTICS:
            setattr(module, name, None)


def _fix_frozen(module: nn.Module) -> None:
    """Turn the module's own parameters without gradient into buffers."""
    for name, weight in list(module.named_parameters(recurse=False)):
        if not weight.requires_grad and not is_lazy(weight):
            delattr(module, name)
            module.register_buffer(name, weight.detach())
