"""Whether a search goes wrong: `Diagnostics` looks at each decision; see also `diagnostic.py`.

Differentiable searches are known to collapse to operations without parameters (Zela et al., ICLR
2020), to paths that lead nowhere, or to decide nothing at all. The watch costs no images and
changes nothing; its numbers are in the events of kind `watched`.
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
"""The share of a cell type's operations without parameters from which several kinds are a collapse.

Where three of seven operations are such, one random cell of eight in fourteen has so many.
"""
SMALLEST = 3
"""Operations that a cell type has at least to be judged: less is no cell."""


class Diagnostics:
    """Watches one run's decisions; the trainer calls it as one of its watchers.

    Example: `Harness(updater, watchers=[Diagnostics()]).run()`
    """

    def __call__(self, epoch: FinishedEpoch) -> Watched:
        """Called after every epoch of a branch: what the decision of now is like."""
        branch, probe, architecture = epoch.branch, epoch.probe, epoch.architecture
        free = parameter_free(branch.updater.space.edges, probe)
        links = architecture.links()
        spread = entropy(epoch.mixtures, probe)
        scores = epoch.scores
        found = [*collapsed(architecture, free), *_disconnected(architecture)]
        if epoch.last and spread is not None and spread >= UNDECIDED:
            found.append(_undecided(spread))
        return Watched(
            branch.name,
            probe.epoch,
            probe.step,
            sum(link in free for link in links) / max(len(links), 1),
            spread,
            None if scores is None else table_to_json(scores),
            [vars(each) for each in found],
        )


def parameter_free(edges: Sequence[Edge], probe: Probe) -> set[Link]:
    """The operations, each on its edge, that have no parameters anywhere in the supernet.

    One of the same name may have some on another edge: a skip that halves the image computes.
    """
    has: dict[tuple[int, int], bool] = {}
    for edge, operation, module in probe.operations():
        any_here = next(module.parameters(), None) is not None
        has[edge, operation] = has.get((edge, operation), False) or any_here
    return {
        (edges[row], edges[row].operations[column])
        for (row, column), some in has.items()
        if not some
    }


def entropy(mixtures: Sequence[Mixture], probe: Probe) -> float | None:
    """Mean entropy of the edges' mixing weights, 1 for uniform and 0 for one operation.

    Over the edges that still have a choice, each divided by the logarithm of its number of living
    operations. None where single paths are trained, whose weights say nothing of a decision.
    """
    choice = probe.subspace.mask.sum(1) > 1
    if not bool(choice.any()) or all(bool((each.active.sum(1) <= 1).all()) for each in mixtures):
        return None
    weights = torch.stack([each.weights.detach().double().cpu() for each in mixtures]).mean(0)
    shares = weights.abs() / weights.abs().sum(1, keepdim=True).clamp(min=1e-12)
    bits = torch.special.entr(shares).sum(1) / probe.subspace.mask.sum(1).clamp(min=2).log()
    return float(bits[choice].mean())


def collapsed(architecture: Architecture, free: set[Link]) -> list[Diagnostic]:
    """Cell types with hardly anything to train: one such operation, or several kinds of them.

    `free` are the operations without parameters, each on its edge.
    """
    found = []
    for group in dict.fromkeys(edge.group for edge in architecture.edges):
        links = [link for link in architecture.links() if link[0].group == group]
        kinds = Counter(name for edge, name in links if (edge, name) in free).most_common()
        most, without = kinds[0][1] if kinds else 0, sum(count for _, count in kinds)
        if len(links) < SMALLEST:
            continue
        if most > len(links) / 2:
            said = f"are {kinds[0][0]}, which has no parameters."
            found.append(f"{most} of the {len(links)} operations of {group!r} {said}")
        elif without >= MOSTLY * len(links):
            which = ", ".join(f"{count} {name}" for name, count in kinds)
            found.append(
                f"{without} of the {len(links)} operations of {group!r} have no parameters: "
                f"{which}."
            )
    return [Diagnostic("collapsed", message) for message in found]


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
