"""`FinishedEpoch`: the data that the trainer passes to watchers after an epoch of a branch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from nastk.base.events import Event
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch, copied
from nastk.train.probe import Probe


@dataclass(frozen=True)
class FinishedEpoch:
    """The state of `branch` after an epoch, for watchers.

    `architecture` is the updater's decision; `last` is True in the last epoch of the branch.
    `scores` and `mixtures` are computed at most once for all watchers.
    """

    branch: Branch
    probe: Probe
    architecture: Architecture
    last: bool

    @cached_property
    def scores(self) -> Float[Tensor, "edges ops"] | None:
        """The updater's ratings of the operations; None if it rates none."""
        return self.branch.updater.scores(self.probe)

    @cached_property
    def mixtures(self) -> Sequence[Mixture]:
        """The mixtures that the updater would train in the next weight step.

        Those of the last step would be outdated, since the updater may have learned from it, and
        unknown to a run that is resumed here. `mixtures` may change an updater (a wrapper may start
        a new phase), so they come from a copy, made like every resume; the state of the random
        stream is restored. There are none if the updater trains no supernet.
        """
        updater, state = self.branch.updater, self.probe.rng.get_state()
        if not updater.trains_supernet:
            return ()
        duplicate = type(updater)(updater.space, updater.options, torch.Generator(), updater.device)
        duplicate.load_state_dict(copied(updater.state_dict()))
        try:
            return duplicate.mixtures(self.probe)
        finally:
            self.probe.rng.set_state(state)


Watcher = Callable[[FinishedEpoch], Event | None]
"""Called after every epoch of a branch; returns an event to record, or None; changes nothing."""
