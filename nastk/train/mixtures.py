"""The mixtures of a weight step, as an updater answered them, with checked shapes."""

from collections.abc import Sequence

import torch

from nastk.base.errors import PluginError
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch
from nastk.train.probe import Probe


def checked_mixtures(branch: Branch, probe: Probe) -> Sequence[Mixture]:
    """Returns the mixtures that the branch's updater answers; their values show in the loss.

    Raises:
        PluginError: the answer is no list of mixtures of this subspace; says what it is.
    """
    mixtures = branch.updater.mixtures(probe)
    try:
        count = len(mixtures)
    except TypeError:
        # A generator could be iterated only once.
        raise PluginError(
            f"{branch.updater.name} answered its mixtures as {mixtures!r}; it must answer a "
            "list of them."
        ) from None
    if not count:
        raise PluginError(
            f"{branch.updater.name} answered no mixture to train; it needs at least one."
        )
    alive = branch.subspace.mask
    for mixture in mixtures:
        if mixture.weights.shape != alive.shape or mixture.active.shape != alive.shape:
            raise PluginError(
                f"{branch.updater.name} answered a mixture "
                f"of shape {tuple(mixture.weights.shape)} "
                f"(active: {tuple(mixture.active.shape)}); "
                f"this space has {tuple(alive.shape)} (edges x operations)."
            )
        if bool((mixture.active & ~alive).any()):
            raise PluginError(
                f"{branch.updater.name} answered a mixture with operations that are not alive."
            )
        # In later steps diverged weights may be the cause; in the first nothing is trained yet.
        if branch.step == 0 and not bool(torch.isfinite(mixture.weights).all()):
            raise PluginError(
                f"{branch.updater.name} answered a mixture with weights that are not finite, "
                "in the first step of the run."
            )
    return mixtures
