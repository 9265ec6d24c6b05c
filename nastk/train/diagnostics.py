"""`Diagnostics`: warns of known failures of a search after each epoch; see `diagnostic.py`.

Differentiable searches may collapse to operations without parameters (Zela et al., ICLR 2020), to
disconnected cells, or may keep almost uniform weights. Diagnostics use no images and change nothing
in the run; their values are in the events of kind `watched`.
"""

from collections import Counter
from collections.abc import Sequence

import torch

from nastk.base.events import Watched, table_to_json
from nastk.spaces.architecture import Architecture
from nastk.spaces.mixture import Mixture
from nastk.spaces.subspace import Edge
from nastk.train.diagnostic import Diagnostic
from nastk.train.probe import Probe
from nastk.train.watching import FinishedEpoch

Link = tuple[Edge, str]
"""An operation, by its name, on its edge."""

UNDECIDED = 0.99
MOSTLY = 0.75
"""Share of a cell type's operations without parameters that counts as a collapse.

If three of seven candidates have no parameters, one of fourteen random cells of eight operations
reaches it.
"""
SMALLEST = 3
"""Fewest operations of a cell type for which a collapse is reported."""


class Diagnostics:
    """A watcher of the trainer that checks the decision of a branch after every epoch.

    Example: `Harness(updater, watchers=[Diagnostics()]).run()`
    """

    def __call__(self, epoch: FinishedEpoch) -> Watched:
        """Called after every epoch of a branch: returns an event that describes the decision."""
        branch, probe, architecture = epoch.branch, epoch.probe, epoch.architecture
        free = parameter_free(branch.updater.space.edges, probe)
        links = architecture.links()
        spread = entropy(epoch.mixtures, probe)
        scores = epoch.scores
        diagnostics = [*collapsed(architecture, free), *_disconnected(architecture)]
        if epoch.last and spread is not None and spread >= UNDECIDED:
            diagnostics.append(_undecided(spread))
        return Watched(
            branch.name,
            probe.epoch,
            probe.step,
            sum(link in free for link in links) / max(len(links), 1),
            spread,
            None if scores is None else table_to_json(scores),
            [vars(diagnostic) for diagnostic in diagnostics],
        )


def parameter_free(edges: Sequence[Edge], probe: Probe) -> set[Link]:
    """Returns the operations (with their edges) that have no parameters anywhere in the supernet.

    The same operation may have parameters on another edge, such as a skip with stride two.
    """
    has_parameters: dict[tuple[int, int], bool] = {}
    for edge, operation, module in probe.operations():
        any_here = next(module.parameters(), None) is not None
        has_parameters[edge, operation] = has_parameters.get((edge, operation), False) or any_here
    return {
        (edges[row], edges[row].operations[column])
        for (row, column), has_any in has_parameters.items()
        if not has_any
    }


def entropy(mixtures: Sequence[Mixture], probe: Probe) -> float | None:
    """Returns the mean entropy of the edges' mixing weights: 1 for uniform, 0 for one operation.

    The mean is over edges with at least two alive operations; the entropy of an edge is divided by
    the logarithm of their number. None if single paths are trained: their weights are no measure
    of how far the search has decided.
    """
    choice = probe.subspace.mask.sum(1) > 1
    if not bool(choice.any()) or all(
        bool((mixture.active.sum(1) <= 1).all()) for mixture in mixtures
    ):
        return None
    tables = [mixture.weights.detach().double().cpu() for mixture in mixtures]
    weights = torch.stack(tables).mean(0)  # edges x ops
    shares = weights.abs() / weights.abs().sum(1, keepdim=True).clamp(min=1e-12)
    relative = torch.special.entr(shares).sum(1) / probe.subspace.mask.sum(1).clamp(min=2).log()
    return float(relative[choice].mean())


def collapsed(architecture: Architecture, free: set[Link]) -> list[Diagnostic]:
    """Returns a diagnostic for each cell type dominated by operations without parameters.

    Either a single such operation fills more than half of the cell type, or all of them together
    fill at least the share `MOSTLY`. `free` are the operations without parameters.
    """
    messages = []
    for group in dict.fromkeys(edge.group for edge in architecture.edges):
        links = [link for link in architecture.links() if link[0].group == group]
        kinds = Counter(name for edge, name in links if (edge, name) in free).most_common()
        most, without = kinds[0][1] if kinds else 0, sum(count for _, count in kinds)
        if len(links) < SMALLEST:
            continue
        if most > len(links) / 2:
            rest = f"are {kinds[0][0]}, which has no parameters."
            messages.append(f"{most} of the {len(links)} operations of {group!r} {rest}")
        elif without >= MOSTLY * len(links):
            which = ", ".join(f"{count} {name}" for name, count in kinds)
            messages.append(
                f"{without} of the {len(links)} operations of {group!r} have no parameters: "
                f"{which}."
            )
    return [Diagnostic("collapsed", message) for message in messages]


def _disconnected(architecture: Architecture) -> list[Diagnostic]:
    return [] if architecture.connected() else [
        Diagnostic("disconnected", "The decision does not join input and output: `none` cuts it.")
    ]  # fmt: skip


def _undecided(spread: float) -> Diagnostic:
    return Diagnostic(
        "undecided",
        f"The mixing weights are still almost uniform (entropy {spread:.4f} of 1): the decision "
        "rests on small differences.",
    )
