"""An updater that learns nothing and continues branches in every way, for tests of the trainer."""

from collections.abc import Sequence

import torch
from pydantic import Field

from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.train.probe import Probe
from nastk.train.updater import ArchitectureUpdater, Continuation


class ToySplit(ArchitectureUpdater):
    """Splits a branch in two after epoch `split`, and shrinks subspaces after later epochs.

    The second child of the split begins with fresh weights.

    Example: `nastk search --space toy --updater toy-split --data toy`
    """

    name = "toy-split"
    summary = "splits, shrinks and draws at random; for tests of the trainer"

    class Options(ArchitectureUpdater.Options):
        """Options of the splitting toy updater."""

        split: int = Field(1, ge=1, description="epochs after which the branch splits")

    def mixtures(self, probe: Probe) -> Sequence[Mixture]:
        """Returns a random mixture, so that a branch's random stream affects its weights."""
        logits = torch.randn(
            len(probe.subspace.alive), len(probe.subspace.alive[0]), generator=probe.rng
        )
        return [Mixture.softmax(logits, probe.subspace)]

    def architecture(self, probe: Probe) -> Architecture:
        """Returns the architecture of the first alive operation of every edge."""
        return self.space.decide(torch.zeros(probe.subspace.mask.shape), probe.subspace)

    def after_epoch(self, probe: Probe) -> Sequence[Continuation]:
        """Split once; later drop the last operation of the widest edge while it has over two."""
        subspace = probe.subspace
        edge = max(range(len(subspace.alive)), key=lambda row: len(subspace.operations(row)))
        operations = subspace.operations(edge)
        if probe.epoch == self.options.split:
            middle = len(operations) // 2
            left, right = subspace.split(edge, [operations[:middle], operations[middle:]])
            return [Continuation(left), Continuation(right, fresh=True)]
        if probe.epoch > self.options.split and len(operations) > 2:
            return [Continuation(subspace.drop(edge, operations[-1]))]
        return [Continuation(subspace)]
