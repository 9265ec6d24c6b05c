"""The game of paths: the Shapley values of operations in the mean path, and their estimator.

Players are the alive operations of all edges, m_e on edge e. A path takes one operation a_e of
every edge; f(a) is its accuracy (0..1) or minus its loss (nats). The value of a set S of players is
the mean of f over paths drawn from it,

    v(S) = E f(a),   a_e uniform on S_e, the players of S on edge e, independently for each edge.

**An edge without players in S is undecided**: a_e is then uniform on all m_e operations of the
edge. The alternatives are worse. An edge that adds nothing is not undecided if `none` is a
candidate: it is a decision for `none`. If `none` is no candidate, no training path had such an
edge, so the weights were never trained for it. And if every incomplete set had the accuracy of
chance, the player that completes the last edge would get the whole accuracy. With undecided edges
all measured paths are paths of the space, for which the supernet was trained. The same holds in a
space that keeps only some edges of a node (DARTS): a path of the game takes one operation on every
edge, as a path of `fair` does.

**The Shapley value is a main effect.** Let mu_e(o) = E[f(a) | a_e = o], all other edges uniform,
mu = E f(a), and H_m = 1 + 1/2 + ... + 1/m. Then

    phi_(e,o) = c(m_e) (mu_e(o) - mu),   c(m) = 1/m + (H_m - 1) / (m - 1),   c(1) = 1.        (*)

Proof. Let every player arrive at a time uniform on [0, 1]; phi_i is the mean of v(S + i) - v(S)
over the set S of players that arrive before i (Owen's multilinear extension). Given i's time, the
players are in S independently, so edges are independent, and f may be averaged edge by edge. On an
edge e' != e the rule that draws a_e' treats all operations alike, and so does the distribution of
S_e': a_e' is uniform, and the average of f over these edges is mu_e. On e itself S_e has k = 0,
..., m - 1 elements with probability 1/m each (by i's rank in a random order of the edge), and all
sets of k elements are equally likely.
For k >= 1 the mean of mu_e over S_e + o less that over S_e is (mu_e(o) - mean over S_e) / (k + 1),
in expectation (mu_e(o) - mean over the others) / (k + 1), which is m/(m - 1) (mu_e(o) - mu)/(k + 1)
as mu is the mean over the edge. For k = 0 it is mu_e(o) - mu. Hence
phi = (mu_e(o) - mu) [1 + m/(m - 1) (1/2 + ... + 1/m)] / m, which is (*).

So the values of an edge add up to 0 (efficiency: v(all) = v(none) = mu), and are the advantage of
an operation over an undecided edge. `none` is not a null player.

**Only connected paths count** (`connected`). A path that `none` cuts from the input has about the
accuracy of chance whatever its other operations are, no search would choose it, and such paths
cause most of the main effect of `none`. With `connected`, f(a) is replaced by g(a) = f(a) - nu for
connected paths, where nu is the mean of f over them, and by 0 for other paths, which need not be
measured. (*) holds for any f, hence for g.

**The estimator.** A set of m = max m_e paths takes on each edge a random order of its operations
(a narrower edge continues with another order), independently of the other edges: a Latin design,
with each operation once. All its paths see the same batch, whose difficulty cancels. With d = 1 for
paths that count (0 for others) and rho_(e,o) = P(d | a_e = o) / P(d), which is known exactly
(`connection.py`; 1 if all paths count),

    phi'_(e,o) = c(m_e) / m  sum_k (f(a^k) - b) d(a^k) (m_e [a^k_e = o] - rho_(e,o))

has mean (*) for every b that does not depend on the set: each a^k_e is uniform and independent of
the other edges, and E[b d | a_e = o] = rho_(e,o) E[b d]. So every measured path informs all its
edges. The baseline b is the mean over the other sets: it removes the variance of the number of
paths that count, and cancels if all paths count and edges are equally wide. The estimate is the
mean over sets; its standard error is their standard deviation over the root of their number.

**Rounds** (`antithetic`): the m sets of a round share the orders, shifted against each other: path
k of set s takes operation number k + s x_e (modulo m) of edge e's order. Each set alone is
distributed as before; if x_e != x_e' and m is prime, a round holds each pair of operations of e and
e' exactly once (an orthogonal array, Owen, Statistica Sinica 1992). Then the main effect of e' and
its interaction with e add nothing to the error of e; interactions between two other edges still do.
Rounds are the units of the standard error.
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
"""For each edge the number of the path's operation among those that are alive on it."""

PathValues = Callable[[int, Sequence[Path]], Sequence[float]]
"""`values(sample, paths)`: the value of each path on that sample's data."""


@dataclass(frozen=True, eq=False)
class PathGame:
    """A game of paths: the number of operations of each edge, and the values of paths.

    `counts` is True for the paths that count (None: all count); `shares` is then rho, for each
    player the fraction of its paths that count over the fraction of all paths, in float64.

    Example: `PathGame((2, 3), lambda sample, paths: [float(sum(path)) for path in paths])`
    """

    operations: tuple[int, ...]
    values: PathValues
    counts: Callable[[Path], bool] | None = None
    shares: Float[Tensor, "players"] | None = None

    @property
    def widest(self) -> int:
        """The number of paths in a set."""
        return max(self.operations)

    @property
    def paths(self) -> int:
        """The number of all paths."""
        return prod(self.operations)


@dataclass(frozen=True, eq=False)
class PathSet:
    """Paths measured on the same data; paths that do not count have the value 0."""

    paths: Int[Tensor, "paths edges"]
    values: Float[Tensor, "paths"]
    counted: Bool[Tensor, "paths"]


def harmonic_factor(operations: int) -> float:
    """Returns c(m) of equation (*), the Shapley value of an operation over its main effect.

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
    """Yields sets of paths without end; every set holds each operation of the widest edges once.

    With `rounds`, every `max(operations)` sets in a row are a round: they share shifted orders, and
    hold as many different pairs of operations as possible.
    """
    count = max(operations)
    while True:
        orders = [_turns(number, count, rng) for number in operations]
        shifts = _turns(count, len(operations), rng) if rounds else [0] * len(operations)  # x_e
        for number in range(count if rounds else 1):
            yield [
                tuple(
                    order[(path + number * shift) % count]
                    for order, shift in zip(orders, shifts, strict=True)
                )
                for path in range(count)
            ]


def path_values(
    game: PathGame,
    sets: Iterable[Sequence[Path]],
    risk: float = 0.0,
    block: int = 1,
    enough: Callable[[Estimate], bool] | None = None,
) -> Estimate:
    """Returns the Shapley values of a game, estimated from these sets of paths.

    They are in the order of edges and operations. Blocks of `block` sets are independent of each
    other. `risk` standard deviations over sets are subtracted. `enough` may end the sampling after
    any block from the fifth on.

    Raises:
        ValueError: there are no sets.
    """
    measured: list[PathSet] = []
    for number, paths in enumerate(sets):
        measured.append(_measured(game, number, paths))
        blocks, rest = divmod(len(measured), block)
        testable = not rest and blocks >= FEWEST
        if enough and testable and enough(reduced(game, measured, risk, block)):
            break
    return reduced(game, measured, risk, block)


def exact_path_values(game: PathGame) -> Estimate:
    """Returns the Shapley values from all paths, measured once on the first sample's data.

    The standard errors are 0.
    """
    paths = list(product(*(range(number) for number in game.operations)))
    estimate = reduced(game, [_measured(game, 0, paths)])
    return Estimate(
        estimate.values,
        torch.zeros_like(estimate.values),
        estimate.visits,
        estimate.evaluations,
        (),
        estimate.full_values,
    )


def reduced(game: PathGame, sets: Sequence[PathSet], risk: float = 0.0, block: int = 1) -> Estimate:
    """Returns the mean of the sets' estimates; errors are NaN with fewer than two blocks."""
    if not sets:
        raise ValueError("Expected at least one set of paths, got none.")
    values = torch.stack([path_set.values for path_set in sets])  # sets x paths
    counted = torch.stack([path_set.counted for path_set in sets])  # d
    paths = torch.stack([path_set.paths for path_set in sets])  # sets x paths x edges
    holds = _held(game, paths)  # sets x paths x players
    width = _of_players(game, float)  # m_e
    factor = _of_players(game, harmonic_factor)  # c(m_e)
    share = torch.ones_like(width) if game.shares is None else game.shares
    centred = (values - _baseline(values, counted, block)[:, None]) * counted  # (f - b) d
    # phi' of every set, sets x players
    phi = factor * torch.einsum("sk,skp->sp", centred, width * holds - share) / values.shape[1]
    deviation = (phi - phi.mean(0)).square().mean(0).sqrt()
    return Estimate(
        values=phi.mean(0) - risk * deviation,
        standard_errors=standard_errors(phi, torch.ones_like(phi, dtype=torch.bool), block),
        visits=(holds * counted[..., None]).sum((0, 1)).long(),
        evaluations=int(counted.sum()),
        removals=(),
        full_values=tuple(
            float(path_set.values.sum() / path_set.counted.sum())
            for path_set in sets
            if bool(path_set.counted.any())
        ),
    )


def _measured(game: PathGame, sample: int, paths: Sequence[Path]) -> PathSet:
    """Returns the paths with their values on a sample's data, measured if they count."""
    counted = [game.counts is None or game.counts(path) for path in paths]
    chosen = [path for path, counts in zip(paths, counted, strict=True) if counts]
    values = torch.zeros(len(paths), dtype=torch.float64)
    mask = torch.tensor(counted)
    measured = list(game.values(sample, chosen)) if chosen else []
    values[mask] = torch.tensor(measured, dtype=torch.float64)
    return PathSet(torch.tensor(paths), values, mask)


def _of_players(game: PathGame, number: Callable[[int], float]) -> Float[Tensor, "players"]:
    """Returns for each player `number` of the number of operations of its edge."""
    values = [number(count) for count in game.operations for _ in range(count)]
    return torch.tensor(values, dtype=torch.float64)


def _held(
    game: PathGame, paths: Int[Tensor, "sets paths edges"]
) -> Float[Tensor, "sets paths players"]:
    """Returns 1 for the players that a path holds, 0 for the others."""
    rows = [
        torch.nn.functional.one_hot(paths[..., edge], number)
        for edge, number in enumerate(game.operations)
    ]
    return torch.cat(rows, -1).double()


def _baseline(
    values: Float[Tensor, "sets paths"], counted: Bool[Tensor, "sets paths"], block: int
) -> Float[Tensor, "sets"]:
    """Returns b for each set: the mean value of counted paths outside its block.

    A single block has no paths outside it, and takes the mean of all.
    """
    sums, numbers = (values * counted).sum(1), counted.sum(1)  # sets
    block_of = torch.arange(len(values)) // block
    same = (block_of[:, None] == block_of[None, :]).double()  # sets x sets
    outside = numbers.sum() - same @ numbers.double()
    mean = (sums.sum() - same @ sums) / outside.clamp(min=1)
    return torch.where(outside > 0, mean, sums.sum() / numbers.sum().clamp(min=1))


def _turns(operations: int, count: int, rng: torch.Generator) -> list[int]:
    """Returns `count` numbers below `operations`: random orders of them one after the other."""
    turns: list[int] = []
    while len(turns) < count:
        turns += torch.randperm(operations, generator=rng).tolist()
    return turns[:count]
