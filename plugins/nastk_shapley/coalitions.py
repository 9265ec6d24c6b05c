"""The supernet as a cooperative game: who plays, what a coalition is worth, on which images.

A player is one alive operation of one edge, in every cell that shares the edge; the players of all
cell types form one game. A coalition is the mixture with the other operations taken out and the
rest at the weights they have: nothing is renormalised, so an edge may fall silent.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf, log
from typing import Literal

from nastk import Batch, Edge, Mixture, Probe, Stream
from nastk.train import NormMode
from nastk_shapley.estimate import Game

ValueName = Literal["accuracy", "neg_loss"]
Player = tuple[int, int]


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
    """The game that alive operations play under `mixture`, sample j on the images of `batch(j)`.

    V is the accuracy (0..1) or minus the mean cross-entropy (nats) on that one batch. With frozen
    `norms` it is measured with the statistics that the first coalition asked for has there.
    """

    def values(sample: int, removals: Iterable[Sequence[int]]) -> Iterator[float]:
        coalitions: Iterable[Mixture] = (
            mixture.without_all(players[number] for number in removed) for removed in removals
        )
        if isinstance(removals, Sequence):  # all will be asked for, so several may be at once
            coalitions = list(coalitions)
        if value == "accuracy":
            return probe.scores(coalitions, [batch(sample)], of="accuracy", norms=norms)
        return (-loss for loss in probe.scores(coalitions, [batch(sample)], "loss", norms=norms))

    return Game(len(players), values, null, tuple(edge for edge, _ in players) if keep_last else ())


def null_players(edges: Sequence[Edge], players: Sequence[Player]) -> frozenset[int]:
    """The numbers of players with operation `none`: taking zeros out of a sum changes nothing."""
    names = [edges[edge].operations[operation] for edge, operation in players]
    return frozenset(number for number, name in enumerate(names) if name == "none")


def likelihood_left(value: float, full: float, ratio: float) -> bool:
    """Whether less than `ratio` of the likelihood exp(V) is left: the test for minus a loss."""
    return value - full < (log(ratio) if ratio > 0 else -inf)


def estimation_stream(valid: Stream, batch_size: int, augment: bool) -> Stream:
    """The valid split in estimation batches; a batch is the whole split where that is smaller."""
    return valid.view("shapley", min(batch_size, valid.images), augment)


def whole_batch(stream: Stream, batch_size: int, number: int) -> Batch:
    """Batch `number` (0-based) of an endless sequence, without each pass's smaller last batch."""
    passes, place = divmod(number, max(stream.images // batch_size, 1))
    return stream.at(passes * len(stream) + place)
