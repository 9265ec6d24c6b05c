"""Shapley values of an abstract game, by sampling removal orders: no supernet, no images.

`random_orders` draws the orders, `monte_carlo` walks them and reduces the marginals to an
`Estimate`. A walk starts from all players and removes them one by one; the marginal of player r_k
is V(N without r_1..r_(k-1)) - V(N without r_1..r_k), which is equation (4) of Xiao et al. (CVPR
2022) read from the end of the permutation. A walk ends early once little of the value is left
(section 3.3). `exact.py` computes the same values from all coalitions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FEWEST = 5
"""The fewest orders (or pairs of them) after which sampling may end early."""

Values = Callable[[int, Iterable[Sequence[int]]], Iterator[float]]
"""`values(sample, removals)` yields for each of `removals` the value of all players but these.

It measures on the data of that sample. If `removals` is an iterator, the values are computed one by
one, because a walk may end early. The values of a sequence are all taken."""


@dataclass(frozen=True)
class Game:
    """A cooperative game of `players` players (numbered from 0) with its `values`.

    `null` players are known to change no value: they get exactly 0 and are never evaluated. If
    `groups` gives every player a group, the last player of a group is never removed and gets 0 in
    that order, as in the authors' ImageNet script.

    Example: `Game(2, lambda sample, removals: (2.0 - len(removed) for removed in removals))`
    """

    players: int
    values: Values
    null: frozenset[int] = frozenset()
    groups: tuple[int, ...] = ()


def share_left(value: float, full: float, ratio: float) -> bool:
    """True if less than `ratio` of the full value is left; for values of at least 0 (accuracy)."""
    return ratio > 0 and value < ratio * full


@dataclass(frozen=True)
class Rules:
    """The rules by which orders are walked and their marginals reduced.

    An order ends after the removal that leaves less than `min_ratio` of its own full value, by the
    test `stops(value, full value, ratio)`. Players that it did not reach count as 0
    (`unvisited="zero"`, as published) or not at all ("skip"). The value of a player is its mean
    marginal minus `risk` population standard deviations. With `paired`, standard errors take the
    orders as antithetic pairs.
    """

    min_ratio: float = 0.0
    unvisited: Literal["zero", "skip"] = "zero"
    risk: float = 0.0
    paired: bool = False
    stops: Callable[[float, float, float], bool] = share_left


@dataclass(frozen=True, eq=False)
class Estimate:
    """Shapley values with their standard errors and the number of measurements.

    `standard_errors` are those of the mean over orders, NaN for players that count in fewer than
    two orders. `visits` counts the orders that reached a player, `removals` the evaluated removals
    of each order, `full_values` holds V(N) of each order; `evaluations` = orders + sum of
    `removals`.
    """

    values: Float[Tensor, "players"]
    standard_errors: Float[Tensor, "players"]
    visits: Int[Tensor, "players"]
    evaluations: int
    removals: tuple[int, ...]
    full_values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Walk:
    """The result of one order: the marginals (0 if not reached), and which players it reached."""

    marginals: Float[Tensor, "players"]
    visited: Bool[Tensor, "players"]
    removals: int
    full_value: float


def random_orders(
    players: int, samples: int, rng: torch.Generator, antithetic: bool = False
) -> list[list[int]]:
    """Returns `samples` uniform orders; with `antithetic`, each is followed by its reverse."""
    if not antithetic:
        return [torch.randperm(players, generator=rng).tolist() for _ in range(samples)]
    drawn = random_orders(players, (samples + 1) // 2, rng)
    return [order for forward in drawn for order in (forward, forward[::-1])][:samples]


def monte_carlo(
    game: Game,
    orders: Iterable[Sequence[int]],
    rules: Rules | None = None,
    enough: Callable[[Estimate], bool] | None = None,
) -> Estimate:
    """Returns the Shapley values of `game`, estimated from these removal orders (equation 4).

    `enough` is called after each order (each pair, if paired) from the fifth on, and may end the
    sampling early. Standard errors from fewer orders are too uncertain for that.

    Raises:
        ValueError: there are no orders, or an odd number of orders that should be pairs.
    """
    rules = rules or Rules()
    block = 2 if rules.paired else 1
    walks: list[Walk] = []
    for sample, order in enumerate(orders):
        walks.append(walk(game, sample, order, rules))
        readable = len(walks) >= FEWEST * block and len(walks) % block == 0
        if enough and readable and enough(reduce(walks, rules)):
            break
    return reduce(walks, rules)


def walk(game: Game, sample: int, order: Sequence[int], rules: Rules) -> Walk:
    """Removes players in this order until the rules end it; at most len(order) + 1 evaluations."""
    free = game.null | kept_players(order, game.groups)
    evaluated = [player for player in order if player not in free]
    removals: Iterable[Sequence[int]] = (evaluated[:n] for n in range(len(evaluated) + 1))
    values = game.values(sample, removals if rules.min_ratio > 0 else list(removals))
    full = value = next(values)
    marginals = torch.zeros(game.players, dtype=torch.float64)
    visited = torch.zeros(game.players, dtype=torch.bool)
    count = 0
    for player in order:
        visited[player] = True
        if player in free:
            continue
        without = next(values)
        marginals[player] = value - without
        value = without
        count += 1
        # Only now, so that the player that crosses the threshold keeps its marginal.
        if rules.stops(value, full, rules.min_ratio):
            break
    return Walk(marginals, visited, count, full)


def kept_players(order: Sequence[int], groups: Sequence[int]) -> frozenset[int]:
    """Returns the last player of each group in `order`; empty without groups."""
    return (
        frozenset({groups[player]: player for player in order}.values()) if groups else frozenset()
    )


def reduce(walks: Sequence[Walk], rules: Rules) -> Estimate:
    """Returns the estimate from the marginals of the walks, by these rules."""
    if not walks:
        raise ValueError("Expected at least one removal order, got none.")
    marginals = torch.stack([walked.marginals for walked in walks])  # orders x players
    visited = torch.stack([walked.visited for walked in walks])
    counted = visited if rules.unvisited == "skip" else torch.ones_like(visited)
    mean = _mean(marginals, counted)
    variance = _mean((marginals - mean).square(), counted)
    removals = tuple(walked.removals for walked in walks)
    return Estimate(
        values=mean - rules.risk * variance.sqrt(),
        standard_errors=standard_errors(marginals, counted, 2 if rules.paired else 1),
        visits=visited.sum(0),
        evaluations=len(walks) + sum(removals),
        removals=removals,
        full_values=tuple(walked.full_value for walked in walks),
    )


def standard_errors(
    marginals: Float[Tensor, "orders players"],
    counted: Bool[Tensor, "orders players"],
    block: int = 1,
) -> Float[Tensor, "players"]:
    """Returns the standard deviation over blocks of orders, divided by the root of their number.

    It is the sample standard deviation, and NaN with fewer than two blocks. Blocks have to be
    independent: the two orders of an antithetic pair are not, so there a block is a pair.
    """
    orders, players = marginals.shape
    if orders % block:
        raise ValueError(f"Expected an even number of orders in antithetic pairs, got {orders}.")
    in_blocks = counted.view(-1, block, players)  # blocks x orders of a block x players
    sums = (marginals.view(-1, block, players) * in_blocks).sum(1)
    observed = sums / in_blocks.sum(1).clamp(min=1)  # blocks x players
    present = in_blocks.any(1)
    number = present.sum(0)
    squares = ((observed - _mean(observed, present)).square() * present).sum(0)
    variance = squares / (number - 1).clamp(min=1)
    return torch.where(number > 1, (variance / number.clamp(min=1)).sqrt(), torch.nan)


def _mean(
    table: Float[Tensor, "rows players"], counted: Bool[Tensor, "rows players"]
) -> Float[Tensor, "players"]:
    """Returns the column means over the counted entries; 0 for a column without any."""
    return (table * counted).sum(0) / counted.sum(0).clamp(min=1)
