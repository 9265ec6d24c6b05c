"""What the contract tests of evaluators share: an updater that does as little as one may."""

import torch

from nastk import Architecture, ArchitectureUpdater, Mixture, Probe


class Even(ArchitectureUpdater):
    """Trains everything alike and answers the first sample: updater enough to have a supernet."""

    name, summary = "even", "trains everything alike"

    def mixtures(self, probe: Probe) -> list[Mixture]:
        """Called before every weight step."""
        return [Mixture.uniform(probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Called at the end."""
        return self.space.sample(probe.subspace, torch.Generator().manual_seed(0))
