"""Shapley values of an abstract game, by sampling removal orders: no supernet, no images.

`random_orders` draws the orders, `monte_carlo` walks them and reduces the marginals to an
`Estimate`. A walk starts from all players and takes them out one by one; player r_k is credited
with V(N without r_1..r_(k-1)) - V(N without r_1..r_k), which is equation (4) of Xiao et al. (CVPR
2022) read from the end of the permutation. A walk is abandoned once little of the value is left
(section 3.3). `exact.py` has the same answer from all coalitions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FEWEST = 5

Values = Callable[[int, Iterable[Sequence[int]]], Iterator[float]]
"""`values(sample, removals)`: on that sample's data, all players but those in each of `removals`.

Lazy where `removals` is an iterator: a walk that may be abandoned asks no further. A sequence is
asked for to its end."""


@dataclass(frozen=True)
class Game:
    """A cooperative game of `players` (numbered from 0), known by its `values`.

    `null` players are known to change nothing: they get exactly 0 and are never evaluated. Where
    `groups` gives each player a group, the last survivor of a group is kept (worth 0 in that
    order): the game that the authors' ImageNet script plays.

    Example: `Game(2, lambda sample, removals: (2.0 - len(removed) for removed in removals))`
    """

    players: int
    values: Values
    null: frozenset[int] = frozenset()
    groups: tuple[int, ...] = ()


def share_left(value: float, full: float, ratio: float) -> bool:
    """Whether less than `ratio` of the full value is left, for values of 0 at worst (accuracy)."""
    return ratio > 0 and value < ratio * full


@dataclass(frozen=True)
class Rules:
    """How orders are walked and how their marginals are reduced.

    An order stops after the removal that leaves less than `min_ratio` of its own full value, by the
    test `stops` (value, full value, ratio). Players it did not reach count as 0
    (`unvisited="zero"`, as published) or not at all ("skip"). The value of a player is its mean
    minus `risk` population standard deviations. `paired` says that orders come in antithetic pairs,
    for the standard errors.
    """

    min_ratio: float = 0.0
    unvisited: Literal["zero", "skip"] = "zero"
    risk: float = 0.0
    paired: bool = False
    stops: Callable[[float, float, float], bool] = share_left


@dataclass(frozen=True, eq=False)
class Estimate:
    """Shapley values with what they rest on.

    `standard_errors` are those of the mean over orders, NaN where fewer than two orders say
    anything. `visits` counts the orders that reached a player, `removals` the evaluated removals of
    each order, `full_values` V(N) of each order; `evaluations` = orders + sum of `removals`.
    """

    values: Float[Tensor, "players"]
    standard_errors: Float[Tensor, "players"]
    visits: Int[Tensor, "players"]
    evaluations: int
    removals: tuple[int, ...]
    full_values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Walk:
    """One order walked: the marginal of each player (0 where not reached), and who was reached."""

    marginals: Float[Tensor, "players"]
    visited: Bool[Tensor, "players"]
    removals: int
    full_value: float


def random_orders(
    players: int, samples: int, rng: torch.Generator, antithetic: bool = False
) -> list[list[int]]:
    """`samples` independent uniform orders; with `antithetic`, each is followed by its reverse."""
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
    """The Shapley values of `game` from these removal orders (equation 4, a sample for the sum).

    `enough`, asked after each order (each pair, if paired) from the fifth on, may end the sampling
    early: standard errors from fewer say too little.

    Raises:
        ValueError: no orders, or an odd number of orders that should be pairs.
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
    """Remove players in this order until the rules stop it; at most len(order) + 1 evaluations."""
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
        # After recording: the player that crosses the line is credited with its drop.
        if rules.stops(value, full, rules.min_ratio):
            break
    return Walk(marginals, visited, count, full)


def kept_players(order: Sequence[int], groups: Sequence[int]) -> frozenset[int]:
    """The player of each group that comes last in `order`; none where there are no groups."""
    return (
        frozenset({groups[player]: player for player in order}.values()) if groups else frozenset()
    )


def reduce(walks: Sequence[Walk], rules: Rules) -> Estimate:
    """The marginals of some walks as an `Estimate`, by these rules."""
    if not walks:
        raise ValueError("Expected at least one removal order, got none.")
    marginals = torch.stack([each.marginals for each in walks])  # orders x players
    visited = torch.stack([each.visited for each in walks])
    counted = visited if rules.unvisited == "skip" else torch.ones_like(visited)
    mean = _mean(marginals, counted)
    variance = _mean((marginals - mean).square(), counted)
    removals = tuple(each.removals for each in walks)
    return Estimate(
        values=mean - rules.risk * variance.sqrt(),
        standard_errors=standard_errors(marginals, counted, 2 if rules.paired else 1),
        visits=visited.sum(0),
        evaluations=len(walks) + sum(removals),
        removals=removals,
        full_values=tuple(each.full_value for each in walks),
    )


def standard_errors(
    marginals: Float[Tensor, "orders players"],
    counted: Bool[Tensor, "orders players"],
    block: int = 1,
) -> Float[Tensor, "players"]:
    """Sample standard deviation over blocks of orders, over the root of their number.

    It is NaN where there are fewer than two blocks.

    Antithetic orders depend on each other, pairs of them do not: there a block is a pair.
    """
    orders, players = marginals.shape
    if orders % block:
        raise ValueError(f"Expected an even number of orders in antithetic pairs, got {orders}.")
    inside = counted.view(-1, block, players)
    sums = (marginals.view(-1, block, players) * inside).sum(1)
    observed = sums / inside.sum(1).clamp(min=1)  # blocks x players
    present = inside.any(1)
    number = present.sum(0)
    squares = ((observed - _mean(observed, present)).square() * present).sum(0)
    variance = squares / (number - 1).clamp(min=1)
    return torch.where(number > 1, (variance / number.clamp(min=1)).sqrt(), torch.nan)


def _mean(
    table: Float[Tensor, "rows players"], counted: Bool[Tensor, "rows players"]
) -> Float[Tensor, "players"]:
    """Column means over the counted entries; 0 where none is."""
    return (table * counted).sum(0) / counted.sum(0).clamp(min=1)
