"""The best decision within the limits: `best`.

Maximise the sum of scores over the architectures a of a subspace that keep every limit. The space's
own rule maximises any sum of scores, so it also solves the Lagrangian relaxation

    argmax over a of  sum of scores(a) - price * sum of shares(a)

for a price of costs; `_at_best_price` searches for the price at which the limit is just kept. The
relaxation only reaches architectures on the convex hull of (cost, score), so a local search over
exchanges of one or two operations follows (`_improved`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from nastk.limits.limit import Limit
from nastk.limits.model import Structure, table_of
from nastk.spaces.architecture import Architecture
from nastk.spaces.space import SearchSpace
from nastk.spaces.subspace import Subspace

ROUNDS = 60
"""Most prices tried for one weighting of limits; the search normally ends long before."""

WEIGHTINGS = 6
"""Relative weightings tried where there are several limits."""

TRIED = 32
"""Exchanges tried in one round of the local search, the best first."""

PAIRED = 2_000
"""Most single exchanges for which pairs of exchanges are considered too."""

Table = Float64[Tensor, "edges ops"]


@dataclass(frozen=True, eq=False)
class ConstrainedDecision:
    """The problem to solve: maximise the sum of finite `scores` in `subspace` within the limits.

    `space` is the space without limits. With `trust`, exact additive models replace evaluators.
    """

    space: SearchSpace
    structure: Structure
    limits: Sequence[Limit]
    subspace: Subspace
    scores: Table
    trust: bool = True

    def decide(self, scores: Table) -> Architecture:
        """Returns the decision of the space without limits."""
        return self.space.decide(scores, self.subspace)

    def score(self, architecture: Architecture) -> float:
        """Returns the sum of the scores of the chosen operations."""
        return float(self.scores[table_of(architecture)].sum())

    def keeps(self, architecture: Architecture) -> bool:
        """True if the architecture keeps all limits."""
        return all(limit.keeps(architecture, self.trust) for limit in self.limits)


def best(decision: ConstrainedDecision) -> Architecture | None:
    """Returns the best architecture within the limits; None if there is none."""
    candidates = list(feasible(decision))
    return _improved(decision, max(candidates, key=decision.score)) if candidates else None


def feasible(decision: ConstrainedDecision) -> Iterator[Architecture]:
    """Yields good architectures within the limits, at most one for each weighting of the limits.

    Yields nothing if the cheapest architecture of every weighting exceeds a limit.
    """
    weights = torch.ones(len(decision.limits), dtype=torch.float64)
    for _ in range(WEIGHTINGS if len(decision.limits) > 1 else 1):
        shares = torch.stack([limit.shares for limit in decision.limits])  # limits x edges x ops
        inside, over = _at_best_price(decision, (weights[:, None, None] * shares).sum(0))
        if inside is not None:
            yield inside
        # A limit that is still exceeded counts more in the next round.
        used = torch.tensor([limit.share(over) for limit in decision.limits], dtype=torch.float64)
        weights = weights * used.clamp(min=0.5) ** 4
        weights = weights / weights.max()


def _at_best_price(
    decision: ConstrainedDecision, costs: Table
) -> tuple[Architecture | None, Architecture]:
    """Returns (the best architecture within the limits at some price, the last one outside).

    The first is None if even the cheapest architecture exceeds a limit.

    Walks along the upper convex hull of the points (cost, score). `inside` and `over` are two
    points of the hull on either side of the limit; the slope between them is the next price, and
    the decision at that price is a hull point between them, or one of them at the end.
    """
    over, inside = decision.decide(decision.scores), decision.decide(-costs)
    if not decision.keeps(inside):
        return None, inside

    def cost(architecture: Architecture) -> float:
        return float(costs[table_of(architecture)].sum())

    for _ in range(ROUNDS):
        if cost(over) <= cost(inside):
            break
        price = (decision.score(over) - decision.score(inside)) / (cost(over) - cost(inside))
        between = decision.decide(decision.scores - price * costs)
        # `gain` is the height of `between` above the line through `inside` and `over`: where it is
        # zero, no hull point lies between the two.
        gain = (decision.score(between) - price * cost(between)) - (
            decision.score(inside) - price * cost(inside)
        )
        if gain <= 1e-12 * max(abs(decision.score(inside)), 1e-300):
            break
        if decision.keeps(between):
            inside = between
        else:
            over = between
    return inside, over


def _improved(decision: ConstrainedDecision, start: Architecture) -> Architecture:
    """Returns the end of a local search from `start` over exchanges of one or two operations."""
    current = start
    for _ in range(ROUNDS):
        better = next(_better_neighbours(decision, current), None)
        if better is None:
            break
        current = better
    return current


def _better_neighbours(
    decision: ConstrainedDecision, current: Architecture
) -> Iterator[Architecture]:
    """Yields neighbours of `current` within the limits with higher scores, the highest first."""
    for exchange in _exchanges(decision, current):
        wanted = table_of(current).clone()
        for removed, added in exchange:
            wanted.view(-1)[removed], wanted.view(-1)[added] = False, True
        neighbour = decision.decide(wanted.double())
        # If the space's rule does not allow the wanted table, its decision differs from it.
        if torch.equal(table_of(neighbour), wanted) and decision.keeps(neighbour):
            yield neighbour


def _exchanges(decision: ConstrainedDecision, current: Architecture) -> list[list[tuple[int, int]]]:
    """Returns the most promising exchanges, the best first.

    An exchange is a list of one or two moves (operation removed, operation added).
    """
    moves = _moves(decision, current)
    if not len(moves):
        return []
    scores = decision.scores.flatten()  # edges * ops, like the numbers in `moves`
    gain = scores[moves[:, 1]] - scores[moves[:, 0]]  # moves
    shares = torch.stack([limit.shares.flatten() for limit in decision.limits])
    extra = shares[:, moves[:, 1]] - shares[:, moves[:, 0]]  # limits x moves
    unused = [1 - limit.share(current) for limit in decision.limits]
    left = torch.tensor(unused, dtype=torch.float64)  # limits
    fits = (extra <= left[:, None] + 1e-6).all(0)  # moves
    least = 1e-12 * float(scores.abs().max())
    singles = _ranked(gain.masked_fill(~fits, -torch.inf), least)
    exchanges = [(float(gain[move]), [move]) for move in singles]
    if len(moves) <= PAIRED:
        pair_gain = gain[:, None] + gain[None, :]  # moves x moves
        fits = (extra[:, :, None] + extra[:, None, :] <= left[:, None, None] + 1e-6).all(0)
        # Moves that remove or add the same operation exclude each other; every pair counts once.
        compatible = (moves[:, None, :] != moves[None, :, :]).all(2).triu(1)
        pairs = _ranked(pair_gain.masked_fill(~(fits & compatible), -torch.inf).flatten(), least)
        exchanges += [
            (float(pair_gain.flatten()[pair]), list(divmod(pair, len(moves)))) for pair in pairs
        ]
    exchanges.sort(key=lambda exchange: -exchange[0])
    table = moves.tolist()
    return [
        [(table[move][0], table[move][1]) for move in chosen] for _, chosen in exchanges[:TRIED]
    ]


def _moves(decision: ConstrainedDecision, current: Architecture) -> Int64[Tensor, "moves 2"]:
    """Returns every (operation removed, rival added) as numbers in the flattened table."""
    chosen = table_of(current)
    free = decision.subspace.mask & decision.structure.choosable & ~chosen
    moves = []
    for exclusive in decision.structure.exclusive:
        rows = torch.zeros_like(chosen)
        rows[list(exclusive.edges)] = True
        removed = (chosen & rows).flatten().nonzero().flatten()
        added = (free & rows).flatten().nonzero().flatten()
        moves.append(torch.cartesian_prod(removed, added).reshape(-1, 2))
    return torch.cat(moves)


def _ranked(gain: Float64[Tensor, "moves"], least: float) -> list[int]:
    """Returns the positions of gains above `least`, the largest first, at most `TRIED` of them."""
    count = min(TRIED, len(gain))
    order = gain.sort(descending=True, stable=True).indices[:count]
    return [int(position) for position in order if float(gain[position]) > least]
