"""The evolutionary choice of SPOS (Guo et al., ECCV 2020, algorithm 1) from a trained supernet.

The evaluator is a function, so that `evolve` works with any fitness. No architecture is scored
twice.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from nastk import Architecture
from nastk_sampling.candidates import Ranked, best_first, unseen
from nastk_sampling.paths import Sampler


@dataclass(frozen=True)
class Evolution:
    """The number and size of generations and the rules that breed them; the defaults are SPOS's.

    The `parents` best architectures so far are the parents. Half of a generation are crossovers of
    two parents, half are mutations of one, in which each edge is drawn anew with probability
    `mutation`.

    Example: `Evolution(population=20, generations=5)`
    """

    population: int = 50
    generations: int = 20
    parents: int = 10
    mutation: float = 0.1


def evolve(
    evaluator: Callable[[Sequence[Architecture]], list[Ranked]],
    sampler: Sampler,
    rules: Evolution,
    rng: torch.Generator,
) -> list[Ranked]:
    """Returns all scored architectures, best first: at most population x generations."""
    pool = unseen(lambda: sampler.draw(rng), rules.population, (), sampler)
    ranking, seen = evaluator(pool), {architecture.id for architecture in pool}
    for _ in range(1, rules.generations):
        parents = [ranked.architecture for ranked in ranking[: rules.parents]]
        pool = _offspring(parents, seen, sampler, rules, rng)
        if not pool:
            break
        seen.update(architecture.id for architecture in pool)
        ranking = best_first([*ranking, *evaluator(pool)])
    return ranking


def cross(
    parents: tuple[Architecture, Architecture], sampler: Sampler, rng: torch.Generator
) -> Architecture:
    """Returns a child that takes each edge from either parent with equal probability."""
    first, second = parents
    from_first = torch.rand(len(first.edges), 1, generator=rng) < 0.5
    return _nearest(torch.where(from_first, _table(first), _table(second)), sampler, rng)


def mutate(
    parent: Architecture, rate: float, sampler: Sampler, rng: torch.Generator
) -> Architecture:
    """Returns the parent with each edge set to a random alive operation with probability `rate`."""
    table = _table(parent)
    hit = torch.rand(len(table), generator=rng) < rate
    for edge in hit.nonzero().flatten().tolist():
        operations = sampler.subspace.operations(edge)
        table[edge] = False
        if operations:
            table[edge, operations[int(torch.randint(len(operations), (), generator=rng))]] = True
    return _nearest(table, sampler, rng)


def _offspring(
    parents: Sequence[Architecture],
    seen: Collection[str],
    sampler: Sampler,
    rules: Evolution,
    rng: torch.Generator,
) -> list[Architecture]:
    """Returns the next generation: crossovers, mutations, and random ones to fill it up."""
    pool: list[Architecture] = []

    def add(make: Callable[[], Architecture], wanted: int) -> None:
        known = {*seen, *(architecture.id for architecture in pool)}
        pool.extend(unseen(make, wanted, known, sampler))

    half = rules.population // 2
    add(lambda: cross(_pair(parents, rng), sampler, rng), half)
    add(
        lambda: mutate(_pair(parents, rng)[0], rules.mutation, sampler, rng),
        rules.population - half,
    )
    add(lambda: sampler.draw(rng), rules.population - len(pool))
    return pool


def _pair(
    parents: Sequence[Architecture], rng: torch.Generator
) -> tuple[Architecture, Architecture]:
    """Returns two different parents, or the same one twice if there is only one."""
    drawn = torch.randperm(len(parents), generator=rng)[:2].tolist()
    return parents[drawn[0]], parents[drawn[-1]]


def _table(architecture: Architecture) -> Bool[Tensor, "edges ops"]:
    """Returns the operations of an architecture as a table of bools."""
    return torch.tensor(architecture.table(), dtype=torch.bool)


def _nearest(
    table: Bool[Tensor, "edges ops"], sampler: Sampler, rng: torch.Generator
) -> Architecture:
    """Returns the space's decision on `table`; choices that the table leaves open are random."""
    # Below 1/2, the noise breaks ties between operations but never outweighs an entry of the table.
    noise = torch.rand(table.shape, generator=rng) / 2
    return sampler.space.decide(table.float() + noise, sampler.subspace)
