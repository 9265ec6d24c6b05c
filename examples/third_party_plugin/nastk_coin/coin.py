"""The smallest updater: it answers the two questions that every one must, and learns nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from nastk import Architecture, ArchitectureUpdater, Mixture, Probe


class Coin(ArchitectureUpdater):
    """Trains all operations alike, and decides by a coin that is tossed once.

    Example: `nastk.search(space="darts", updater="coin", epochs=2)`
    """

    name = "coin"
    summary = "decides by tossing a coin"

    def setup(self, rng: torch.Generator) -> None:
        """Called once when the updater is made: toss, and remember how the coin fell."""
        self.fell = int(torch.randint(2**31, (), generator=rng))

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Called once before every weight step: all operations, with equal weights."""
        return [Mixture.uniform(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called after every epoch and at the end: always the same toss."""
        return self.space.sample(probe.subspace, torch.Generator().manual_seed(self.fell))

    def state_dict(self) -> dict[str, Any]:
        """Called for every checkpoint and fork: how the coin fell."""
        return {"fell": self.fell}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Called on a freshly made updater: the coin as it fell."""
        self.fell = state["fell"]
