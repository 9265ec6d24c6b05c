"""The supernet's paths as a game: which paths there are, what each is worth, and which count.

The rules of the game, and what its Shapley values are, stand in `paths.py`.
"""

from collections.abc import Callable, Sequence

import torch

from nastk import Architecture, Batch, Mixture, Probe, SearchSpace, Subspace
from nastk_shapley.coalitions import ValueName
from nastk_shapley.connection import connected_shares
from nastk_shapley.paths import Path, PathGame


def path_game(
    probe: Probe,
    space: SearchSpace,
    batch: Callable[[int], Batch],
    value: ValueName = "accuracy",
    connected: bool = False,
) -> PathGame:
    """The game of the paths of `probe.subspace`, those of sample j on the images of `batch(j)`.

    A path is worth its accuracy (0..1) or minus its mean cross-entropy (nats) there. With
    `connected` only paths that join input and output count.

    Raises:
        PluginError: `connected`, and no path does.
    """
    subspace = probe.subspace

    def values(sample: int, paths: Sequence[Path]) -> list[float]:
        mixtures = [mixture_of(path, subspace) for path in paths]
        if value == "accuracy":
            return list(probe.scores(mixtures, [batch(sample)]))
        return [-loss for loss in probe.scores(mixtures, [batch(sample)], "loss")]

    operations = operation_counts(subspace)
    if not connected:
        return PathGame(operations, values)

    def counts(path: Path) -> bool:
        return architecture_of(path, space, subspace).connected()

    return PathGame(operations, values, counts, connected_shares(space.edges, subspace))


def operation_counts(subspace: Subspace) -> tuple[int, ...]:
    """How many operations are alive on each edge that has any."""
    return tuple(len(columns) for columns in _columns(subspace) if columns)


def mixture_of(path: Path, subspace: Subspace) -> Mixture:
    """The mixture that takes a path's operation of each edge at weight one."""
    active = torch.zeros_like(subspace.mask)
    for edge, column in _chosen(path, subspace):
        active[edge, column] = True
    return Mixture(active.float(), active)


def architecture_of(path: Path, space: SearchSpace, subspace: Subspace) -> Architecture:
    """The operations of a path by name; a space that keeps some edges only would not build it."""
    chosen = dict(_chosen(path, subspace))
    return space.architecture(
        (edge.operations[chosen[number]],) if number in chosen else ()
        for number, edge in enumerate(space.edges)
    )


def _chosen(path: Path, subspace: Subspace) -> list[tuple[int, int]]:
    """(edge, column) of each operation of a path."""
    rows = [(edge, columns) for edge, columns in enumerate(_columns(subspace)) if columns]
    return [(edge, columns[at]) for (edge, columns), at in zip(rows, path, strict=True)]


def _columns(subspace: Subspace) -> list[tuple[int, ...]]:
    return [subspace.operations(edge) for edge in range(len(subspace.alive))]
