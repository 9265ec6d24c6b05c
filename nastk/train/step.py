"""A weight step around an updater: what it is `asked`, how weights `descend`, what it is `told`.

The trainer computes the gradient between the first two (`passes.py`). In a session the caller's own
loop does (`nastk/runs/session.py`).
"""

from collections.abc import Sequence

from torch import Tensor, nn

from nastk.base.cost import Ledger
from nastk.data.streams import Batch
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch
from nastk.train.mixtures import checked_mixtures
from nastk.train.probe import Probe


def asked(branch: Branch, probe: Probe, batch: Batch, ledger: Ledger) -> Sequence[Mixture]:
    """Returns the mixtures whose mean loss on `batch` the step minimises, with checked shapes.

    Their values show in the loss.

    Raises:
        PluginError: the updater answered no mixtures of this space.
    """
    with ledger.phase("updater"):
        branch.updater.before_step(probe, batch)
        return checked_mixtures(branch, probe)


def descend(branch: Branch, clip: float | None) -> None:
    """Take a step of the optimiser along the gradients, clipped to the L2 norm `clip`."""
    branch.move_on()
    if clip is not None:
        # The optimiser's own list: to walk over all modules takes as long as a small convolution.
        groups = branch.optimizer.param_groups
        nn.utils.clip_grad_norm_([weight for group in groups for weight in group["params"]], clip)
    branch.optimizer.step()


def told(branch: Branch, probe: Probe, of: tuple[Tensor, Tensor, int], ledger: Ledger) -> None:
    """Count the step, and tell the updater of it; `of` are mean loss, right answers and images."""
    branch.step += 1
    branch.tally.add(*of)
    with ledger.phase("updater"):
        branch.updater.after_step(probe)
