"""The game of a supernet's paths: its paths, their values, and which of them count.

`paths.py` defines the game and its Shapley values.
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
    """Returns the game of the paths of `probe.subspace`; sample j is measured on `batch(j)`.

    The value of a path is its accuracy (0..1) or minus its mean cross-entropy (nats). With
    `connected` only paths that join input and output count.

    Raises:
        PluginError: `connected` is set, and no path is connected.
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
    """Returns the number of alive operations of each nonempty edge."""
    return tuple(len(columns) for columns in _columns(subspace) if columns)


def mixture_of(path: Path, subspace: Subspace) -> Mixture:
    """Returns the mixture that gives each operation of a path weight one."""
    active = torch.zeros_like(subspace.mask)
    for edge, column in _chosen(path, subspace):
        active[edge, column] = True
    return Mixture(active.float(), active)


def architecture_of(path: Path, space: SearchSpace, subspace: Subspace) -> Architecture:
    """Returns a path as an architecture, with an operation on every edge even in DARTS's space."""
    chosen = dict(_chosen(path, subspace))
    return space.architecture(
        (edge.operations[chosen[number]],) if number in chosen else ()
        for number, edge in enumerate(space.edges)
    )


def _chosen(path: Path, subspace: Subspace) -> list[tuple[int, int]]:
    """Returns (edge, column) of each operation of a path."""
    rows = [(edge, columns) for edge, columns in enumerate(_columns(subspace)) if columns]
    return [(edge, columns[number]) for (edge, columns), number in zip(rows, path, strict=True)]


def _columns(subspace: Subspace) -> list[tuple[int, ...]]:
    """Returns the alive columns of every edge."""
    return [subspace.operations(edge) for edge in range(len(subspace.alive))]
