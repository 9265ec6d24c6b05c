"""A tensor with its own Adam optimiser, and their state for a checkpoint: `Learned`."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Learned:
    """A tensor `value`, a leaf that needs gradients, with an Adam optimiser and its options.

    Example:
        beta = Learned(torch.zeros(28), learning_rate=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
        beta.step(gradient, alive=torch.ones(28, dtype=torch.bool))
    """

    def __init__(
        self,
        start: Float[Tensor, "..."],
        learning_rate: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        self.value = start.detach().requires_grad_()
        self._adam = torch.optim.Adam(
            [self.value], lr=learning_rate, betas=betas, weight_decay=weight_decay
        )

    def step(self, gradient: Float[Tensor, "..."], alive: Bool[Tensor, "..."]) -> None:
        """Takes one Adam step; dead entries keep their value despite decay and momentum."""
        before = self.value.detach().clone()
        self.value.grad = gradient
        self._adam.step()
        self.value.grad = None
        with torch.no_grad():
            self.value.copy_(torch.where(alive.to(before.device), self.value, before))

    def moments(self) -> dict[str, Tensor]:
        """Called for every checkpoint: returns Adam's state, empty before its first step."""
        state = self._adam.state.get(self.value, {})
        return {name: moment.clone() for name, moment in state.items()}

    def load(self, value: Float[Tensor, "..."], moments: Mapping[str, Any]) -> None:
        """Restores a saved `value` and its `moments`, both copied."""
        with torch.no_grad():
            self.value.copy_(value)
        self._adam.state.clear()
        if moments:
            # Adam keeps its step count on the CPU and its moments on the device of the value.
            self._adam.state[self.value] = {
                name: saved.clone() if name == "step" else saved.to(self.value.device, copy=True)
                for name, saved in moments.items()
            }
