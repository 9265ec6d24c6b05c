"""Whether a search goes wrong: `Watch` looks at every decision; `cautions.py` reads what it saw.

Differentiable searches are known to collapse to operations without parameters (Zela et al., ICLR
2020), to paths that lead nowhere, or to decide nothing at all. The watch costs no images and
changes nothing; its numbers are in the events of kind `watched`.
"""

from collections import Counter
from collections.abc import Sequence

import torch

from nastk.architecture import Architecture
from nastk.branch import Branch, copied
from nastk.cautions import Caution
from nastk.events import Watched, table_to_json
from nastk.mixture import Mixture
from nastk.probe import Probe
from nastk.subspace import Edge

UNDECIDED = 0.99


class Watch:
    """Watches one run's decisions; the trainer calls it as one of its watchers.

    Example: `trainer.watchers.append(Watch())`
    """

    def __call__(self, branch: Branch, probe: Probe, last: bool) -> Watched:
        """Called after every epoch of a branch: what the decision of now is like."""
        architecture = branch.updater.architecture(probe)
        free = parameter_free(branch.updater.space.edges, probe)
        links = architecture.links()
        spread = entropy(_mixtures(branch, probe), probe)
        scores = branch.updater.scores(probe)
        found = [*_dominated(architecture, free), *_disconnected(architecture)]
        if last and spread is not None and spread >= UNDECIDED:
            found.append(_undecided(spread))
        return Watched(
            branch.name,
            probe.epoch,
            probe.step,
            sum(name in free for _, name in links) / max(len(links), 1),
            spread,
            None if scores is None else table_to_json(scores),
            [vars(each) for each in found],
        )


def parameter_free(edges: Sequence[Edge], probe: Probe) -> set[str]:
    """The names of the operations that have no parameters anywhere in the supernet."""
    has: dict[tuple[int, int], bool] = {}
    for edge, operation, module in probe.operations():
        any_here = next(module.parameters(), None) is not None
        has[edge, operation] = has.get((edge, operation), False) or any_here
    named = {edges[edge].operations[column] for edge, column in has}
    return named - {edges[edge].operations[column] for (edge, column), some in has.items() if some}


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


def _dominated(architecture: Architecture, free: set[str]) -> list[Caution]:
    """Cell types that one operation without parameters fills by more than half."""
    found = []
    for group in dict.fromkeys(edge.group for edge in architecture.edges):
        names = [name for edge, name in architecture.links() if edge.group == group]
        ((name, count),) = Counter(names).most_common(1) or [("", 0)]
        if name in free and len(names) > 2 and count > len(names) / 2:
            found.append(
                Caution(
                    "collapsed",
                    f"{count} of the {len(names)} operations of {group!r} are {name}, "
                    "which has no parameters.",
                )
            )
    return found


def _disconnected(architecture: Architecture) -> list[Caution]:
    return [] if architecture.connected() else [
        Caution("disconnected", "The decision does not join input and output: `none` cuts it.")
    ]  # fmt: skip


def _undecided(spread: float) -> Caution:
    return Caution(
        "undecided",
        f"The mixing weights are still almost uniform (entropy {spread:.4f} of 1): the decision "
        "rests on small differences.",
    )


def _mixtures(branch: Branch, probe: Probe) -> Sequence[Mixture]:
    """What the updater would train next: asked of a twin, its random draws taken back.

    A wrapper may begin a new phase when it is asked, and that is not the watch's to begin.
    """
    updater, state = branch.updater, probe.rng.get_state()
    twin = type(updater)(updater.space, updater.options, torch.Generator(), updater.device)
    twin.load_state_dict(copied(updater.state_dict()))
    try:
        return twin.mixtures(probe)
    finally:
        probe.rng.set_state(state)
