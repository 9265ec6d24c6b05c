"""What several processes of a run must have in common, checked while they train.

All decisions follow from numbers that the processes exchange, so they agree unless code draws from
a random stream of its own, or machines differ. One process checks nothing.
"""

import hashlib
from collections.abc import Sequence

from nastk.base.errors import ConfigurationError
from nastk.nn.execution import Execution
from nastk.spaces.mixture import Mixture
from nastk.train.branch import Branch
from nastk.train.options import Graphs
from nastk.train.updater import Continuation


def check_graphs(graphs: Graphs, execution: Execution) -> None:
    """Raise a `ConfigurationError` if several processes are to replay CUDA graphs."""
    size = execution.processes.size
    if size > 1 and graphs != "off" and execution.device.type == "cuda":
        raise ConfigurationError(
            f"cuda_graphs={graphs} replays passes, and {size} processes exchange numbers within "
            "them. Use -t cuda_graphs=off, or one process."
        )


def agree_on_step(branch: Branch, mixtures: Sequence[Mixture]) -> None:
    """Called before the passes of a weight step: checks that they compute the same operations.

    The gradients that are added up are then those of the same weights.

    Raises:
        NastkError: they do not.
    """
    processes = branch.execution.processes
    if processes.size > 1:
        active = [mixture.active.numpy().tobytes() for mixture in mixtures]
        processes.agree(
            f"the operations of step {branch.step} in branch {branch.name}",
            hashlib.sha256(b"".join(active)).hexdigest()[:12],
        )


def agree_on_epoch(
    branch: Branch, architecture: str, continuations: Sequence[Continuation]
) -> None:
    """Called after an epoch: checks that decision, subspaces and random stream are the same.

    Raises:
        NastkError: they are not.
    """
    processes = branch.execution.processes
    if processes.size > 1:
        where = f"after epoch {branch.epoch} of branch {branch.name}"
        subspaces = [continuation.subspace.to_json() for continuation in continuations]
        stream = hashlib.sha256(branch.rng.get_state().numpy().tobytes()).hexdigest()[:12]
        processes.agree(f"the architecture {where}", architecture)
        processes.agree(f"the subspaces {where}", str(subspaces))
        processes.agree(f"the random stream {where}", stream)
