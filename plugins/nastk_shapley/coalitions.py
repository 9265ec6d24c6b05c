"""The supernet as a cooperative game: its players, the value of a coalition, and the images.

A player is an alive operation of an edge, in all cells that share the edge; the players of all cell
types form one game. A coalition is the mixture without the other operations. Its operations keep
their weights: nothing is renormalised, so an edge may have no operation left and add nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf, log
from typing import Literal

from nastk import Batch, Edge, Mixture, Probe, Stream
from nastk.train import NormMode
from nastk_shapley.estimate import Game

ValueName = Literal["accuracy", "neg_loss"]
Player = tuple[int, int]
"""(edge, column) of an operation."""


def supernet_game(
    probe: Probe,
    mixture: Mixture,
    players: Sequence[Player],
    batch: Callable[[int], Batch],
    value: ValueName = "accuracy",
    null: frozenset[int] = frozenset(),
    keep_last: bool = False,
    norms: NormMode = "batch",
) -> Game:
    """Returns the game of the alive operations under `mixture`; sample j is measured on `batch(j)`.

    V is the accuracy (0..1) or minus the mean cross-entropy (nats) on that batch. With frozen
    `norms` every coalition of a sample uses the statistics of the first one.
    """

    def values(sample: int, removals: Iterable[Sequence[int]]) -> Iterator[float]:
        coalitions: Iterable[Mixture] = (
            mixture.without_all(players[number] for number in removed) for removed in removals
        )
        # The caller of a sequence takes all its values, so several may be measured at once.
        if isinstance(removals, Sequence):
            coalitions = list(coalitions)
        if value == "accuracy":
            return probe.scores(coalitions, [batch(sample)], of="accuracy", norms=norms)
        return (-loss for loss in probe.scores(coalitions, [batch(sample)], "loss", norms=norms))

    return Game(len(players), values, null, tuple(edge for edge, _ in players) if keep_last else ())


def null_players(edges: Sequence[Edge], players: Sequence[Player]) -> frozenset[int]:
    """Returns the numbers of players with operation `none`: removing zeros changes no sum."""
    names = [edges[edge].operations[operation] for edge, operation in players]
    return frozenset(number for number, name in enumerate(names) if name == "none")


def likelihood_left(value: float, full: float, ratio: float) -> bool:
    """True if less than `ratio` of the likelihood exp(V) is left; for values that are -loss."""
    return value - full < (log(ratio) if ratio > 0 else -inf)


def estimation_stream(valid: Stream, batch_size: int, augment: bool) -> Stream:
    """Returns the valid split in batches for estimates, of at most the whole split."""
    return valid.view("shapley", min(batch_size, valid.images), augment)


def whole_batch(stream: Stream, batch_size: int, number: int) -> Batch:
    """Returns batch `number` (from 0) of the passes over `stream`, without smaller last batches."""
    passes, index = divmod(number, max(stream.images // batch_size, 1))
    return stream.at(passes * len(stream) + index)
