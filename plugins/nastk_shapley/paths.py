"""The game of paths: what an operation adds to the mean path, and an estimator that wastes none.

Players are the alive operations of all edges, m_e on edge e. A path takes one operation a_e of
every edge; f(a) is its accuracy (0..1) or minus its loss (nats). The value of a set S of players is
the mean of f over paths drawn from it,

    v(S) = E f(a),   a_e uniform on S_e, the players of S on edge e, independently for each edge.

**An edge with nothing left is undecided**: a_e is then uniform on all m_e operations of the edge.
The alternatives are worse. A silent edge is no absence of a decision where `none` is a candidate,
but a decision for it; where it is no candidate, no path of the training was silent anywhere, and
the weights know nothing of it. Chance as the value of every incomplete set would credit whoever
completes the last edge with the whole accuracy. Undecided edges keep to paths of the space, so the
supernet is only asked what it was trained for. The same holds where a space keeps some edges of a
node (DARTS): a path of the game takes one operation on each edge, as a path of `fair` does.

**The Shapley value is a main effect.** Let mu_e(o) = E[f(a) | a_e = o], all other edges uniform,
mu = E f(a), and H_m = 1 + 1/2 + ... + 1/m. Then

    phi_(e,o) = c(m_e) (mu_e(o) - mu),   c(m) = 1/m + (H_m - 1) / (m - 1),   c(1) = 1.        (*)

Proof. Let every player arrive at a time uniform on [0, 1]; phi_i is the mean of v(S + i) - v(S)
over the set S that came before i (Owen's multilinear extension). Given i's time, players are in S
independently, so edges are independent, and f may be averaged edge by edge. On an edge e' != e the
rule that draws a_e' treats all operations alike, and so does the distribution of S_e': a_e' is
uniform, and what is left of f is mu_e. On e itself S_e has k = 0, ..., m - 1 elements with
probability 1/m each (i's place in a random order of the edge), all sets of k being equally likely.
For k >= 1 the mean of mu_e over S_e + o less that over S_e is (mu_e(o) - mean over S_e) / (k + 1),
in expectation (mu_e(o) - mean over the others) / (k + 1), which is m/(m - 1) (mu_e(o) - mu)/(k + 1)
as mu is the mean over the edge. For k = 0 it is mu_e(o) - mu. Hence
phi = (mu_e(o) - mu) [1 + m/(m - 1) (1/2 + ... + 1/m)] / m, which is (*).

So values add up to 0 on every edge (efficiency: v(all) = v(none) = mu), and say how much better an
operation is than an open choice. `none` is no null player.

**Only connected paths count** (`connected`). A path that `none` cuts from the input is near chance
whatever else it holds, nobody would choose it, and such paths make up most of the main effect of
`none`. Then f(a) is replaced by g(a) = f(a) - nu for connected paths, nu the mean of f over them,
and 0 for others, which need not be measured. (*) holds for any f, hence for g.

**The estimator.** A set of m = max m_e paths takes on each edge a random order of its operations
(a narrower edge goes on with another one), independently of the other edges: a Latin design, each
operation once. All its paths see one batch, whose difficulty cancels. With d = 1 for paths that
count and rho_(e,o) = P(d | a_e = o) / P(d), known exactly (`connection.py`; 1 where all count),

    phi'_(e,o) = c(m_e) / m  sum_k (f(a^k) - b) d(a^k) (m_e [a^k_e = o] - rho_(e,o))

has mean (*) for every b that does not depend on the set: each a^k_e is uniform and independent of
the other edges, and E[b d | a_e = o] = rho_(e,o) E[b d]. So one measured path informs all its
edges. b, which takes out the scatter of how many paths count, is the mean over the other sets;
where all count and edges are equally wide it cancels. The answer is the mean over sets, its
standard error their deviation over the root of their number.

**Rounds** (`antithetic`): m sets of a round share the orders, turned against each other: path k of
set s takes operation number k + s x_e (modulo m) of edge e's order. Each set alone is as before; if
x_e != x_e' and m is prime, a round holds each pair of operations of e and e' exactly once (an
orthogonal array, Owen, Statistica Sinica 1992). What e' does alone, and in pair with e, then adds
nothing to the error of e; what two other edges do in pair still does. A round is the unit of the
standard error.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nastk_shapley.estimate import FEWEST, Estimate, standard_errors

Path = tuple[int, ...]
"""For each edge the number of its operation, counted among those that are alive on it."""

PathValues = Callable[[int, Sequence[Path]], Sequence[float]]
"""`values(sample, paths)`: the value of each path on that sample's data."""


@dataclass(frozen=True, eq=False)
class PathGame:
    """A game of paths: how many operations each edge has, and the value of a path.

    `counts` says which paths count (None: all); `shares` is then rho, for each player the share of
    its paths that count over the share of all, in float64.

    Example: `PathGame((2, 3), lambda sample, paths: [float(sum(path)) for path in paths])`
    """

    operations: tuple[int, ...]
    values: PathValues
    counts: Callable[[Path], bool] | None = None
    shares: Float[Tensor, "players"] | None = None

    @property
    def widest(self) -> int:
        """Paths in a set."""
        return max(self.operations)

    @property
    def paths(self) -> int:
        """Paths in all."""
        return prod(self.operations)


@dataclass(frozen=True, eq=False)
class PathSet:
    """Paths that were measured on the same data; the value of one that does not count is 0."""

    paths: Int[Tensor, "paths edges"]
    values: Float[Tensor, "paths"]
    counted: Bool[Tensor, "paths"]


def harmonic_factor(operations: int) -> float:
    """c(m) of equation (*): the Shapley value of an operation over its main effect.

    >>> harmonic_factor(1), harmonic_factor(2), round(harmonic_factor(5), 6)
    (1.0, 1.0, 0.520833)
    """
    if operations == 1:
        return 1.0
    harmonic = sum(1 / number for number in range(1, operations + 1))
    return 1 / operations + (harmonic - 1) / (operations - 1)


def path_sets(
    operations: Sequence[int], rng: torch.Generator, rounds: bool = False
) -> Iterator[list[Path]]:
    """Sets of paths without an end; each set holds each operation once (of the widest edges).

    With `rounds`, as many sets after each other as there are paths in a set are turned orders of
    one another, and hold as many different pairs of operations as can be.
    """
    count = max(operations)
    while True:
        orders = [_turns(number, count, rng) for number in operations]
        turns = _turns(count, len(operations), rng) if rounds else [0] * len(operations)
        for number in range(count if rounds else 1):
            yield [
                tuple(
                    order[(place + number * turn) % count]
                    for order, turn in zip(orders, turns, strict=True)
                )
                for place in range(count)
            ]


def path_values(
    game: PathGame,
    sets: Iterable[Sequence[Path]],
    risk: float = 0.0,
    block: int = 1,
    enough: Callable[[Estimate], bool] | None = None,
) -> Estimate:
    """The Shapley values of a game of paths from these sets, in the order of edges and operations.

    Sets come in blocks that are independent of each other. `risk` standard deviations over sets
    are taken off. `enough` may end the sampling after any block from the fifth on.

    Raises:
        ValueError: there are no sets.
    """
    measured: list[PathSet] = []
    for number, paths in enumerate(sets):
        measured.append(_measured(game, number, paths))
        whole, rest = divmod(len(measured), block)
        if enough and not rest and whole >= FEWEST and enough(reduced(game, measured, risk, block)):
            break
    return reduced(game, measured, risk, block)


def exact_path_values(game: PathGame) -> Estimate:
    """The same from all paths, each measured once on the first sample's data; errors are 0."""
    every = list(product(*(range(number) for number in game.operations)))
    found = reduced(game, [_measured(game, 0, every)])
    return Estimate(
        found.values,
        torch.zeros_like(found.values),
        found.visits,
        found.evaluations,
        (),
        found.full_values,
    )


def reduced(game: PathGame, sets: Sequence[PathSet], risk: float = 0.0, block: int = 1) -> Estimate:
    """The mean of the sets' estimates, with its standard errors (NaN for fewer than two blocks)."""
    if not sets:
        raise ValueError("Expected at least one set of paths, got none.")
    values = torch.stack([one.values for one in sets])  # sets x paths
    counted = torch.stack([one.counted for one in sets])
    holds = _held(game, torch.stack([one.paths for one in sets]))  # sets x paths x players
    width = _of_players(game, float)
    factor = _of_players(game, harmonic_factor)
    share = torch.ones_like(width) if game.shares is None else game.shares
    centred = (values - _elsewhere(values, counted, block)[:, None]) * counted
    found = factor * torch.einsum("sk,skp->sp", centred, width * holds - share) / values.shape[1]
    deviation = (found - found.mean(0)).square().mean(0).sqrt()
    return Estimate(
        values=found.mean(0) - risk * deviation,
        standard_errors=standard_errors(found, torch.ones_like(found, dtype=torch.bool), block),
        visits=(holds * counted[..., None]).sum((0, 1)).long(),
        evaluations=int(counted.sum()),
        removals=(),
        full_values=tuple(
            float(one.values.sum() / one.counted.sum()) for one in sets if bool(one.counted.any())
        ),
    )


def _measured(game: PathGame, sample: int, paths: Sequence[Path]) -> PathSet:
    counted = [game.counts is None or game.counts(path) for path in paths]
    chosen = [path for path, counts in zip(paths, counted, strict=True) if counts]
    values = torch.zeros(len(paths), dtype=torch.float64)
    mask = torch.tensor(counted)
    found = list(game.values(sample, chosen)) if chosen else []
    values[mask] = torch.tensor(found, dtype=torch.float64)
    return PathSet(torch.tensor(paths), values, mask)


def _of_players(game: PathGame, number: Callable[[int], float]) -> Float[Tensor, "players"]:
    """For each player a number that depends on how many operations its edge has."""
    values = [number(count) for count in game.operations for _ in range(count)]
    return torch.tensor(values, dtype=torch.float64)


def _held(
    game: PathGame, paths: Int[Tensor, "sets paths edges"]
) -> Float[Tensor, "sets paths players"]:
    """1 where a path holds a player."""
    rows = [
        torch.nn.functional.one_hot(paths[..., edge], number)
        for edge, number in enumerate(game.operations)
    ]
    return torch.cat(rows, -1).double()


def _elsewhere(
    values: Float[Tensor, "sets paths"], counted: Bool[Tensor, "sets paths"], block: int
) -> Float[Tensor, "sets"]:
    """For each set the mean of what counts outside its block; of all where there is no outside."""
    sums, numbers = (values * counted).sum(1), counted.sum(1)
    of_block = torch.arange(len(values)) // block
    same = (of_block[:, None] == of_block[None, :]).double()
    outside = numbers.sum() - same @ numbers.double()
    mean = (sums.sum() - same @ sums) / outside.clamp(min=1)
    return torch.where(outside > 0, mean, sums.sum() / numbers.sum().clamp(min=1))


def _turns(operations: int, count: int, rng: torch.Generator) -> list[int]:
    """`count` numbers below `operations`: random orders of them one after the other."""
    found: list[int] = []
    while len(found) < count:
        found += torch.randperm(operations, generator=rng).tolist()
    return found[:count]
