"""The best decision within the limits: `best`.

The wanted architecture has the largest sum of scores among those that keep every limit. The space's
own rule maximises any such sum, so it also answers, for a price of costs,

    argmax over a of  sum of scores(a) - price * sum of shares(a),

and the price is found at which the limit is just kept (Lagrange's relaxation; `_priced`). What that
leaves on the table is then taken by exchanges of one or two operations (`_exchanged`).
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
"""Prices tried for one weighting of limits; the search ends by itself long before."""

WEIGHTINGS = 6
"""Weightings of several limits against each other that are tried."""

TRIED = 32
"""Exchanges that are tried, the best first, before a decision counts as final."""

PAIRED = 2_000
"""Most single exchanges of which all pairs are looked at."""

Table = Float64[Tensor, "edges ops"]


@dataclass(frozen=True, eq=False)
class ConstrainedDecision:
    """Which architecture of `subspace` has the largest sum of finite `scores` within the limits.

    `space` is the space without limits. `trust`: exact sums are believed without asking.
    """

    space: SearchSpace
    structure: Structure
    meters: Sequence[Limit]
    subspace: Subspace
    scores: Table
    trust: bool = True

    def decide(self, scores: Table) -> Architecture:
        """What the space alone decides."""
        return self.space.decide(scores, self.subspace)

    def score(self, architecture: Architecture) -> float:
        """The sum that is to be large."""
        return float(self.scores[table_of(architecture)].sum())

    def keeps(self, architecture: Architecture) -> bool:
        """Whether all limits are kept."""
        return all(meter.keeps(architecture, self.trust) for meter in self.meters)


def best(decision: ConstrainedDecision) -> Architecture | None:
    """The best architecture that was found within the limits; None where there is none."""
    found = list(kept(decision))
    return _exchanged(decision, max(found, key=decision.score)) if found else None


def kept(decision: ConstrainedDecision) -> Iterator[Architecture]:
    """Architectures within the limits, good ones for each weighting of several limits.

    None at all where the cheapest of every weighting exceeds a limit.
    """
    weights = torch.ones(len(decision.meters), dtype=torch.float64)
    for _ in range(WEIGHTINGS if len(decision.meters) > 1 else 1):
        shares = torch.stack([meter.shares for meter in decision.meters])
        inside, over = _priced(decision, (weights[:, None, None] * shares).sum(0))
        if inside is not None:
            yield inside
        # A limit that is still exceeded counts more in the next round.
        taken = torch.tensor([meter.share(over) for meter in decision.meters], dtype=torch.float64)
        weights = weights * taken.clamp(min=0.5) ** 4
        weights = weights / weights.max()


def _priced(
    decision: ConstrainedDecision, costs: Table
) -> tuple[Architecture | None, Architecture]:
    """(the best that keeps the limits at some price of `costs`, the last that does not).

    Goes along the upper hull of (cost, score): the next price is the slope between the best
    architectures known on either side of the limit.
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


def _exchanged(decision: ConstrainedDecision, start: Architecture) -> Architecture:
    """`start` after all exchanges of one or two operations that raise its score within limits."""
    here = start
    for _ in range(ROUNDS):
        following = next(_better(decision, here), None)
        if following is None:
            break
        here = following
    return here


def _better(decision: ConstrainedDecision, here: Architecture) -> Iterator[Architecture]:
    """Neighbours of `here` that keep the limits and score higher, the highest first."""
    for change in _exchanges(decision, here):
        wanted = table_of(here).clone()
        for gone, come in change:
            wanted.view(-1)[gone], wanted.view(-1)[come] = False, True
        there = decision.decide(wanted.double())
        # The space's rule may not allow what was wanted, and answers something else.
        if torch.equal(table_of(there), wanted) and decision.keeps(there):
            yield there


def _exchanges(decision: ConstrainedDecision, here: Architecture) -> list[list[tuple[int, int]]]:
    """The most promising exchanges, each a list of (operation that goes, one that comes)."""
    moves = _moves(decision, here)
    if not len(moves):
        return []
    scores = decision.scores.flatten()
    gain = scores[moves[:, 1]] - scores[moves[:, 0]]
    shares = torch.stack([meter.shares.flatten() for meter in decision.meters])
    more = shares[:, moves[:, 1]] - shares[:, moves[:, 0]]
    left = torch.tensor([1 - meter.share(here) for meter in decision.meters], dtype=torch.float64)
    fits = (more <= left[:, None] + 1e-6).all(0)
    least = 1e-12 * float(scores.abs().max())
    singles = _ranked(gain.masked_fill(~fits, -torch.inf), least)
    found = [(float(gain[one]), [one]) for one in singles]
    if len(moves) <= PAIRED:
        both = gain[:, None] + gain[None, :]
        fits = (more[:, :, None] + more[:, None, :] <= left[:, None, None] + 1e-6).all(0)
        apart = (moves[:, None, :] != moves[None, :, :]).all(2).triu(1)
        pairs = _ranked(both.masked_fill(~(fits & apart), -torch.inf).flatten(), least)
        found += [(float(both.flatten()[one]), list(divmod(one, len(moves)))) for one in pairs]
    found.sort(key=lambda each: -each[0])
    table = moves.tolist()
    return [[(table[one][0], table[one][1]) for one in change] for _, change in found[:TRIED]]


def _moves(decision: ConstrainedDecision, here: Architecture) -> Int64[Tensor, "moves 2"]:
    """Every (operation that goes, rival that comes), numbered row by row through the table."""
    chosen = table_of(here)
    free = decision.subspace.mask & decision.structure.choosable & ~chosen
    found = []
    for exclusive in decision.structure.exclusive:
        mine = torch.zeros_like(chosen)
        mine[list(exclusive.edges)] = True
        gone = (chosen & mine).flatten().nonzero().flatten()
        come = (free & mine).flatten().nonzero().flatten()
        found.append(torch.cartesian_prod(gone, come).reshape(-1, 2))
    return torch.cat(found)


def _ranked(gain: Float64[Tensor, "moves"], least: float) -> list[int]:
    """Where the gain is more than `least`, the largest first; at most as many as are tried."""
    count = min(TRIED, len(gain))
    order = gain.sort(descending=True, stable=True).indices[:count]
    return [int(one) for one in order if float(gain[one]) > least]
