"""An epoch of a branch as those see it who watch the search: `FinishedEpoch`."""

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
    """What the trainer hands to its watchers after an epoch of `branch`.

    `architecture` is the updater's decision, `last` whether it was the branch's last epoch. The
    updater is asked each question at most once, however many watch.
    """

    branch: Branch
    probe: Probe
    architecture: Architecture
    last: bool

    @cached_property
    def scores(self) -> Float[Tensor, "edges ops"] | None:
        """How the updater rates the operations; None where it does not."""
        return self.branch.updater.scores(self.probe)

    @cached_property
    def mixtures(self) -> Sequence[Mixture]:
        """What the updater would train next.

        Not the mixtures of the last weight step: after it the updater may have learned, and a run
        that is resumed here never had them. Asking may change an updater (a wrapper begins a new
        phase), so a copy is asked, made as every resume makes it; its random draws are taken back.
        """
        updater, state = self.branch.updater, self.probe.rng.get_state()
        twin = type(updater)(updater.space, updater.options, torch.Generator(), updater.device)
        twin.load_state_dict(copied(updater.state_dict()))
        try:
            return twin.mixtures(self.probe)
        finally:
            self.probe.rng.set_state(state)


Watcher = Callable[[FinishedEpoch], Event | None]
"""Looks at a branch after an epoch, and says what it saw. It changes nothing."""
