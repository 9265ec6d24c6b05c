"""A tensor that descends a loss by Adam: `Learned`, with what a checkpoint keeps of it."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Learned:
    """`value`, a leaf that needs gradient, and the Adam that moves it where it is told to.

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
        """One Adam step; entries that are not `alive` stay, whatever decay or momentum say."""
        before = self.value.detach().clone()
        self.value.grad = gradient
        self._adam.step()
        self.value.grad = None
        with torch.no_grad():
            self.value.copy_(torch.where(alive.to(before.device), self.value, before))

    def moments(self) -> dict[str, Tensor]:
        """For a checkpoint: Adam's state, empty before its first step."""
        return {name: kept.clone() for name, kept in self._adam.state.get(self.value, {}).items()}

    def load(self, value: Float[Tensor, "..."], moments: Mapping[str, Any]) -> None:
        """Go on from a saved `value` and its `moments`, both copied."""
        with torch.no_grad():
            self.value.copy_(value)
        self._adam.state.clear()
        if moments:
            # Adam counts its steps on the CPU; the moments live beside the value.
            self._adam.state[self.value] = {
                name: kept.clone() if name == "step" else kept.to(self.value.device, copy=True)
                for name, kept in moments.items()
            }
